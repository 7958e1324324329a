"""Secret Manager's adapter over the local service."""

from collections.abc import Callable
from typing import Any

import google.api_core.exceptions as errors
import pytest
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from pointsman.adapters import secrets
from pointsman.adapters.endpoints import Settings, client
from pointsman.errors import Absent, Invalid, Unavailable
from pointsman.ports import Secrets
from pointsman_local.site import Site


@pytest.fixture(scope="module")
def site(local_process: Callable[..., Any]) -> Site:
    process = local_process("secretmanager", "mlflow")  # MLflow's port tells when the process is up
    process.start(f"{process.site.url('mlflow')}/health")
    site: Site = process.site
    folder = site.folder("secrets")
    (folder / "token").write_text("hunter2\n")
    (folder / "many").write_text("one\n\ntwo")
    (folder / "bytes").write_bytes(b"\xff\xfe")
    return site


@pytest.fixture
def settings(site: Site) -> Settings:
    return Settings("lab", "us-central1", "c1", endpoints={"secretmanager": site.address("secretmanager")})


@pytest.fixture
def read(settings: Settings) -> Callable[[str], str]:
    adapter: Secrets = secrets.connect(settings)
    return adapter.read


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("token", "hunter2", id="id-and-the-line-break-is-cut-off"),
        pytest.param("many", "one\n\ntwo", id="line-breaks-inside-stay"),
        pytest.param("projects/lab/secrets/token", "hunter2", id="full-name"),
        pytest.param("projects/lab/secrets/token/versions/1", "hunter2", id="version"),
        pytest.param("projects/lab/secrets/token/versions/latest", "hunter2", id="latest"),
    ],
)
def test_a_secret_is_read_by_its_names(read: Callable[[str], str], name: str, expected: str) -> None:
    assert read(name) == expected


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("none", Absent, id="no-such-secret"),
        pytest.param("projects/other/secrets/token", Absent, id="another-project"),
        pytest.param("projects/lab/secrets/token/versions/2", Absent, id="no-such-version"),
        pytest.param("../run/webhook_secrets.json", Invalid, id="a-path"),
        pytest.param("", Invalid, id="empty"),
        pytest.param("projects/lab/secrets/token/versions/-1", Invalid, id="a-strange-version"),
        pytest.param("bytes", Invalid, id="no-text"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_ours(read: Callable[[str], str], name: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        read(name)
    assert "hunter2" not in str(raised.value)


def test_a_changed_file_is_read_anew(site: Site, read: Callable[[str], str]) -> None:
    (site.folder("secrets") / "moving").write_text("old")
    assert read("moving") == "old"
    (site.folder("secrets") / "moving").write_text("new")
    assert read("moving") == "new"


def test_the_local_service_names_what_it_does_not_imitate(settings: Settings) -> None:
    with pytest.raises(errors.MethodNotImplemented, match="SecretManagerService/ListSecrets is not imitated"):
        client(SecretManagerServiceClient, settings, "secretmanager").list_secrets(parent="projects/lab")


def test_an_unreachable_service_is_unavailable(free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "DEADLINE_S", 0.3)
    nowhere = Settings("lab", "us-central1", "c1", endpoints={"secretmanager": f"127.0.0.1:{free_port()}"})
    with pytest.raises(Unavailable):
        secrets.connect(nowhere).read("token")
