"""What a recording's head says of stable before the first tick. What of it is none is left out, and named."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from pointsman.core.judge.dispersion import CAPS, SPREAD_MAX
from pointsman.core.judge.memory import VERSION, Memory, seeded
from pointsman.core.judge.policy import JudgePolicy
from pointsman.core.judge.recording_head import COUNT_MAX, REQUESTS, Head, count_of, is_number
from pointsman.core.judge.tally import Tally
from pointsman.core.names import JSON

__all__ = ["begin", "left_out"]

CAPPED = (len(CAPS), len(CAPS) + 1)
"""φ is given for each cap, and perhaps for none at all."""


@dataclass(slots=True)
class _Past:
    tallies: dict[str, Tally] = field(default_factory=dict)
    phi: tuple[Sequence[float], Sequence[float]] = ((), ())
    tau: float | None = None
    left_out: list[str] = field(default_factory=list)


def begin(head: Head, policy: JudgePolicy | None = None) -> Memory:
    """The judge's memory before the first tick: what the head knew of stable."""
    if _is_carried(head):
        return Memory.of(head.carried, policy or head.policy)
    past = _read(head)
    return seeded(past.tallies, policy or head.policy, past.phi, past.tau)


def left_out(head: Head) -> list[str]:
    """What of the head's knowledge cannot be used, and why."""
    if _is_carried(head):
        return []
    found = _read(head).left_out
    return ["carried is no state of this release", *found] if head.carried else found


def _is_carried(head: Head) -> bool:
    return head.carried.get("v") == VERSION


def _read(head: Head) -> _Past:
    past = _Past()
    _read_requests(past, head)
    for name, (metric_set, edges) in head.histograms.items():
        value = head.history.get(name)
        if value is None:
            continue
        buckets = _numbers(value)
        if buckets is None or len(buckets) != len(edges) + 1:
            past.left_out.append(f"seed_history.{name} does not have the head's {len(edges) + 1} buckets of counts")
            continue
        tally = past.tallies.setdefault(metric_set, Tally())
        tally.edges_ms, tally.latency = edges, buckets
        tally.requests = tally.requests or sum(buckets)
    _read_spread(past, head.history)
    return past


def _read_requests(past: _Past, head: Head) -> None:
    requests, bad = head.history.get(REQUESTS), cast("JSON", head.history.get("bad") or {})
    answered = count_of(requests)
    if requests is None:
        return
    if answered is None or not isinstance(bad, dict):
        past.left_out.append("seed_history has no counts of requests and bad answers")
        return
    counts: dict[str, float] = {}
    for name, value in bad.items():
        count = count_of(value)
        if count is None or count > answered:
            past.left_out.append(f"seed_history.bad.{name} is no count of some of its {answered} answers")
        else:
            counts[head.classes.get(name, name)] = float(count)
    counted = next((of for of, field in head.fields.items() if field == REQUESTS), REQUESTS)
    past.tallies[counted] = Tally(float(answered), counts)


def _read_spread(past: _Past, history: JSON) -> None:
    phi, tau = history.get("phi"), history.get("tau")
    if phi is not None:
        known = _phis(phi)
        if known is None:
            past.left_out.append("seed_history.phi is not for caps 1, 3, 10, 30 and none, over one tick and over six")
        else:
            past.phi = known
    if tau is None:
        return
    if not is_number(tau, 0.0):
        past.left_out.append("seed_history.tau is no number from 0 on")
    elif not past.phi[0]:
        past.left_out.append("seed_history.tau says nothing without phi")
    else:
        past.tau = min(float(tau), SPREAD_MAX)
        if tau > SPREAD_MAX:
            past.left_out.append(f"seed_history.tau is {tau:g}: it counts as {SPREAD_MAX:g}")


def _phis(value: object) -> tuple[Sequence[float], Sequence[float]] | None:
    """φ for each cap over one tick, and over six where that is there: one list, the longer scale behind the shorter;
    two lists; or a pair for each cap."""
    if not isinstance(value, list):
        return None
    parts: list[object] = value
    if len(value) in CAPPED and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        parts = [[pair[scale] for pair in value] for scale in (0, 1)]
    elif len(value) in CAPPED:
        parts = [value]
    elif len(value) in (2 * CAPPED[0], 2 * CAPPED[1]):
        parts = [value[: len(value) // 2], value[len(value) // 2 :]]
    found = [phi for part in parts if (phi := _numbers(part)) is not None and len(phi) in CAPPED]
    if len(found) != len(parts) or len(found) not in (1, 2):
        return None
    return found[0], found[1] if len(found) == 2 else []


def _numbers(value: object) -> list[float] | None:
    if not isinstance(value, list) or not value or not all(is_number(each, 0, COUNT_MAX) for each in value):
        return None
    return [float(each) for each in value]
