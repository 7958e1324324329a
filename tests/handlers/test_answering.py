"""How refusals are said: in JSON, with the status that Workflows and people act on, and nothing of the request."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.handlers.plane import Lines

from pointsman.errors import Absent, Conflict, Denied, Invalid, QuotaExceeded, StockOut, Unavailable
from pointsman.handlers.answering import asked, guarded


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("no", where="w", remedy="r"), 400),
        (Absent("no"), 400),
        (StockOut("no"), 400),
        (QuotaExceeded("no"), 400),
        (Denied("no"), 403),
        (Unavailable("no"), 503),
        (Conflict("no"), 503),
    ],
)
def test_every_error_has_its_status_and_says_itself(error: Any, status: int) -> None:
    def call() -> Any:
        raise error

    text, given, headers = guarded("command", call, Lines())
    assert given == status
    assert json.loads(text) == {"code": error.code, "what": "no", "where": error.where, "remedy": error.remedy}
    assert ("Retry-After" in headers) == (status == 503)


def test_a_defect_is_told_by_its_place_and_quotes_nothing() -> None:
    log = Lines()

    def call() -> Any:
        raise KeyError("hunter2")

    text, status, _ = guarded("command", call, log)
    assert status == 500
    assert "hunter2" not in text + str(log.lines)
    (line,) = log.lines
    assert (line["severity"], line["event"], line["code"], line["error"]) == ("ERROR", "failed", "defect", "KeyError")
    assert str(line["where"]).startswith("test_answering.py:")


@dataclass
class Request:
    path: str
    json: Any

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        assert force
        assert silent
        return self.json


def test_a_verb_is_the_path_and_its_argument_the_body() -> None:
    text, status, headers = asked(Request("/claim", {"rollout": "r"}), lambda verb, body: {"v": verb, **body})
    assert (json.loads(text), status) == ({"v": "claim", "rollout": "r"}, 200)
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_anything_but_an_object_is_malformed(body: Any) -> None:
    with pytest.raises(Invalid):
        asked(Request("/claim", body), lambda verb, body: {})
