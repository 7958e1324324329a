"""Channels and commit statuses: what each is sent, and what becomes of refusals."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

import pytest
from cloudevents.http import from_http

from pointsman.adapters import channels, commit_statuses
from pointsman.adapters.cdevents import TYPES, cdevent
from pointsman.adapters.commit_statuses import CommitStatuses, Forge, forge_of
from pointsman.adapters.endpoints import Settings
from pointsman.adapters.posting import Poster
from pointsman.core.notices import ChannelRef, Notice, NoticeKind, notice_event, notice_of
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable
from pointsman.ports import Channel

COMMIT = "1197955e4244c18bdb9b375076bcb6ca05414672"
AT = datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC)
NOTICE = Notice(
    notice="RolloutRolledBack",
    title="nlp/chat <v3> & co went back",
    text="errors: E = 132 > 100\nsee the verdict",
    service="nlp/chat",
    rollout="5f0c",
    revision="chat-0a1b2c3d",
    repository="https://github.com/acme/config.git",
    commit=COMMIT,
    state="rolled_back",
    verdict={"action": "roll_back"},
    url="https://page.example/r/5f0c|x",
    id="5f0c/17",
    at=AT,
)


class Receiver:
    """Keeps what it is sent and answers as told, 200 by default."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                if 300 <= outer.status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def only(self) -> tuple[str, dict[str, str], Any]:
        ((path, headers, body),) = self.requests
        return path, headers, json.loads(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Held:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def read(self, name: str) -> str:
        if name not in self._values:
            raise Absent("there is no such secret", where=name)
        return self._values[name]


def connected(kind: Any, url: str) -> Channel:
    return channels.connect(ChannelRef("oncall", kind, secret="url"), Held(url=url))


def test_slack_gets_a_text_in_which_nothing_is_a_link_but_ours(receiver: Receiver) -> None:
    connected("Slack", f"{receiver.url}/services/T/B/x").send(NOTICE)
    path, headers, body = receiver.only()
    assert path == "/services/T/B/x"
    assert headers["Content-Type"].startswith("application/json")
    assert body == {
        "text": "*nlp/chat &lt;v3&gt; &amp; co went back*\nerrors: E = 132 &gt; 100\nsee the verdict\n"
        "<https://page.example/r/5f0c%7Cx|Details>"
    }


def test_google_chat_keeps_a_rollout_in_one_thread(receiver: Receiver) -> None:
    connected("GoogleChat", f"{receiver.url}/v1/spaces/S/messages?key=k&token=t").send(NOTICE)
    path, _, body = receiver.only()
    assert path == "/v1/spaces/S/messages?key=k&token=t&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
    assert body["thread"] == {"threadKey": "5f0c"}
    assert body["text"].startswith("*nlp/chat &lt;v3&gt; &amp; co went back*\n")


def test_a_webhook_gets_a_cdevent_in_a_cloud_event(receiver: Receiver) -> None:
    channels.connect(ChannelRef("hook", "Webhook", url=f"{receiver.url}/in"), Held()).send(NOTICE)
    ((_, headers, body),) = receiver.requests
    event = from_http(headers, body)
    assert (event["id"], event["type"]) == ("5f0c/17", "dev.cdevents.service.rolledback.0.3.0")
    assert (event["source"], event["subject"], event["time"]) == (
        "//pointsman/nlp/chat",
        "nlp/chat",
        "2026-11-20T10:00:01Z",
    )
    assert event.data["subject"] == {
        "id": "nlp/chat",
        "content": {"environment": {"id": "nlp"}, "artifactId": "pkg:generic/chat@chat-0a1b2c3d"},
    }
    assert event.data["context"] == {
        "specversion": "0.5.1",
        "id": "5f0c/17",
        "source": "//pointsman/nlp/chat",
        "type": "dev.cdevents.service.rolledback.0.3.0",
        "timestamp": "2026-11-20T10:00:01Z",
    }
    assert event.data["customData"]["verdict"] == {"action": "roll_back"}


@pytest.mark.parametrize("kind", get_args(NoticeKind))
def test_every_notice_is_a_valid_cdevent(kind: NoticeKind) -> None:
    """The patterns and required fields of the specification's schemas (`schemas/`, `custom/schema.json`)."""
    bare = Notice(notice=kind, title="t", text="x")
    for notice in (bare, replace(NOTICE, notice=kind)):
        event: Any = cdevent(notice)
        name = event["context"]["type"]
        assert name == TYPES[kind]
        assert set(event["context"]) == {"specversion", "id", "source", "type", "timestamp"}
        assert all(event["context"].values())
        assert set(event["subject"]) == {"id", "content"}
        assert event["subject"]["id"]
        assert datetime.fromisoformat(event["context"]["timestamp"]).tzinfo is not None
        if name.startswith("dev.cdeventsx."):
            assert re.fullmatch(r"dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]", name)
        else:
            assert set(event["subject"]["content"]) == {"environment", "artifactId"}


def test_a_notice_keeps_the_identity_of_its_event() -> None:
    event = notice_event(replace(NOTICE, id="", at=None), cause="5f0c/17", now=AT)
    assert notice_of(event) == NOTICE


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(400, Invalid, id="bad-request"),
        pytest.param(403, Denied, id="forbidden"),
        pytest.param(404, Absent, id="no-such-webhook"),
        pytest.param(410, Absent, id="archived"),
        pytest.param(429, Unavailable, id="too-many"),
        pytest.param(500, Unavailable, id="down"),
        pytest.param(307, Invalid, id="a-redirect-is-not-followed"),
    ],
)
@pytest.mark.parametrize("kind", ["Slack", "GoogleChat", "Webhook"])
def test_a_refusal_is_our_error_and_does_not_tell_the_url(
    receiver: Receiver, kind: str, status: int, error: type[PointsmanError]
) -> None:
    receiver.status = status
    with pytest.raises(error) as raised:
        connected(kind, f"{receiver.url}/hunter2").send(NOTICE)
    assert raised.value.where == "oncall"
    assert "hunter2" not in str(raised.value)
    assert len(receiver.requests) == 1


