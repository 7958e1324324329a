"""Telling people: which channels a notice goes to, and its publication."""

from collections.abc import Sequence
from datetime import datetime

from pointsman.core.notices import ChannelRef, Notice, NoticeKind, notice_event
from pointsman.documents.platform import ChannelSettings, Platform
from pointsman.ports import Bus

__all__ = ["TOPIC", "channels", "tell"]

TOPIC = "notices"


def channels(
    platform: Platform | None, kind: NoticeKind, *, namespace: str | None = None, names: Sequence[str] | None = None
) -> tuple[ChannelRef, ...]:
    """The channels of a notice: those `names`d, which get everything; else the namespace's or the Platform's own,
    of which each gets the notices it asks for."""
    if platform is None:
        return ()
    spec = platform.spec
    if names is not None:
        return tuple(_ref(channel) for channel in spec.channels if channel.name in names)
    tenant = platform.namespace(namespace) if namespace else None
    own = tenant.channels if tenant is not None else None
    wanted = own if own is not None else spec.defaults.channels or ()
    return tuple(
        _ref(channel)
        for channel in spec.channels
        if channel.name in wanted and (channel.notices is None or kind in channel.notices)
    )


def tell(bus: Bus, notice: Notice, *, cause: str, now: datetime) -> None:
    """Publish a notice; `cause` as in `notice_event`."""
    bus.publish(TOPIC, notice_event(notice, cause=cause, now=now))


def _ref(channel: ChannelSettings) -> ChannelRef:
    return ChannelRef(channel.name, channel.type, channel.secret, channel.url)
