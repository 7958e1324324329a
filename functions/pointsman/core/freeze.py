"""Freeze windows: when nothing may move on. Going back is always allowed, and never asked here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a rollout without windows, which most are, need not pay for the models of documents
    from pointsman.documents.platform import FreezeWindow

__all__ = ["Freeze", "frozen"]

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Freeze:
    """What stands still, by which window. `until` is None where no end is known."""

    name: str
    reason: str
    stops: Literal["NewRollouts", "WeightIncreases"]
    until: datetime | None

    @property
    def holds_running(self) -> bool:
        """Whether a running rollout's weight may not rise either."""
        return self.stops == "WeightIncreases"

    def __str__(self) -> str:
        text = f"freeze window {self.name}" + (f": {self.reason}" if self.reason else "")
        return text + (f", until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "")


def frozen(
    windows: "Sequence[FreezeWindow]", labels: Mapping[str, str], namespace: str, now: datetime
) -> Freeze | None:
    """The freeze that a service is under at `now`, or None.

    A Deny window that is open freezes; where Allow windows select the service, it is frozen outside them, and Deny
    wins inside. Of several freezes the one is given that also holds running rollouts, then the one that ends last.
    """
    found: list[Freeze] = []
    allowed: list[tuple[FreezeWindow, _Opening]] = []
    for window in windows:
        if not _selects(window, labels, namespace):
            continue
        opening = _opening(window, now)
        if window.effect == "Allow":
            allowed.append((window, opening))
        elif opening.closes is not None:
            found.append(_freeze(window, opening.closes))
    if allowed and all(opening.closes is None for _, opening in allowed):
        window, opening = min(allowed, key=lambda item: item[1].opens)
        found.append(_freeze(window, opening.opens))
    return max(found, key=lambda freeze: (freeze.holds_running, freeze.until or _NEVER), default=None)


@dataclass(frozen=True, slots=True)
class _Opening:
    """Until when a window is open (None: it is not), and else when it opens next."""

    closes: datetime | None
    opens: datetime = _NEVER


def _freeze(window: "FreezeWindow", until: datetime) -> Freeze:
    return Freeze(window.name, window.reason or "", window.stops, None if until == _NEVER else until)


def _selects(window: "FreezeWindow", labels: Mapping[str, str], namespace: str) -> bool:
    if window.namespaces is not None and namespace not in window.namespaces:
        return False
    return window.selector is None or window.selector.matches(dict(labels))


def _opening(window: "FreezeWindow", now: datetime) -> _Opening:
    if window.schedule is None or window.duration is None:
        if window.start is not None and now < window.start:
            return _Opening(None, window.start)
        return _Opening(None) if window.end is not None and now >= window.end else _Opening(window.end or _NEVER)
    return _recurring(window.schedule, window.duration, window.time_zone, now)


def _recurring(schedule: str, length: str, time_zone: str, now: datetime) -> _Opening:
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

    from pointsman.documents.scalars import duration

    local = now.astimezone(ZoneInfo(time_zone))
    # An opening at f covers f ≤ now < f + length. Local times add as wall clocks do, hence UTC before adding.
    last = next(CronSim(schedule, local + timedelta(microseconds=1), reverse=True), None)
    if last is not None and now < (closes := last.astimezone(UTC) + duration(length)):
        return _Opening(closes)
    following = next(CronSim(schedule, local), None)
    return _Opening(None, following.astimezone(UTC) if following is not None else _NEVER)
