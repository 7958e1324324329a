"""Who may call a function: tokens as Google signs them, and what Cloud Run checks before a container sees a request."""

import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pointsman_local.functions.guard import IDENTITY, Guard, invokers
from pointsman_local.identity import ISSUER, Identity, account
from pointsman_local.site import Site
from pointsman_local.topology import Function, deployed, load

NOW = 1_800_000_000.0
URL = "http://127.0.0.1:4321"
FUNCTIONS = load(deployed()).functions


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity(tmp_path_factory.mktemp("identity"))


# --- tokens -------------------------------------------------------------------------------------------------------


def test_a_token_says_whose_it_is_to_whom_it_is_for(identity: Identity) -> None:
    assert identity.email(identity.token("a@b.example", URL, NOW), URL, NOW) == "a@b.example"


def test_a_token_has_the_claims_of_google_and_is_good_for_an_hour(identity: Identity) -> None:
    claims = jwt.decode(identity.token("a@b.example", URL, NOW), options={"verify_signature": False})
    assert claims == {
        "iss": "https://accounts.google.com",
        "aud": URL,
        "azp": "a@b.example",
        "sub": "a@b.example",
        "email": "a@b.example",
        "email_verified": True,
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
    }


def test_a_token_ends_when_its_time_is_over(identity: Identity) -> None:
    token = identity.token("a@b.example", URL, NOW, lifetime_s=60)
    assert identity.email(token, URL, NOW + 59) == "a@b.example"
    assert identity.email(token, URL, NOW + 60) is None


def test_a_token_of_a_later_day_of_the_same_directory_is_good(tmp_path: Path) -> None:
    token = Identity(tmp_path).token("a@b.example", URL, NOW)
    assert Identity(tmp_path).email(token, URL, NOW) == "a@b.example"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": f"{URL}/dance"}, id="audience-with-a-path"),
        pytest.param({"aud": "http://127.0.0.1:4322"}, id="another-function"),
        pytest.param({"iss": "https://evil.example"}, id="another-issuer"),
        pytest.param({"email_verified": False}, id="email-not-verified"),
        pytest.param({"email_verified": None}, id="verification-not-said"),
        pytest.param({"exp": None}, id="without-an-end"),
        pytest.param({"exp": "tomorrow"}, id="an-end-that-is-no-time"),
    ],
)
def test_a_token_with_a_claim_that_does_not_hold_is_nobody(identity: Identity, claims: Mapping[str, object]) -> None:
    good = jwt.decode(identity.token("a@b.example", URL, NOW), options={"verify_signature": False})
    changed = {name: value for name, value in {**good, **claims}.items() if value is not None}
    assert identity.email(jwt.encode(changed, identity._private, algorithm="RS256"), URL, NOW) is None


def test_a_token_that_another_key_signed_is_nobody(identity: Identity, tmp_path: Path) -> None:
    assert identity.email(Identity(tmp_path).token("a@b.example", URL, NOW), URL, NOW) is None


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_names_its_own_way_of_signing_is_nobody(identity: Identity, algorithm: str) -> None:
    claims = {"iss": ISSUER, "aud": URL, "email": "a@b.example", "email_verified": True, "exp": int(NOW) + 60}
    token = jwt.encode(claims, "k" * 32 if algorithm == "HS256" else "", algorithm=algorithm)
    assert identity.email(token, URL, NOW) is None


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "." * 10])
def test_what_is_no_token_is_nobody(identity: Identity, text: str) -> None:
    assert identity.email(text, URL, NOW) is None


def test_the_key_is_its_owners_alone_and_of_2048_bits(tmp_path: Path) -> None:
    key = Identity(tmp_path)._private
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    assert stat.S_IMODE((tmp_path / "identity" / "key.pem").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "identity").iterdir()] == ["key.pem"]


# --- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "caller", "may"),
    [
        pytest.param("on_repo_push", account("pubsub-push", "p"), True, id="pubsub-pushes-to-a-topics-function"),
        pytest.param("on_repo_push", account("scheduler", "p"), False, id="the-scheduler-does-not"),
        pytest.param("on_repo_push", account("pubsub-push", "q"), False, id="another-projects-pubsub"),
        pytest.param("sweep", account("scheduler", "p"), True, id="the-scheduler-calls-what-has-a-schedule"),
        pytest.param("sweep", account("pubsub-push", "p"), False, id="pubsub-does-not"),
        pytest.param("rollout_step", account("roll-out", "p"), True, id="a-workflow-calls-its-step"),
        pytest.param("rollout_step", account("provision-pool", "p"), False, id="not-anothers"),
        pytest.param("pool_step", account("provision-pool", "p"), True, id="the-pools-workflow"),
        pytest.param("rollout_step", account("sweep", "p"), True, id="sweep-inspects"),
        pytest.param("command", "ada@localhost", True, id="an-operator-of-this-machine"),
        pytest.param("command", "ada@localhost.example.com", False, id="an-operator-of-another"),
        pytest.param("rollout_step", "ada@localhost", False, id="operators-only-command"),
        pytest.param("command", "operators", False, id="the-word-is-no-account"),
    ],
)
def test_the_topology_says_who_may_call_whom(function: str, caller: str, may: bool) -> None:
    assert invokers(FUNCTIONS[function], "p")(caller) is may