def test_a_silent_receiver_is_unavailable_and_its_url_untold(free_port: Callable[[], int]) -> None:
    with pytest.raises(Unavailable) as raised:
        connected("Slack", f"http://127.0.0.1:{free_port()}/hunter2").send(NOTICE)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://hooks.example/hunter2", id="not-encrypted"),
        pytest.param("file:///hunter2", id="another-scheme"),
        pytest.param("hunter2", id="no-url"),
        pytest.param("https:///hunter2", id="no-host"),
        pytest.param("https://hooks.example/hunter2\n", id="a-line-break"),
        pytest.param("https://hooks.example/ hunter2", id="a-space"),
        pytest.param("https://[hunter2", id="a-broken-address"),
    ],
)
def test_a_url_that_is_not_https_is_refused_unquoted(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        connected("Webhook", url).send(NOTICE)
    assert "hunter2" not in str(raised.value)


def test_a_channel_needs_a_url_or_a_secret_that_is_there() -> None:
    with pytest.raises(Invalid, match="neither a secret nor a URL"):
        channels.connect(ChannelRef("oncall", "Webhook"), Held())
    with pytest.raises(Absent):
        channels.connect(ChannelRef("oncall", "Slack", secret="none"), Held())


def test_the_console_gets_one_line_without_control_characters() -> None:
    out = io.StringIO()
    channels.Console(out).send(replace(NOTICE, title="bad\x1b[31m", text="two\nlines"))
    assert out.getvalue() == "bad[31m: two lines\n"


def statuses(receiver: Receiver, kind: str, token: str = "t0ken") -> Channel:
    host = "github.com" if kind == "github" else "gitlab.com"
    path = "acme/config" if kind == "github" else "acme/ml/config"
    return CommitStatuses(Forge(kind, host, receiver.url, path), token, Poster())


@pytest.mark.parametrize(
    ("notice", "github", "gitlab"),
    [
        ("ApprovalNeeded", "pending", "running"),
        ("RolloutStarted", "pending", "running"),
        ("RolloutHeld", "pending", "running"),
        ("RolloutPromoted", "success", "success"),
        ("RolloutRolledBack", "failure", "failed"),
        ("RolloutFailed", "failure", "failed"),
        ("DocumentsRefused", "failure", "failed"),
    ],
)
def test_a_notice_of_a_commit_is_its_status(receiver: Receiver, notice: NoticeKind, github: str, gitlab: str) -> None:
    told = replace(NOTICE, notice=notice, repository=None, title="x" * 300)
    statuses(receiver, "github").send(told)
    statuses(receiver, "gitlab").send(told)
    (path, headers, body), (other_path, other_headers, other_body) = receiver.requests
    assert path == f"/repos/acme/config/statuses/{COMMIT}"
    assert headers["Authorization"] == "Bearer t0ken"
    assert json.loads(body) == {
        "state": github,
        "context": "pointsman/nlp/chat",
        "description": "x" * 139 + "…",
        "target_url": "https://page.example/r/5f0c|x",
    }
    assert other_path == f"/projects/acme%2Fml%2Fconfig/statuses/{COMMIT}"
    assert other_headers["PRIVATE-TOKEN"] == "t0ken"
    assert json.loads(other_body) == {
        "state": gitlab,
        "name": "pointsman/nlp/chat",
        "description": "x" * 254 + "…",
        "target_url": "https://page.example/r/5f0c|x",
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("promoted", "success", id="a-pushed-revert-that-is-done"),
        pytest.param("giving_back", "failure", id="a-canary-that-is-given-back"),
        pytest.param("rolled_back", "failure", id="an-undo"),
    ],
)
def test_a_way_back_is_good_for_the_commit_that_asked_for_it(receiver: Receiver, state: str, expected: str) -> None:
    statuses(receiver, "github").send(replace(NOTICE, notice="RolloutRolledBack", repository=None, state=state))
    assert json.loads(receiver.requests[0][2])["state"] == expected


