"""An event is claimed, handled, and marked done: at least once in, exactly once in effect.

The claim is taken in two steps, because one that said only "seen" would lose an event whose handler died: the
redelivery would be taken for a repeat. Between the two a lease stands for the delivery that works; a handler
writes its intent into the claim in the same save as what it decided, so that a delivery which lost its lease
loses that save too.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from pointsman.core.events import Event
from pointsman.core.records import EventRecord
from pointsman.errors import Conflict, Invalid, PointsmanError
from pointsman.handlers.envelope import decode, unreadable
from pointsman.ports import Ledger, Log, Saved, Write

__all__ = ["LEASE", "Answer", "Outcome", "deliver", "incoming", "place_of"]

LEASE = timedelta(seconds=60)
"""As long as a function may run: a delivery whose lease is over is dead."""
KEPT = timedelta(days=30)
RETRY_AFTER_S = 10
TOLD = timedelta(days=365)
"""What is older told no time (`envelope.decode`)."""

Answer = tuple[str, int, Mapping[str, str]]
"""Body, status and headers, as Flask takes them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event led to. `reason` is one sentence for `pointsman events list`."""

    result: Literal["applied", "ignored", "rejected"]
    reason: str
    led_to: tuple[str, ...] = ()


def incoming(headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[Event, str]:
    """The event in a request, and why it could not be read (empty: it could)."""
    try:
        return decode(headers, body), ""
    except Invalid as error:
        return unreadable(headers, body, now), str(error)


def deliver(
    event: Event, handle: Callable[[Event], Outcome], *, ledger: Ledger, now: datetime, log: Log, unread: str = ""
) -> Answer:
    """Handle one delivery of an event, and answer for Pub/Sub: 200 is an acknowledgement, all else comes back.

    200: dealt with, now or before; a rejected event too. 429: another delivery holds the claim, nothing was
    done. 503: something transient. 500: our mistake. `unread` is why the request could not be read: it is
    recorded as rejected, since a message that nobody can read would come back for ever.
    """
    about = {"trace": event.key, "key": event.key, "source": event.source, "id": event.id}
    age = now - event.time
    typed: dict[str, Any] = {"type": event.type, "age_s": age.total_seconds() if age < TOLD else None}
    try:
        claim = _claim(ledger, event, now)
    except Conflict:
        return _answer(429, "claimed by another delivery")
    except PointsmanError as error:
        log("claim-failed", severity="WARNING", **about, code=error.code, reason=str(error))
        return _answer(503, error.code)
    if claim is None:
        return _answer(429, "claimed by another delivery")
    if claim.record.state == "done":
        return _answer(200, claim.record.result)
    log("event-claimed", **about, **typed, attempt=claim.record.attempts)
    try:
        outcome = Outcome("rejected", unread) if unread else handle(event)
    except PointsmanError as error:
        if error.retry:
            log("event-delayed", severity="WARNING", **about, code=error.code, reason=str(error))
            _release(ledger, claim.record, str(error), now)
            return _answer(503, error.code)
        outcome = Outcome("rejected", str(error))
    except Exception as error:  # noqa: BLE001  # the one place: every other failure comes back, 20 times
        # Neither message nor traceback: both may quote the event, and with it what its sender calls secret.
        failed = {"code": "defect", "error": type(error).__name__, "where": place_of(error)}
        log("event-failed", severity="ERROR", **about, **failed)
        _release(ledger, claim.record, f"{type(error).__name__} in {place_of(error)}", now)
        return _answer(500, "defect")
    try:
        _finish(ledger, event, outcome)
    except PointsmanError as error:
        log("event-unfinished", severity="WARNING", **about, code=error.code, reason=str(error))
        return _answer(503, error.code)
    log("event-handled", **about, **typed, result=outcome.result, reason=outcome.reason)
    return _answer(200, outcome.result)


def _claim(ledger: Ledger, event: Event, now: datetime) -> Saved[EventRecord] | None:
    """The claim, taken by this delivery or done before; None while another delivery holds it."""
    found = ledger.read(EventRecord, event.key)
    if found is None:
        record = EventRecord(
            event=event.key,
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            received_at=now,
            payload_sha256=_digest(event.data),
            state="leased",
            lease_until=now + LEASE,
            expires_at=now + KEPT,
            sent_at=event.time if now - event.time < TOLD else None,
        )
    elif found.record.state == "done":
        with suppress(PointsmanError):  # a count for people: no reason to have the event delivered once more
            ledger.save([Write(replace(found.record, deliveries=found.record.deliveries + 1), found)])
        return found
    elif found.record.lease_until > now:
        return None
    else:
        record = replace(
            found.record,
            lease_until=now + LEASE,
            attempts=found.record.attempts + 1,
            deliveries=found.record.deliveries + 1,
        )
    ledger.save([Write(record, found)])
    return Saved(record, "")


def _finish(ledger: Ledger, event: Event, outcome: Outcome) -> None:
    # Read again: the handler has written its intent into the claim.
    found = ledger.read(EventRecord, event.key)
    if found is None or found.record.state == "done":
        return
    led_to = (*found.record.led_to, *(item for item in outcome.led_to if item not in found.record.led_to))
    done = replace(found.record, state="done", result=outcome.result, reason=outcome.reason, led_to=led_to)
    ledger.save([Write(done, found)])


def _release(ledger: Ledger, claim: EventRecord, reason: str, now: datetime) -> None:
    """Give the lease back with a note, so that the next delivery works at once instead of after the lease."""
    with suppress(PointsmanError):  # the lease ends by itself
        found = ledger.read(EventRecord, claim.key)
        if found is not None and found.record.state == "leased" and found.record.attempts == claim.attempts:
            ledger.save([Write(replace(found.record, lease_until=now, reason=reason), found)])


def _digest(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return sha256(raw).hexdigest()


def place_of(error: BaseException) -> str:
    """`file:line` where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"


def _answer(status: int, text: str) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return text, status, headers if status != 503 else {**headers, "Retry-After": str(RETRY_AFTER_S)}
