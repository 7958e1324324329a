"""At least once in, exactly once in effect: what deliver answers, and what the ledger then says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.handlers.fakes import Crash, FakeLedger, World, at

from pointsman.core.events import REPO_PUSHED, Event
from pointsman.core.records import EventRecord, HeadRecord
from pointsman.errors import Conflict, Denied, Invalid, Unavailable
from pointsman.handlers.delivery import LEASE, Answer, Outcome, deliver, incoming
from pointsman.ports import Saved, Write

EVENT = Event("7a0c0001", "//github.com/acme-ml/model-config", REPO_PUSHED, at(), "refs/heads/main@2f22", {"ref": "x"})


class Lines:
    """The log, kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def __call__(self, event: str, *, severity: str = "INFO", **fields: object) -> None:
        self.lines.append({"event": event, "severity": severity, **fields})


class Handler:
    """Does its one effect, a record of its own, in the same save as its intent, as handlers do."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.ledger = ledger
        self.calls = 0

    def __call__(self, event: Event) -> Outcome:
        self.calls += 1
        claim = self.ledger.read(EventRecord, event.key)
        assert claim is not None
        if not claim.record.led_to:
            done = replace(claim.record, led_to=("r1",))
            self.ledger.save([Write(done, claim), Write(HeadRecord("repo", "main", "2f22", at()))])
        return Outcome("applied", "one service changed", ("r1",))


def send(ledger: FakeLedger, handle: Callable[[Event], Outcome], seconds: float = 0, event: Event = EVENT) -> Answer:
    return deliver(event, handle, ledger=ledger, now=at(seconds), log=Lines())


def record(ledger: FakeLedger) -> EventRecord:
    return ledger.get(EventRecord, EVENT.key)


def test_a_delivery_is_claimed_handled_and_done() -> None:
    ledger = FakeLedger()
    assert send(ledger, Handler(ledger))[:2] == ("applied", 200)
    done = record(ledger)
    assert (done.state, done.result, done.reason, done.led_to) == ("done", "applied", "one service changed", ("r1",))
    assert (done.attempts, done.deliveries) == (1, 1)
    assert done.expires_at == at() + timedelta(days=30)


def test_three_deliveries_are_one_event_with_one_effect() -> None:
    ledger = FakeLedger()
    handle = Handler(ledger)
    assert [send(ledger, handle, seconds)[1] for seconds in (0, 1, 2)] == [200, 200, 200]
    assert handle.calls == 1
    assert record(ledger).deliveries == 3
    assert len(ledger.all(EventRecord)) == 1


def test_while_another_delivery_works_the_answer_is_429_without_work() -> None:
    ledger = FakeLedger()
    statuses: list[int] = []

    def slow(event: Event) -> Outcome:
        statuses.append(send(ledger, Handler(ledger), 59)[1])
        return Outcome("ignored", "nothing to do")

    assert send(ledger, slow)[1] == 200
    assert statuses == [429]
    assert record(ledger).result == "ignored"


def test_two_first_deliveries_race_and_one_is_told_to_come_again() -> None:
    ledger = FakeLedger(World(failing={"ledger.save": [Conflict("somebody wrote first")]}))
    handle = Handler(ledger)
    assert send(ledger, handle)[1] == 429
    assert handle.calls == 0


@pytest.mark.parametrize(
    ("error", "status", "result"),
    [
        pytest.param(Invalid("no such field"), 200, "rejected", id="the-users-mistake-is-recorded"),
        pytest.param(Denied("no access"), 200, "rejected", id="what-cannot-succeed-is-recorded"),
        pytest.param(Unavailable("does not answer"), 503, "", id="transient-comes-back"),
        pytest.param(Conflict("moved"), 503, "", id="a-lost-race-comes-back"),
        pytest.param(KeyError("secret"), 500, "", id="our-mistake-comes-back"),
    ],
)
def test_what_a_handler_raises_decides_the_answer(error: Exception, status: int, result: str) -> None:
    ledger, log = FakeLedger(), Lines()

    def failing(event: Event) -> Outcome:
        raise error

    answer = deliver(EVENT, failing, ledger=ledger, now=at(), log=log)
    assert answer[1] == status
    assert ("Retry-After" in answer[2]) == (status == 503)
    assert record(ledger).result == result
    assert record(ledger).state == ("done" if result else "leased")
    assert "secret" not in str(log.lines)


def test_a_failed_attempt_gives_its_lease_back_and_says_why() -> None:
    ledger = FakeLedger()

    def failing(event: Event) -> Outcome:
        raise Unavailable("the repository does not answer")

    assert send(ledger, failing)[1] == 503
    assert record(ledger).reason == "the repository does not answer"
    assert send(ledger, Handler(ledger), 10)[1] == 200
    assert (record(ledger).attempts, record(ledger).deliveries) == (2, 2)


@pytest.mark.parametrize("call", ["ledger.read", "ledger.save"])
def test_a_ledger_out_of_reach_is_503(call: str) -> None:
    ledger = FakeLedger(World(failing={call: [Unavailable("no answer")]}))
    handle = Handler(ledger)
    assert send(ledger, handle)[1] == 503
    assert handle.calls == 0


def test_a_count_that_cannot_be_saved_is_no_reason_to_come_again() -> None:
    ledger = FakeLedger()
    send(ledger, Handler(ledger))
    ledger.world.failing["ledger.save"] = [Conflict("moved")]
    assert send(ledger, Handler(ledger), 1)[1] == 200


@pytest.mark.parametrize("crash_after", range(8))
def test_a_crash_between_any_two_calls_loses_nothing_and_doubles_nothing(crash_after: int) -> None:
    ledger = FakeLedger(World(crash_after=crash_after))
    handle = Handler(ledger)
    crashed = False
    try:
        send(ledger, handle)
    except Crash:
        crashed = True
    assert crashed == (crash_after < 7), "six calls: read, claim, read, effect, read, done"
    ledger.world.restart()
    if crashed and crash_after not in (0, 1, 6):
        assert send(ledger, handle, 30)[1] in (200, 429), "its lease stands, unless it was done"
    assert send(ledger, handle, LEASE.total_seconds())[1] == 200
    assert record(ledger).state == "done"
    assert record(ledger).led_to == ("r1",)
    assert len(ledger.all(HeadRecord)) == 1


def test_a_delivery_that_lost_its_lease_loses_its_save_too() -> None:
    ledger = FakeLedger()

    def slow(event: Event) -> Outcome:
        before = ledger.read(EventRecord, event.key)
        assert isinstance(before, Saved)
        assert send(ledger, Handler(ledger), 61)[1] == 200
        ledger.save([Write(replace(before.record, led_to=("r2",)), before), Write(HeadRecord("repo", "b", "1", at()))])
        raise AssertionError("the other delivery has written the claim")

    assert send(ledger, slow)[1] == 503
    assert record(ledger).led_to == ("r1",)
    assert [head.branch for head in ledger.all(HeadRecord)] == ["main"]


def test_a_request_that_nobody_can_read_is_recorded_as_rejected() -> None:
    ledger = FakeLedger()
    event, unread = incoming({"x-goog-pubsub-message-id": "9"}, b"[", at())
    answer = deliver(event, Handler(ledger), ledger=ledger, now=at(), log=Lines(), unread=unread)
    assert answer[1] == 200
    rejected = ledger.get(EventRecord, event.key)
    assert rejected.result == "rejected"
    assert "payload unwrapping" in rejected.reason
