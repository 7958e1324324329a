"""The cluster adapter at its edges: what statuses mean, silence, tokens, and where a GKE cluster is."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.cloud.container_v1 import Cluster as GkeCluster
from google.cloud.container_v1 import ControlPlaneEndpointsConfig

from pointsman.adapters import endpoints, kubernetes
from pointsman.adapters.endpoints import Settings
from pointsman.core.names import Ref
from pointsman.errors import Absent, Conflict, Denied, Invalid, PointsmanError, Unavailable

CALL: Any = exceptions  # untyped
AUTH: Any = auth_exceptions

REF = Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "nlp", "chat")
SETTINGS = Settings(project="p", location="us-central1", cluster="c1")


class Server:
    """Answers everything with `status` and `body`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.command, self.path, headers, sent))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_GET = do_PATCH = do_DELETE = _any  # noqa: N815 (names of the standard library)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def _kubeconfig(folder: Path, url: str) -> Settings:
    path = folder / "config"
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    cluster = {"name": "c", "cluster": {"server": url}}
    user = {"name": "u", "user": {"token": "of-the-file"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    return Settings(project="p", location="l", cluster="c1", kubeconfig=str(path))


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> kubernetes.KubernetesCluster:
    return kubernetes.connect(_kubeconfig(tmp_path, server.url), "c1")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Invalid),
        (401, Denied),
        (403, Denied),
        (404, Absent),
        (409, Conflict),
        (415, Invalid),
        (422, Invalid),
        (429, Unavailable),
        (500, Unavailable),
        (501, Invalid),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_a_status_becomes_the_error_that_says_whether_to_ask_again(
    server: Server, cluster: kubernetes.KubernetesCluster, status: int, error: type[PointsmanError]
) -> None:
    server.status, server.body = status, json.dumps({"kind": "Status", "message": "said the server"}).encode()
    with pytest.raises(error, match="said the server") as caught:
        cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n"}})
    assert caught.value.where == "Service n/s"


def test_an_answer_that_is_no_json_is_no_success(server: Server, cluster: kubernetes.KubernetesCluster) -> None:
    server.body = b"<html>"
    with pytest.raises(Unavailable):
        cluster.get(REF)


def test_no_answer_is_unavailable(tmp_path: Path, free_port: Any) -> None:
    silent = kubernetes.connect(_kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}"), "c1")
    with pytest.raises(Unavailable, match="did not answer"):
        silent.get(REF)


def test_an_apply_is_a_server_side_apply_by_our_name(server: Server, cluster: kubernetes.KubernetesCluster) -> None:
    obj = {"apiVersion": REF.api_version, "kind": REF.kind, "metadata": {"name": "chat", "namespace": "nlp"}}
    cluster.apply(obj, force=True)
    ((method, path, headers, body),) = server.asked
    root = "/apis/gateway.networking.k8s.io/v1/namespaces/nlp/httproutes/chat"
    assert (method, path) == ("PATCH", f"{root}?fieldManager=pointsman&force=true")
    assert headers["content-type"] == "application/apply-patch+yaml"
    assert headers["authorization"] == "Bearer of-the-file"
    assert json.loads(body) == obj


def test_a_deletion_carries_its_precondition(server: Server, cluster: kubernetes.KubernetesCluster) -> None:
    cluster.delete(Ref("v1", "Node", "", "n1"), resource_version="7")
    ((method, path, _, body),) = server.asked
    assert (method, path) == ("DELETE", "/api/v1/nodes/n1")
    assert json.loads(body)["preconditions"] == {"resourceVersion": "7"}


def test_a_kind_that_is_not_ours_is_refused_before_anything_is_sent(
    server: Server, cluster: kubernetes.KubernetesCluster
) -> None:
    with pytest.raises(Invalid, match="CronJob"):
        cluster.get(Ref("batch/v1", "CronJob", "n", "x"))
    assert server.asked == []


@pytest.mark.parametrize("text", ["", "{}", "clusters: ["])
def test_a_kubeconfig_that_names_no_cluster_is_the_users_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Invalid, match="no cluster can be read") as caught:
        kubernetes.connect(Settings(project="p", location="l", cluster="c", kubeconfig=str(path)), "c")
    assert str(path) in caught.value.where


class Credentials:
    """Google's, as far as they are used; each refresh gives the next token."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.valid, self.token, self.refreshed = False, "", 0
        self._failure = failure

    def refresh(self, request: object) -> None:
        if self._failure:
            raise self._failure
        self.refreshed += 1
        self.valid, self.token = True, f"token-{self.refreshed}"


def test_google_tokens_are_sent_and_refreshed_when_they_have_expired(server: Server) -> None:
    credentials = Credentials()
    cluster = kubernetes.KubernetesCluster(kubernetes._with_credentials(server.url, credentials))
    cluster.get(REF)
    cluster.get(REF)
    credentials.valid = False
    cluster.get(REF)
    sent = [headers["authorization"] for _, _, headers, _ in server.asked]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("failure", "error"), [(AUTH.RefreshError("no"), Denied), (AUTH.TransportError("no"), Unavailable)]
)
def test_no_token_is_told_apart_by_its_reason(server: Server, failure: Exception, error: type[PointsmanError]) -> None:
    cluster = kubernetes.KubernetesCluster(kubernetes._with_credentials(server.url, Credentials(failure)))
    with pytest.raises(error):
        cluster.get(REF)
    assert server.asked == []


class Clusters:
    """ClusterManager with one answer."""

    def __init__(self, answer: GkeCluster | Exception) -> None:
        self.answer, self.names = answer, list[str]()

    def get_cluster(self, name: str, timeout: float) -> GkeCluster:
        self.names.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _reachable(endpoint: str) -> GkeCluster:
    dns = ControlPlaneEndpointsConfig.DNSEndpointConfig(endpoint=endpoint)
    return GkeCluster(control_plane_endpoints_config=ControlPlaneEndpointsConfig(dns_endpoint_config=dns))


def test_without_a_kubeconfig_the_cluster_is_found_by_its_dns_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(_reachable("gke-1.us-central1.gke.goog"))
    monkeypatch.setattr(endpoints, "client", lambda kind, settings, service: clusters)
    monkeypatch.setattr(kubernetes, "_google_credentials", Credentials)
    found = kubernetes.connect(SETTINGS, "c2")
    kubernetes.connect(SETTINGS, "projects/other/locations/europe-west4/clusters/c3")
    assert found._api.configuration.host == "https://gke-1.us-central1.gke.goog"
    assert clusters.names == [
        "projects/p/locations/us-central1/clusters/c2",
        "projects/other/locations/europe-west4/clusters/c3",
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_reachable(""), Invalid),
        (CALL.NotFound("no"), Absent),
        (CALL.PermissionDenied("no"), Denied),
        (CALL.ServiceUnavailable("no"), Unavailable),
        (CALL.RetryError("no", None), Unavailable),
    ],
    ids=["no-dns-endpoint", "absent", "denied", "unavailable", "gave-up"],
)
def test_a_cluster_that_cannot_be_reached_says_why(
    monkeypatch: pytest.MonkeyPatch, answer: GkeCluster | Exception, error: type[PointsmanError]
) -> None:
    monkeypatch.setattr(endpoints, "client", lambda kind, settings, service: Clusters(answer))
    with pytest.raises(error):
        kubernetes.connect(SETTINGS, "c1")