def test_a_commit_that_is_superseded_is_no_longer_pending(receiver: Receiver) -> None:
    told = replace(NOTICE, notice="RolloutRolledBack", repository=None, state="superseded")
    statuses(receiver, "github").send(told)
    statuses(receiver, "gitlab").send(told)
    assert [json.loads(body)["state"] for _, _, body in receiver.requests] == ["error", "canceled"]


@pytest.mark.parametrize(
    "notice",
    [
        pytest.param(replace(NOTICE, commit=None), id="no-commit"),
        pytest.param(replace(NOTICE, commit="main"), id="no-hash"),
        pytest.param(replace(NOTICE, notice="PoolScaled"), id="says-nothing-of-a-commit"),
        pytest.param(replace(NOTICE, repository="https://github.com/other/config"), id="another-repository"),
        pytest.param(replace(NOTICE, repository="https://evil.example/acme/config"), id="another-host"),
    ],
)
def test_other_notices_are_no_status(receiver: Receiver, notice: Notice) -> None:
    statuses(receiver, "github").send(notice)
    assert receiver.requests == []


def test_a_status_that_gitlab_already_has_is_fine(receiver: Receiver) -> None:
    receiver.status = 400
    statuses(receiver, "gitlab").send(replace(NOTICE, repository=None))
    with pytest.raises(Invalid):
        statuses(receiver, "github").send(replace(NOTICE, repository=None))


def test_a_token_that_no_header_takes_is_not_quoted(receiver: Receiver) -> None:
    with pytest.raises(Invalid) as raised:
        statuses(receiver, "github", "hunter2\nX-Evil: 1").send(NOTICE)
    assert "hunter2" not in str(raised.value)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://github.com/acme/config.git", ("github", "https://api.github.com", "acme/config")),
        ("https://GitHub.com/acme/config/", ("github", "https://api.github.com", "acme/config")),
        ("git@github.com:acme/config.git", ("github", "https://api.github.com", "acme/config")),
        ("ssh://git@github.com/acme/config.git", ("github", "https://api.github.com", "acme/config")),
        ("//github.com/acme/config", ("github", "https://api.github.com", "acme/config")),
        ("https://github.acme.com/ml/config", ("github", "https://github.acme.com/api/v3", "ml/config")),
        ("https://gitlab.com/acme/ml/config.git", ("gitlab", "https://gitlab.com/api/v4", "acme/ml/config")),
        ("https://gitlab.acme.com/ml/config", ("gitlab", "https://gitlab.acme.com/api/v4", "ml/config")),
        (
            "https://github.com.evil.example/acme/config",
            ("github", "https://github.com.evil.example/api/v3", "acme/config"),
        ),
        ("https://git.acme.com/ml/config", None),
        ("https://notgithub.com/acme/config", None),
        ("http://127.0.0.1:8080/local/config.git", None),
        ("https://github.com/acme", None),
        ("", None),
    ],
)
def test_a_repositorys_host_tells_whose_api_it_has(repository: str, expected: tuple[str, str, str] | None) -> None:
    forge = forge_of(repository)
    assert (forge and (forge.kind, forge.api, forge.path)) == expected


@pytest.mark.parametrize(
    ("repository", "token", "expected"),
    [
        pytest.param("https://github.com/acme/config", "repo-token", True, id="github"),
        pytest.param("https://github.com/acme/config", "", False, id="no-token"),
        pytest.param("http://127.0.0.1:8080/local/config.git", "repo-token", False, id="a-laptop"),
    ],
)
def test_statuses_are_there_with_a_known_host_and_a_token(repository: str, token: str, expected: bool) -> None:
    settings = Settings("lab", "us-central1", "c1", repository=repository, repository_token=token)
    assert commit_statuses.available(settings) is expected
    if not expected:
        with pytest.raises(Invalid):
            commit_statuses.connect(settings, Held())
