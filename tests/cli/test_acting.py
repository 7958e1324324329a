"""Commands that act: what is posted, what is said, and what becomes of a refusal."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.cli.ledger_samples import NEW, OLD, rollout, service

ID = "aaaa1111bbbb2222"


class Function:
    """The function `command`: answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: object = {"command": "c-1", "state": "stepping"}
        self.asked: list[tuple[str, str, Any]] = []
        function = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                function.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
                content = (
                    function.answer if isinstance(function.answer, bytes) else json.dumps(function.answer).encode()
                )
                self.send_response(function.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def function(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    function = Function()
    thread = threading.Thread(target=function.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("POINTSMAN_COMMAND_URL", function.url)
    monkeypatch.setenv("POINTSMAN_IDENTITY_TOKEN", "a.b.c")
    ledger.put(service(owner=ID), rollout(ID, want=25, seen=25))
    yield function
    function.server.shutdown()
    thread.join()
    function.server.server_close()


@pytest.mark.parametrize("verb", ["promote", "abort", "approve", "pause", "resume", "skip"])
def test_a_command_about_a_rollout_names_the_one_that_runs(pointsman: Any, function: Function, verb: str) -> None:
    ran = pointsman(verb, "digits", "--why", "it smells")
    assert (ran.status, ran.out) == (0, "")
    assert function.asked == [
        (f"/{verb}", "Bearer a.b.c", {"service": "demo/digits", "rollout": ID, "why": "it smells"})
    ]
    assert ran.err.splitlines()[0] == f"demo/digits: {verb} recorded, state stepping"
    assert ran.err.splitlines()[-1] == "  see: pointsman why digits -n demo"


@pytest.mark.parametrize("verb", ["undo", "retry", "unblock"])
def test_a_command_about_a_service_names_no_rollout(pointsman: Any, function: Function, verb: str) -> None:
    assert pointsman(verb, "digits", "-n", "demo").status == 0
    assert function.asked == [(f"/{verb}", "Bearer a.b.c", {"service": "demo/digits", "rollout": None, "why": ""})]


def test_a_rollout_that_has_ended_is_not_named(pointsman: Any, function: Function, ledger: Any) -> None:
    ledger.put(rollout(ID, "promoted"))
    function.answer = {"command": None, "state": "promoted"}
    ran = pointsman("abort", "digits")
    assert function.asked[0][2]["rollout"] is None
    assert ran.status == 0
    assert ran.err.splitlines() == [
        "demo/digits: nothing to abort, its last rollout has ended: promoted",
        "  see: pointsman why digits -n demo",
    ]


def test_a_rollout_that_waits_is_named_when_none_owns_the_service(
    pointsman: Any, function: Function, ledger: Any
) -> None:
    ledger.put(service(owner=None, next="cccc"), rollout("cccc", "queued"))
    pointsman("abort", "digits")
    assert function.asked[0][2]["rollout"] == "cccc"


def test_what_moves_traffic_says_weights_before_and_after_and_the_way_back(pointsman: Any, function: Function) -> None:
    assert pointsman("promote", "digits", "--why", "checked by hand").err.splitlines() == [
        "demo/digits: promote recorded, state stepping",
        f"  {NEW}: 25 % → 100 %",
        f"  {OLD}: 75 % → 0 %",
        "  way back: pointsman undo digits -n demo",
        "  see: pointsman why digits -n demo",
    ]
    assert pointsman("abort", "digits").err.splitlines()[1:4] == [
        f"  {NEW}: 25 % → 0 %",
        f"  {OLD}: 75 % → 100 %",
        "  to try again: pointsman retry digits -n demo",
    ]


def test_weights_that_stay_are_not_said(pointsman: Any, function: Function, ledger: Any) -> None:
    ledger.put(rollout(ID, "provisioning"))
    assert "%" not in pointsman("abort", "digits").err


@pytest.mark.parametrize("why", [[], ["--why", ""], ["--why", "  "]])
def test_promote_needs_a_reason(pointsman: Any, function: Function, why: list[str]) -> None:
    ran = pointsman("promote", "digits", *why)
    assert ran.status == 2
    assert ran.err == "error: promote needs a reason: --why TEXT — see: pointsman promote --help\n"
    assert function.asked == []


# --- the whole line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "state"), [("pause", "stopped"), ("resume", "running")])
def test_the_whole_line_is_stopped_and_started(pointsman: Any, function: Function, verb: str, state: str) -> None:
    function.answer = {"command": "c-1", "state": state}
    ran = pointsman(verb, "--all", "--why", "peak trade")
    assert ran.status == 0
    assert function.asked == [(f"/{verb}", "Bearer a.b.c", {"service": "*", "rollout": None, "why": "peak trade"})]
    assert ran.err.splitlines()[0] == f"every service: {verb} recorded, state {state}"
    assert ("  to go on: pointsman resume --all" in ran.err.splitlines()) is (verb == "pause")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["pause"], "missing argument 'SERVICE', or --all — see: pointsman pause --help", id="neither"),
        pytest.param(
            ["resume", "digits", "--all"],
            "--all is of every service: name none — see: pointsman resume --help",
            id="both",
        ),
        pytest.param(["abort"], "missing argument 'SERVICE' — see: pointsman abort --help", id="abort-without"),
        pytest.param(["abort", "--all"], "no such option '--all' — see: pointsman abort --help", id="abort-all"),
    ],
)
def test_a_command_is_about_one_service_or_where_it_can_be_about_all(
    pointsman: Any, function: Function, words: list[str], said: str
) -> None:
    ran = pointsman(*words)
    assert (ran.status, ran.err) == (2, f"error: {said}\n")
    assert function.asked == []


