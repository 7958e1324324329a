"""What stands around a container on Cloud Run: who may call it, and who it is when it calls others.

https://cloud.google.com/run/docs/authenticating/service-to-service: an identity token in `Authorization`, signed by
Google, whose audience is the service's URL, of an account with `run.invoker`. The signature is cut off before
the request goes on, so that what runs behind cannot pass the token to others.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from pointsman_local.counting import PATH, Counters, Resource
from pointsman_local.identity import Identity, account
from pointsman_local.site import Site
from pointsman_local.topology import Function

__all__ = ["Application", "Guard", "invokers"]

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def invokers(function: Function, project: str) -> Callable[[str], bool]:
    """May this email call the function? By its topic, its schedule and its `invokers` in the topology."""
    emails = {account(name, project) for name in (*function.invokers, *function.carriers) if name != "operators"}
    operators = "operators" in function.invokers
    return lambda email: email in emails or (operators and email.endswith("@localhost"))


REQUESTS = "run.googleapis.com/request_count"
LATENCIES = "run.googleapis.com/request_latencies"
STARTS = "run.googleapis.com/container/startup_latencies"
IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"


class Guard:
    """WSGI in front of one function: 401 without a good token, 403 for who may not call it.

    It is the function's metadata server too ("Access VM metadata"): an identity token of its own service account
    for the audience that is asked for. And it counts requests as Cloud Run does, those that it refuses among them.
    `started_ms` is how long the process took from its beginning until it could answer.
    """

    def __init__(self, application: Application, function: Function, site: Site, started_ms: float = 0.0) -> None:
        self._application = application
        self._public = function.public
        self._identity = Identity(site.data)
        self._audience = site.url(f"functions/{function.name}")
        self._may = invokers(function, site.project)
        self._account = account(function.name, site.project)
        self._counters = Counters(time.time())
        self._resource = Resource(
            "cloud_run_revision",
            {
                "project_id": site.project,
                "location": site.location,
                "service_name": f"pointsman-{function.name.replace('_', '-')}",
                "revision_name": "local",
            },
        )
        self._counters.observe(STARTS, self._resource, {}, started_ms)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == IDENTITY and environ.get("HTTP_METADATA_FLAVOR") == "Google":
            return self._token(environ, start_response)
        if environ["PATH_INFO"] == PATH and environ.get("REQUEST_METHOD") == "GET":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._counters.as_json()).encode()]
        begun, seen = time.perf_counter(), ["500"]

        def answered(status: str, headers: Any, *error: Any) -> Any:
            seen[0] = status[:3]
            return start_response(status, headers, *error)

        try:
            return self._answer(environ, answered)
        finally:
            self._count(seen[0], 1000 * (time.perf_counter() - begun))

    def _count(self, status: str, milliseconds: float) -> None:
        labels = {"response_code": status, "response_code_class": f"{status[0]}xx"}
        self._counters.add(REQUESTS, self._resource, labels)
        self._counters.observe(LATENCIES, self._resource, labels, milliseconds)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._public:
            return self._application(environ, start_response)
        scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        email = self._identity.email(token, self._audience, time.time()) if scheme.lower() == "bearer" else None
        if email is None:
            return _refuse(start_response, "401 Unauthorized")
        if not self._may(email):
            return _refuse(start_response, "403 Forbidden")
        unsigned = token.rpartition(".")[0]
        environ["HTTP_AUTHORIZATION"] = f"Bearer {unsigned}.SIGNATURE_REMOVED_BY_GOOGLE"
        return self._application(environ, start_response)

    def _token(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        audience = parse_qs(environ.get("QUERY_STRING", "")).get("audience", [""])[0]
        if not audience:
            return _refuse(start_response, "400 Bad Request")
        start_response("200 OK", [("Content-Type", "text/html"), ("Metadata-Flavor", "Google")])
        return [self._identity.token(self._account, audience, time.time()).encode()]


def _refuse(start_response: Any, status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
    return [status.encode()]
