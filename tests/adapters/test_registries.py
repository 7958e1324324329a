"""Registries: MLflow against the local server and recorded answers, Vertex AI against recorded ones, Announced."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import urllib3

from pointsman.adapters import ledger as ledgers
from pointsman.adapters import registries
from pointsman.adapters.endpoints import Settings
from pointsman.adapters.registries import Announced, MLflow, VertexAI
from pointsman.core.records import VersionRecord
from pointsman.core.revision import ModelVersion
from pointsman.documents.platform import RegistrySettings
from pointsman.errors import Denied, Invalid, PointsmanError, Unavailable
from pointsman.ports import Ledger, Registry
from pointsman_local.site import Site

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
SETTINGS = Settings("lab", "us-central1", "c1")
# As Vertex AI documents GetModel's answer, fields that are not read left out.
VERTEX_MODEL = {
    "name": "projects/123456789012/locations/us-central1/models/churn",
    "displayName": "churn-scorer",
    "artifactUri": "gs://acme-models/churn/7",
    "versionId": "7",
    "versionAliases": ["default", "champion"],
    "etag": "AMEw9yOZ",
}
VERTEX_ABSENT = {"error": {"code": 404, "message": "The Model does not exist.", "status": "NOT_FOUND"}}


class Recorded:
    """Answers GETs as recorded, by path; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path.partition("?")[0])
                outer.asked.append((unquote(self.path), dict(self.headers)))
                status, body = outer.answers.get(path, (500, {}))
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:1/stolen")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager(timeout=5, retries=False)
    yield pool
    pool.clear()


class Held:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def read(self, name: str) -> str:
        return self._values[name]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledgers.connect(replace(SETTINGS, ledger=f"sqlite:///{tmp_path}/ledger.db"))


@pytest.fixture(scope="module")
def mlflow(local_process: Callable[..., Any]) -> Site:
    process = local_process("mlflow")
    process.start(f"{process.site.url('mlflow')}/health")
    site: Site = process.site
    for path, fields in (
        ("registered-models/create", {"name": "churn scorer"}),
        ("model-versions/create", {"name": "churn scorer", "source": "gs://models/1"}),
        ("model-versions/create", {"name": "churn scorer", "source": "gs://models/2"}),
        ("registered-models/alias", {"name": "churn scorer", "alias": "champion", "version": "1"}),
    ):
        request = urllib.request.Request(f"{site.url('mlflow')}/api/2.0/mlflow/{path}", json.dumps(fields).encode())
        urllib.request.urlopen(request, timeout=10).close()
    return site


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        pytest.param("churn scorer", {"alias": "champion"}, ("1", "gs://models/1"), id="alias"),
        pytest.param("churn scorer", {"alias": "latest"}, ("2", "gs://models/2"), id="latest"),
        pytest.param("churn scorer", {"version": "2"}, ("2", "gs://models/2"), id="version"),
        pytest.param("churn scorer", {"alias": "challenger"}, None, id="alias-that-is-not-set"),
        pytest.param("churn scorer", {"version": "9"}, None, id="version-that-is-not-there"),
        pytest.param("nothing", {"alias": "champion"}, None, id="model-that-is-not-there"),
    ],
)
def test_mlflow_names_the_version_and_where_it_is_downloaded_from(
    mlflow: Site, ledger: Ledger, model: str, asked: dict[str, str], expected: tuple[str, str] | None
) -> None:
    document = RegistrySettings(name="ours", type="MLflow", url=mlflow.url("mlflow"))
    registry: Registry = registries.connect(SETTINGS, document, Held(), ledger)
    found = registry.resolve(model, **asked)
    assert found == (ModelVersion(model, *expected, None, "ours") if expected else None)


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        pytest.param("", None, id="none"),
        pytest.param("t0ken", "Bearer t0ken", id="token"),
        pytest.param("user:pass:word", "Basic dXNlcjpwYXNzOndvcmQ=", id="user-and-password"),
    ],
)
def test_mlflow_is_shown_the_secret_as_what_it_is(
    recorded: Recorded, ledger: Ledger, credential: str, header: str | None
) -> None:
    base = "/prefix/api/2.0/mlflow"
    recorded.answers[f"{base}/registered-models/alias"] = (200, {"model_version": {"name": "m", "version": "3"}})
    recorded.answers[f"{base}/model-versions/get-download-uri"] = (200, {"artifact_uri": "mlflow-artifacts:/3"})
    document = RegistrySettings(
        name="ours", type="MLflow", url=f"{recorded.url}/prefix/", secret="mlflow-token" if credential else None
    )
    registry = registries.connect(SETTINGS, document, Held(**{"mlflow-token": credential}), ledger)
    assert registry.resolve("m", alias="a") == ModelVersion("m", "3", "mlflow-artifacts:/3", registry="ours")
    assert [headers.get("Authorization") for _, headers in recorded.asked] == [header, header]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(401, {}, Denied, id="unauthenticated"),
        pytest.param(403, {"error_code": "PERMISSION_DENIED"}, Denied, id="forbidden"),
        pytest.param(429, {"error_code": "REQUEST_LIMIT_EXCEEDED"}, Unavailable, id="too-many"),
        pytest.param(503, b"<html>", Unavailable, id="down"),
        pytest.param(200, b"<html>login</html>", Unavailable, id="a-login-page"),
        pytest.param(200, {"model_version": "x"}, Unavailable, id="another-shape"),
        pytest.param(302, b"", Invalid, id="a-redirect-is-not-followed"),
        pytest.param(404, b"not found", Invalid, id="a-404-that-is-not-mlflows"),
        pytest.param(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}, Invalid, id="bad-parameter"),
    ],
)
def test_mlflows_failures_are_ours_and_hide_the_secret(
    recorded: Recorded, http: urllib3.PoolManager, status: int, body: object, error: type[PointsmanError]
) -> None:
    recorded.answers["/api/2.0/mlflow/registered-models/alias"] = (status, body)
    with pytest.raises(error) as raised:
        MLflow("ours", recorded.url, "hunter2", http).resolve("m", alias="champion")
    assert raised.value.where == "ours"
    assert "hunter2" not in str(raised.value)
    assert len(recorded.asked) == 1