# --- delete -------------------------------------------------------------------------------------------------------


def test_delete_asks_for_yes_where_nobody_can_be_asked(pointsman: Any, function: Function) -> None:
    ran = pointsman("delete", "digits")
    assert ran.status == 2
    assert ran.err == "error: this takes demo/digits off the air: say --yes — see: pointsman delete --help\n"
    assert function.asked == []


def test_delete_with_yes_is_sent(pointsman: Any, function: Function) -> None:
    assert pointsman("delete", "digits", "--yes").status == 0
    assert function.asked[0][0] == "/delete"


@pytest.mark.parametrize(("answer", "status", "sent"), [(True, 0, 1), (False, 130, 0)])
def test_delete_asks_who_sits_at_a_terminal(
    pointsman: Any, function: Function, monkeypatch: pytest.MonkeyPatch, answer: bool, status: int, sent: int
) -> None:
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "y" if answer else "n")
    assert pointsman("delete", "digits").status == status
    assert len(function.asked) == sent


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "exits", "said"),
    [
        pytest.param(
            400,
            {"code": "invalid", "what": "rollout x is completing", "where": "demo/digits", "remedy": "pointsman abort"},
            1,
            "demo/digits: rollout x is completing — pointsman abort",
            id="refused",
        ),
        pytest.param(
            403,
            {"code": "denied", "what": "eve is no owner", "where": "demo/digits", "remedy": "ask one of ada"},
            1,
            "demo/digits: eve is no owner — ask one of ada",
            id="no-owner",
        ),
        pytest.param(
            401,
            b"401 Unauthorized",
            1,
            '{url}: your identity was not taken — renew it: eval "$(pointsman local env)"',
            id="identity-not-taken",
        ),
        pytest.param(403, b"403 Forbidden", 1, "status 403", id="stopped-before-the-function"),
        pytest.param(
            503,
            {"code": "unavailable", "what": "the ledger does not answer", "where": "ledger", "remedy": ""},
            4,
            "ledger: the ledger does not answer — try again; if it stays: see its logs",
            id="unavailable",
        ),
        pytest.param(500, b"<html>", 4, "{url}: status 500 — try again; if it stays: see its logs", id="broken"),
    ],
)
def test_a_refusal_is_said_in_its_own_words(
    pointsman: Any, function: Function, status: int, answer: object, exits: int, said: str
) -> None:
    function.status, function.answer = status, answer
    ran = pointsman("abort", "digits")
    assert (ran.status, ran.out, ran.err) == (exits, "", f"error: {said.format(url=function.url)}\n")


def test_a_function_out_of_reach_is_status_4(
    pointsman: Any, function: Function, monkeypatch: pytest.MonkeyPatch, free_port: Any
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("POINTSMAN_COMMAND_URL", url)
    ran = pointsman("abort", "digits")
    assert (ran.status, ran.err) == (
        4,
        f"error: {url}: the function `command` does not answer — pointsman local status\n",
    )


def test_without_its_address_it_says_where_to_get_one(
    pointsman: Any, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POINTSMAN_COMMAND_URL")
    ran = pointsman("abort", "digits")
    assert ran.status == 1
    assert ran.err.startswith("error: environment: POINTSMAN_COMMAND_URL is not set — on a laptop: eval")
    assert ran.err.count("\n") == 1
