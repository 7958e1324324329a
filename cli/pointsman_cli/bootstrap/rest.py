"""Google's REST APIs, to be looked at and never changed: GET, and the few POSTs that only ask.

Credentials go to Google's hosts and nowhere else. With POINTSMAN_GOOGLE_ENDPOINT, a loopback address, every host is
asked there, at `http://ADDRESS/HOST/PATH` and without credentials: recorded answers can be served.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

import urllib3

from pointsman.adapters.endpoints import loopback
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable

__all__ = ["Google", "connect"]

TIMEOUT_S = 20.0
PAGES_MAX = 50
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ASKING = (":testIamPermissions", ":getIamPolicy", "/subjectaccessreviews")
"""Ends of paths whose POST changes nothing."""

READERS: Mapping[str, str] = {
    "cloudbilling": "roles/browser",
    "cloudfunctions": "roles/cloudfunctions.viewer",
    "cloudresourcemanager": "roles/iam.securityReviewer",
    "cloudscheduler": "roles/cloudscheduler.viewer",
    "compute": "roles/compute.viewer",
    "container": "roles/container.clusterViewer",
    "eventarc": "roles/eventarc.viewer",
    "firestore": "roles/datastore.viewer",
    "iam": "roles/iam.securityReviewer",
    "monitoring": "roles/monitoring.viewer",
    "orgpolicy": "roles/orgpolicy.policyViewer",
    "pubsub": "roles/iam.securityReviewer",
    "run": "roles/run.viewer",
    "secretmanager": "roles/secretmanager.viewer",
    "serviceusage": "roles/serviceusage.serviceUsageViewer",
    "workflows": "roles/workflows.viewer",
}
"""API → the narrowest predefined role that lets one look. Bindings in a cluster are its administrators' to see."""

JSON = Mapping[str, Any]