def test_a_version_deleted_between_the_two_calls_is_not_there(recorded: Recorded, http: urllib3.PoolManager) -> None:
    base = "/api/2.0/mlflow"
    recorded.answers[f"{base}/registered-models/alias"] = (200, {"model_version": {"name": "m", "version": "3"}})
    recorded.answers[f"{base}/model-versions/get-download-uri"] = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    assert MLflow("ours", recorded.url, "", http).resolve("m", alias="a") is None


def test_a_secret_that_no_header_takes_is_not_quoted(http: urllib3.PoolManager) -> None:
    with pytest.raises(Invalid) as raised:
        MLflow("ours", "http://127.0.0.1:1", "hunter2\r\nX-Evil: 1", http)
    assert "hunter2" not in str(raised.value)


def test_a_silent_registry_is_unavailable(http: urllib3.PoolManager, free_port: Callable[[], int]) -> None:
    with pytest.raises(Unavailable):
        MLflow("ours", f"http://127.0.0.1:{free_port()}", "", http).resolve("m", alias="champion")


PARENT = "projects/acme/locations/us-central1"


@pytest.mark.parametrize("asked", [{"alias": "champion"}, {"version": "7"}], ids=["alias", "version"])
def test_vertex_is_asked_for_a_model_at_an_alias_or_a_version(
    recorded: Recorded, http: urllib3.PoolManager, asked: dict[str, str]
) -> None:
    path = f"/v1/{PARENT}/models/churn@{asked.get('alias', '7')}"
    recorded.answers[path] = (200, VERTEX_MODEL)
    found = VertexAI("vertex", recorded.url, PARENT, http).resolve("churn", **asked)
    assert found == ModelVersion("churn", "7", "gs://acme-models/churn/7", registry="vertex")
    assert [path for path, _ in recorded.asked] == [path]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(404, VERTEX_ABSENT, None, id="absent"),
        pytest.param(200, {**VERTEX_MODEL, "artifactUri": ""}, ("7", None), id="a-version-without-artifact"),
        pytest.param(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}, Denied, id="forbidden"),
        pytest.param(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}, Invalid, id="invalid"),
        pytest.param(503, {"error": {"code": 503, "status": "UNAVAILABLE"}}, Unavailable, id="down"),
        pytest.param(200, {}, Unavailable, id="empty"),
        pytest.param(200, {"name": "x"}, Unavailable, id="no-version"),
    ],
)
def test_what_vertex_answers(
    recorded: Recorded, http: urllib3.PoolManager, status: int, body: object, expected: Any
) -> None:
    recorded.answers[f"/v1/{PARENT}/models/churn@champion"] = (status, body)
    registry = VertexAI("vertex", recorded.url, PARENT, http)
    if isinstance(expected, type):
        with pytest.raises(expected):
            registry.resolve("churn", alias="champion")
    else:
        found = registry.resolve("churn", alias="champion")
        number, uri = expected or ("", None)
        assert found == (ModelVersion("churn", number, uri, registry="vertex") if number else None)


def test_a_models_name_cannot_leave_its_place_in_the_url(recorded: Recorded, http: urllib3.PoolManager) -> None:
    with pytest.raises(Unavailable):
        VertexAI("vertex", recorded.url, PARENT, http).resolve("../../secrets/x?y", alias="a")
    assert recorded.asked[0][0].startswith(f"/v1/{PARENT}/models/../../secrets/x?y@a")


def test_vertex_without_credentials_is_denied(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(Denied, match="no credentials for Vertex AI"):
        registries.connect(SETTINGS, RegistrySettings(name="vertex", type="VertexAI"), Held(), ledger)


def announced(ledger: Ledger, *versions: tuple[str, int], registry: str = "ci", model: str = "churn") -> None:
    from pointsman.ports import Write

    for version, minute in versions:
        at = NOW + timedelta(minutes=minute)
        record = VersionRecord(registry, model, version, f"gs://models/{version}", at, digest=f"sha256:{version}")
        ledger.save([Write(record)])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"alias": "latest"}, "8", id="latest-is-the-newest-event-not-the-last-written"),
        pytest.param({"version": "7"}, "7", id="version"),
        pytest.param({"version": "9"}, None, id="version-that-is-not-there"),
    ],
)
def test_announced_versions_are_the_ledgers(ledger: Ledger, asked: dict[str, str], expected: str | None) -> None:
    announced(ledger, ("6", 1), ("8", 3), ("7", 2))
    announced(ledger, ("99", 9), model="other")
    announced(ledger, ("98", 9), registry="another")
    registry = registries.connect(SETTINGS, RegistrySettings(name="ci", type="Announced"), Held(), ledger)
    found = registry.resolve("churn", **asked)
    if expected is None:
        assert found is None
    else:
        assert found == ModelVersion("churn", expected, f"gs://models/{expected}", f"sha256:{expected}", "ci")


def test_nothing_announced_is_nothing(ledger: Ledger) -> None:
    assert Announced("ci", ledger).resolve("churn", alias="latest") is None


@pytest.mark.parametrize(
    "asked",
    [{"alias": "champion"}, {}, {"alias": "latest", "version": "1"}],
    ids=["another-alias", "neither", "both"],
)
def test_announced_versions_have_no_other_alias(ledger: Ledger, asked: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Announced("ci", ledger).resolve("churn", **asked)
