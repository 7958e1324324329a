"""A notice goes to its channels, and into the log, where a laptop's console shows it.

There is no ledger here, so which channel already has a notice is not remembered: a delivery that reached some
channels is acknowledged, since a repeat would tell those the same again, up to twenty times.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from pointsman.core.events import Event
from pointsman.core.notices import ChannelRef, Notice, notice_of
from pointsman.errors import PointsmanError
from pointsman.handlers.delivery import RETRY_AFTER_S, Answer, Outcome, incoming
from pointsman.ports import Channel, Log

__all__ = ["handle", "receive"]


def receive(
    headers: Mapping[str, str],
    body: bytes,
    *,
    channel: Callable[[ChannelRef], Channel],
    statuses: Callable[[], Channel] | None,
    now: datetime,
    log: Log,
) -> Answer:
    """Answer one delivery: 503 when nobody could be reached and somebody may be later, otherwise 200."""
    event, unread = incoming(headers, body, now)
    try:
        if unread:
            log("notice-rejected", severity="ERROR", reason=unread)
        else:
            handle(event, channel=channel, statuses=statuses, log=log)
    except PointsmanError as error:
        if error.retry:
            return error.code, 503, {"Retry-After": str(RETRY_AFTER_S)}
        log("notice-rejected", severity="ERROR", code=error.code, reason=str(error), id=event.id)
    return "", 200, {}


def handle(
    event: Event, *, channel: Callable[[ChannelRef], Channel], statuses: Callable[[], Channel] | None, log: Log
) -> Outcome:
    """Send one notice to each of its channels and, where it names a commit, as that commit's status.

    Raises the last transient error when no channel could be reached; Invalid for what is no notice.
    """
    notice = notice_of(event)
    _print(notice, log)
    targets: list[tuple[str, Callable[[], Channel]]] = [(ref.name, partial(channel, ref)) for ref in notice.channels]
    if statuses is not None and notice.commit:
        targets.append(("commit status", statuses))
    failures = {name: _send(name, connect, notice, log) for name, connect in targets}
    reached = [name for name, error in failures.items() if error is None]
    transient = [error for error in failures.values() if error is not None and error.retry]
    if transient and not reached:
        raise transient[-1]
    return Outcome("applied", f"{notice.notice} sent to {', '.join(reached) or 'the log alone'}")


def _print(notice: Notice, log: Log) -> None:
    log(
        "notice",
        severity="NOTICE",
        notice=notice.notice,
        title=notice.title,
        text=notice.text,
        service=notice.service,
        rollout=notice.rollout,
        revision=notice.revision,
        state=notice.state,
    )


def _send(name: str, connect: Callable[[], Channel], notice: Notice, log: Log) -> PointsmanError | None:
    try:
        connect().send(notice)
    except PointsmanError as error:
        log("notice-unsent", severity="ERROR", channel=name, code=error.code, reason=str(error))
        return error
    return None
