"""What people are told: one notice, as it is published on the topic `notices`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, cast, get_args

from pointsman.core.events import NOTICE, Event
from pointsman.errors import Invalid

__all__ = ["ChannelRef", "Notice", "NoticeKind", "notice_event", "notice_of"]

NoticeKind = Literal[
    "ApprovalNeeded",
    "RolloutStarted",
    "RolloutHeld",
    "RolloutPromoted",
    "RolloutRolledBack",
    "RolloutFailed",
    "ExperimentEnded",
    "PoolExhausted",
    "PoolScaled",
    "DocumentsRefused",
    "EventDropped",
    "ServiceOrphaned",
    "AlertFired",
]
"""All but the last are what a channel may ask for; an AlertRule's `notify` names its channels itself."""


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """A channel of the Platform; `secret` names the secret that holds its URL."""

    name: str
    type: Literal["Slack", "GoogleChat", "Webhook"]
    secret: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. It carries its channels, so that `notify` reads no ledger; `thread` groups a rollout's.

    `id` and `at` are those of the event that carried it; they are not part of what is published.
    """

    notice: NoticeKind
    title: str
    text: str
    channels: tuple[ChannelRef, ...] = ()
    service: str | None = None
    rollout: str | None = None
    revision: str | None = None
    pool: str | None = None
    repository: str | None = None
    commit: str | None = None
    state: str | None = None
    verdict: Mapping[str, object] | None = None
    url: str | None = field(default=None)
    id: str = ""
    at: datetime | None = None

    @property
    def thread(self) -> str:
        return self.rollout or self.service or self.pool or self.commit or self.notice


DATA_BYTES_MAX = 4096


def notice_event(notice: Notice, *, cause: str, now: datetime) -> Event:
    """The notice as it is published; a text too long for an event of 4 KiB is cut.

    `cause` is `<rollout>/<decision number>`, or where there is no rollout the key of what led to it: the same
    cause and notice are the same event.
    """
    subject = _subject(notice)
    data = _data(notice)
    for kept in (1500, 500, 100):
        if len(json.dumps(data).encode()) <= DATA_BYTES_MAX:
            break
        cut = notice.text if len(notice.text) <= kept else notice.text[:kept] + "…"
        data = _data(replace(notice, text=cut, verdict=None if kept == 100 else notice.verdict))
    return Event(
        id=cause if notice.rollout else f"{cause}/{notice.notice}",
        source=f"//pointsman/{subject}",
        type=NOTICE,
        time=now,
        subject=subject,
        data=data,
    )


def notice_of(event: Event) -> Notice:
    """The notice in an event. Raises Invalid when it is none."""
    data = dict(event.fields())
    channels = data.pop("channels", ())
    if event.type != NOTICE or data.get("notice") not in get_args(NoticeKind) or not isinstance(channels, Sequence):
        raise Invalid("the event is no notice", where=f"{event.type} {event.id}")
    known = {item.name for item in fields(Notice)} - {"id", "at"}
    try:
        refs = tuple(ChannelRef(**channel) for channel in channels)
        told = cast("dict[str, Any]", {name: data[name] for name in data if name in known})
        return Notice(channels=refs, id=event.id, at=event.time, **told)
    except TypeError as error:
        raise Invalid("the notice lacks a title, a text or a channel's name", where=event.id) from error


def _subject(notice: Notice) -> str:
    if notice.service:
        return notice.service
    return f"pools/{notice.pool}" if notice.pool else notice.repository or notice.notice


def _data(notice: Notice) -> dict[str, object]:
    data = asdict(notice)
    del data["id"], data["at"]
    data["channels"] = [
        {name: value for name, value in channel.items() if value is not None} for channel in data["channels"]
    ]
    return data