def test_an_account_is_named_as_the_function_with_dashes() -> None:
    assert account("on_repo_push", "p") == "pointsman-on-repo-push@p.iam.gserviceaccount.com"


# --- the guard ----------------------------------------------------------------------------------------------------


class Behind:
    """A function behind its guard; `call` is one request of now."""

    def __init__(self, data: Path, function: Function) -> None:
        site = Site(data, "p", "us-central1", "c1", {f"functions/{function.name}": 4321})
        self.identity = Identity(data)
        self.guard = Guard(self._application, function, site)
        self.seen: list[dict[str, Any]] = []
        self.status = ""
        self.headers: dict[str, str] = {}

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.seen.append(environ)
        start_response("200 OK", [])
        return [b"behind"]

    def call(self, authorization: str | None = None, path: str = "/", **environ: str) -> bytes:
        request: dict[str, Any] = {"PATH_INFO": path, **environ}
        if authorization is not None:
            request["HTTP_AUTHORIZATION"] = authorization

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.headers = status, dict(headers)

        return b"".join(self.guard(request, start_response))

    def token(self, email: str, audience: str = URL) -> str:
        return self.identity.token(email, audience, time.time())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose key is drawn once."""
    return tmp_path_factory.mktemp("guard")


@pytest.fixture
def behind(shared: Path) -> Behind:
    return Behind(shared, FUNCTIONS["command"])


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no-token"),
        pytest.param("Bearer x.y.z", id="no-jwt"),
        pytest.param("Basic YWRhOng=", id="basic"),
    ],
)
def test_without_a_good_token_it_is_401_and_nothing_is_called(behind: Behind, authorization: str | None) -> None:
    assert behind.call(authorization) == b"401 Unauthorized"
    assert (behind.status, behind.headers["WWW-Authenticate"]) == ("401 Unauthorized", "Bearer")
    assert behind.seen == []


def test_a_token_for_another_service_is_401(behind: Behind) -> None:
    behind.call(f"Bearer {behind.token('ada@localhost', 'http://127.0.0.1:1')}")
    assert behind.status == "401 Unauthorized"


def test_an_account_that_may_not_call_is_403_and_nothing_is_called(behind: Behind) -> None:
    assert behind.call(f"Bearer {behind.token('eve@example.com')}") == b"403 Forbidden"
    assert behind.seen == []


def test_who_may_comes_through_and_the_function_cannot_pass_the_token_on(behind: Behind) -> None:
    token = behind.token("ada@localhost")
    assert behind.call(f"Bearer {token}") == b"behind"
    handed = behind.seen[0]["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    assert handed == f"{token.rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE"
    assert jwt.decode(handed, options={"verify_signature": False})["email"] == "ada@localhost"
    assert behind.identity.email(handed, URL, time.time()) is None


def test_the_scheme_is_read_in_any_case(behind: Behind) -> None:
    assert behind.call(f"bearer {behind.token('ada@localhost')}") == b"behind"


def test_a_public_function_asks_nobody_and_sees_what_was_sent(shared: Path) -> None:
    public = Behind(shared, replace(FUNCTIONS["command"], public=True))
    assert public.call("token grafana-sent") == b"behind"
    assert public.seen[0]["HTTP_AUTHORIZATION"] == "token grafana-sent"


def test_a_function_gets_its_own_identity_token_from_its_metadata_server(shared: Path) -> None:
    sweep = Behind(shared, FUNCTIONS["sweep"])
    query = "audience=http%3A%2F%2F127.0.0.1%3A9&format=full"
    token = sweep.call(None, IDENTITY, HTTP_METADATA_FLAVOR="Google", QUERY_STRING=query).decode()
    assert sweep.headers["Metadata-Flavor"] == "Google"
    assert sweep.identity.email(token, "http://127.0.0.1:9", time.time()) == account("sweep", "p")


def test_the_metadata_server_wants_an_audience(behind: Behind) -> None:
    behind.call(None, IDENTITY, HTTP_METADATA_FLAVOR="Google")
    assert behind.status == "400 Bad Request"


def test_the_metadata_server_answers_only_who_says_its_header(behind: Behind) -> None:
    """A page in somebody's browser can't send it: https://cloud.google.com/compute/docs/metadata/overview."""
    behind.call(None, IDENTITY, QUERY_STRING="audience=http://127.0.0.1:9")
    assert behind.status == "401 Unauthorized"
