"""Model registries: MLflow and Vertex AI over REST, and the versions that a CI announced, which the ledger keeps.

Vertex AI's own client (`google-cloud-aiplatform`) brings storage, BigQuery and a second of cold start for one GET:
google-auth with urllib3 makes the same request.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import urllib3

from pointsman.adapters.endpoints import Settings
from pointsman.core.names import JSON
from pointsman.core.records import VersionRecord
from pointsman.core.revision import ModelVersion
from pointsman.documents.platform import RegistrySettings
from pointsman.errors import Denied, Invalid, Unavailable
from pointsman.ports import Ledger, Registry, Secrets

__all__ = ["Announced", "MLflow", "VertexAI", "connect"]

TIMEOUT_S = 10.0
ALIAS_MISSING = "Registered model alias"  # how MLflow's message begins: its code for it is that of any bad parameter


class MLflow:
    """A tracking server's registry, by its REST API. `credential` is a token, `user:password`, or empty."""

    def __init__(self, name: str, url: str, credential: str, http: urllib3.PoolManager) -> None:
        self._name = name
        self._base = f"{url.rstrip('/')}/api/2.0/mlflow"
        self._http = http
        self._headers = _authorization(credential, name)

    def resolve(self, model: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion | None:
        """The version and the URI that it is downloaded from, which `source` is not for every store."""
        _one_of(alias, version)
        path = "registered-models/alias" if alias is not None else "model-versions/get"
        asked = {"alias": alias} if alias is not None else {"version": version or ""}
        found = self._get(path, {"name": model, **asked})
        if found is None:
            return None
        number = str(_field(found, "model_version", self._name).get("version", ""))
        answer = self._get("model-versions/get-download-uri", {"name": model, "version": number})
        if answer is None:  # deleted between the two calls
            return None
        return ModelVersion(model, number, _text(answer, "artifact_uri"), registry=self._name)

    def _get(self, path: str, asked: Mapping[str, str]) -> JSON | None:
        status, body = _request(self._http, f"{self._base}/{path}", self._headers, asked, self._name)
        if status == 404 and body.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return None
        if status == 400 and str(body.get("message", "")).startswith(ALIAS_MISSING):
            return None
        return _checked(status, body, self._name)


class VertexAI:
    """The Model Registry of one project and region. A model's name is its id, a version an alias or a number."""

    def __init__(self, name: str, origin: str, parent: str, http: Any) -> None:
        self._name = name
        self._base = f"{origin}/v1/{parent}/models"
        self._http = http

    def resolve(self, model: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion | None:
        """`GetModel` of `<id>@<alias or version>`. An alias that is not set is a model that is not there."""
        _one_of(alias, version)
        url = f"{self._base}/{quote(model, safe='')}@{quote(alias or version or '', safe='')}"
        status, body = _request(self._http, url, {}, {}, self._name)
        if status == 404:
            return None
        found = _checked(status, body, self._name)
        number = _text(found, "versionId")
        if number is None:
            raise Unavailable("the registry's answer has no `versionId`", where=self._name)
        return ModelVersion(model, number, _text(found, "artifactUri"), registry=self._name)


class Announced:
    """Versions that a CI announced by an event: the newest by the event's time is `latest`, the only alias."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self._name = name
        self._ledger = ledger

    def resolve(self, model: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion | None:
        """Raises Invalid for an alias other than `latest`."""
        _one_of(alias, version)
        if version is not None:
            saved = self._ledger.read(VersionRecord, f"{self._name}/{model}/{version}")
            return None if saved is None else self._version(saved.record)
        if alias != "latest":
            raise Invalid(f"no alias {alias!r}", where=self._name, remedy="announced versions have `latest` alone")
        # Announcements may come late, so that the last written is not always the newest announced.
        found = self._ledger.find(VersionRecord, {"registry": self._name, "model": model}, limit=100)
        newest = max((item.record for item in found), key=lambda record: record.announced_at, default=None)
        return None if newest is None else self._version(newest)

    def _version(self, record: VersionRecord) -> ModelVersion:
        return ModelVersion(record.model, record.version, record.artifact_uri, record.digest, self._name)


def connect(settings: Settings, registry: RegistrySettings, secrets: Secrets, ledger: Ledger) -> Registry:
    """The registry that a Platform describes. Raises what reading its secret raises; Denied without credentials."""
    if registry.type == "Announced":
        return Announced(registry.name, ledger)
    timeout = urllib3.Timeout(total=TIMEOUT_S)
    if registry.type == "MLflow":
        credential = secrets.read(registry.secret) if registry.secret else ""
        http = urllib3.PoolManager(timeout=timeout, retries=False)
        return MLflow(registry.name, registry.url or "", credential, http)
    project, location = registry.project or settings.project, registry.location or settings.location
    origin = f"https://{location}-aiplatform.googleapis.com"
    return VertexAI(registry.name, origin, f"projects/{project}/locations/{location}", _authorized(timeout))


def _authorized(timeout: urllib3.Timeout) -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError
    from google.auth.transport.urllib3 import AuthorizedHttp

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except DefaultCredentialsError as error:
        raise Denied("no credentials for Vertex AI", remedy="run as a service account") from error
    http: Any = AuthorizedHttp
    return http(credentials, http=urllib3.PoolManager(timeout=timeout, retries=False))


def _authorization(credential: str, name: str) -> dict[str, str]:
    if not credential:
        return {}
    if not (credential.isascii() and credential.isprintable()):  # the HTTP library would refuse it by quoting it
        raise Invalid("its secret holds what no header may", where=name, remedy="store it without line breaks")
    if ":" in credential:
        return {"Authorization": f"Basic {b64encode(credential.encode()).decode()}"}
    return {"Authorization": f"Bearer {credential}"}


def _request(http: Any, url: str, headers: Mapping[str, str], asked: Mapping[str, str], name: str) -> tuple[int, JSON]:
    """Status and JSON of a GET; an answer that is none is empty. A redirect is not followed: it could carry the
    token elsewhere."""
    from google.auth.exceptions import GoogleAuthError

    query = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in asked.items())
    try:
        answer = http.request("GET", f"{url}?{query}" if query else url, headers=dict(headers), redirect=False)
    except (urllib3.exceptions.HTTPError, GoogleAuthError) as error:
        raise Unavailable(f"the registry does not answer: {type(error).__name__}", where=name) from error
    try:
        body = json.loads(answer.data)
    except ValueError:
        body = None
    return int(answer.status), cast("JSON", body if isinstance(body, dict) else {})


def _checked(status: int, body: JSON, name: str) -> JSON:
    """The body of a 200. Raises Denied, Unavailable or Invalid for everything else."""
    if status == 200 and body:
        return body
    if status in (401, 403):
        raise Denied(f"the registry answered {status}", where=name, remedy="check its secret and its permissions")
    if status == 429 or status >= 500:
        raise Unavailable(f"the registry answered {status}", where=name)
    if status == 200:
        raise Unavailable("the registry did not answer in JSON", where=name)
    code = body.get("error_code") or cast("JSON", body.get("error") or {}).get("status") or "no error code"
    raise Invalid(f"the registry answered {status} ({code})", where=name, remedy="check its URL and the model's name")


def _one_of(alias: str | None, version: str | None) -> None:
    if (alias is None) == (version is None):
        raise Invalid("a model is resolved by alias or by version, exactly one of the two")


def _field(body: JSON, name: str, where: str) -> JSON:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Unavailable(f"the registry's answer has no {name!r}", where=where)
    return value


def _text(body: JSON, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