class Google:
    """One project's view of Google. Answers are kept: several checks look at the same thing.

    Every call raises Denied (401, 403), Absent (404), Unavailable (anything else, and silence); `remedy` is then a
    command. `perimeters` collects what VPC Service Controls have refused.
    """

    def __init__(self, project: str, credentials: Any = None, endpoint: str = "") -> None:
        self._project = project
        self._credentials = credentials
        self._endpoint = endpoint
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False, maxsize=8)
        self._kept: dict[str, JSON | PointsmanError] = {}
        self._lock = threading.Lock()
        self.perimeters: list[str] = []

    def get(self, url: str, query: Mapping[str, object] | None = None) -> JSON:
        """What `HOST/PATH` answers. A list in `query` is a parameter that is repeated."""
        return self._once("GET", url + (f"?{urlencode(query, doseq=True)}" if query else ""))

    def find(self, url: str, query: Mapping[str, object] | None = None) -> JSON | None:
        """The same; None where it is not there."""
        try:
            return self.get(url, query)
        except Absent:
            return None

    def pages(self, url: str, key: str, query: Mapping[str, object] | None = None) -> Iterator[JSON]:
        """The items below `key`, of all pages."""
        token = ""
        for _ in range(PAGES_MAX):
            answer = self.get(url, {**(query or {}), **({"pageToken": token} if token else {})})
            yield from answer.get(key) or ()
            token = str(answer.get("nextPageToken") or "")
            if not token:
                return
        raise Unavailable(f"more than {PAGES_MAX} pages", where=url)

    def ask(self, url: str, body: JSON) -> JSON:
        """A POST that only asks. Raises AssertionError for one that would change something."""
        assert url.endswith(ASKING), f"{url} may change something"
        return self._once("POST", url, body)

    def knock(self, url: str) -> tuple[int, str]:
        """A POST of `{}` without any identity, as a stranger sends it: status and the start of the body."""
        status, data = self.exchange("POST", url.removeprefix("https://"), b"{}", {"Content-Type": "application/json"})
        return status, data[:500].decode("utf-8", "replace")

    def exchange(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One request to `HOST/PATH`, made once: status and body."""
        address = f"http://{self._endpoint}/{url}" if self._endpoint else f"https://{url}"
        try:
            answer = self._pool.request(method, address, headers=headers, body=body, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"no answer: {type(error).__name__}", where=url.partition("?")[0]) from error
        return answer.status, answer.data

    def _once(self, method: str, url: str, body: JSON | None = None) -> JSON:
        key = f"{method} {url} {json.dumps(body)}"
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            try:
                kept = self._send(method, url, body)
            except (Denied, Absent, Unavailable) as error:
                kept = error
            with self._lock:
                self._kept[key] = kept
        if isinstance(kept, PointsmanError):
            raise kept
        return kept

    def _send(self, method: str, url: str, body: JSON | None = None) -> JSON:
        headers: dict[str, str] = {"Content-Type": "application/json"}
        if self._credentials is not None:
            _only_google(url.partition("/")[0])
            self._sign(method, f"https://{url}", headers)
        status, data = self.exchange(method, url, None if body is None else json.dumps(body).encode(), headers)
        return self._checked(url.partition("?")[0], status, data)

    def _sign(self, method: str, address: str, headers: dict[str, str]) -> None:
        import google.auth.exceptions
        from google.auth.transport import urllib3 as transport

        request = cast("Any", transport).Request(self._pool)
        try:
            with self._lock:
                self._credentials.before_request(request, method, address, headers)
        except google.auth.exceptions.GoogleAuthError as error:
            remedy = "gcloud auth application-default login"
            raise Denied("no access token could be had", where=address, remedy=remedy) from error

    def _checked(self, where: str, status: int, data: bytes) -> JSON:
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if status == 200 and isinstance(body, dict):
            return body
        error = body.get("error") if isinstance(body, dict) else None
        said = str(error.get("message") if isinstance(error, dict) else "") or f"it answered {status}"
        if status in (401, 403):
            raise self._denied(where, status, said, data.decode("utf-8", "replace"))
        if status == 404:
            raise Absent(said, where=where)
        raise Unavailable(f"{status}: {said}", where=where)

    def _denied(self, where: str, status: int, said: str, text: str) -> Denied:
        host = where.partition("/")[0]
        if status == 401:
            return Denied(said, where=where, remedy="gcloud auth application-default login")
        if "SECURITY_POLICY_VIOLATED" in text or "vpcServiceControlsUniqueIdentifier" in text:
            with self._lock:
                self.perimeters.append(where)
            remedy = "gcloud access-context-manager perimeters list --policy=POLICY"
            return Denied(f"refused by VPC Service Controls: {said}", where=where, remedy=remedy)
        if "SERVICE_DISABLED" in text:
            remedy = f"gcloud services enable {quote(host)} --project={self._project}"
            return Denied(f"the API is off: {said}", where=where, remedy=remedy)
        inside = host.endswith(".gke.goog") or "connectgateway." in host
        role = "roles/container.admin" if inside else READERS.get(host.partition(".")[0], "roles/viewer")
        member = '--member="user:$(gcloud config get account)"'
        remedy = f"gcloud projects add-iam-policy-binding {self._project} {member} --role={role}"
        return Denied(said, where=where, remedy=remedy)


def _only_google(host: str) -> None:
    """A host may come out of an answer, and a token goes to Google's own only."""
    # The whole of it: what ends in one of theirs may still begin another's, as `evil.example#.googleapis.com` does.
    if not re.fullmatch(r"[a-z0-9.-]+\.(googleapis\.com|gke\.goog)", host):
        raise Invalid(f"{host} is no host of Google's APIs")


def connect(project: str, environ: Mapping[str, str]) -> Google:
    """With the credentials of the person who asks, or what POINTSMAN_GOOGLE_ENDPOINT says. Raises Denied, Invalid."""
    endpoint = environ.get("POINTSMAN_GOOGLE_ENDPOINT", "")
    if endpoint:
        return Google(project, endpoint=loopback("POINTSMAN_GOOGLE_ENDPOINT", endpoint))
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        # People's own credentials need a project that is charged for the calls.
        credentials, _ = google.auth.default(scopes=[SCOPE], quota_project_id=project)
    except DefaultCredentialsError as error:
        raise Denied("there are no Google credentials", remedy="gcloud auth application-default login") from error
    return Google(project, credentials)
