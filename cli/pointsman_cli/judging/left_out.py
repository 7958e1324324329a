"""What did not count, and why: ticks without data, metrics that were silent, pods that began anew, mended records."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import cast

from pointsman_cli.judging.course import Course, Moment
from pointsman_cli.judging.lengths import length_text

__all__ = ["CAUSES", "left_out", "ticks_text"]

CAUSES = {
    "no-data": "one side had no requests, or the canary's share had only begun",
    "source-down": "the metrics could not be read",
    "stable-unhealthy": "stable itself was failing, so nothing was held against the canary",
    "bad-pod": "one pod of the canary was bad, and not the version",
}
"""Why a verdict is `hold`, in words."""

GAP_S = 0.5
"""Ticks follow one another; a longer time between two is a tick that is lost."""

NAMED_MAX = 5


def left_out(course: Course) -> Iterator[str]:
    """A sentence for each reason, most frequent first."""
    moments = course.decided().moments
    causes = Counter(cause for moment in moments if (cause := moment.verdict.numbers.get("cause")))
    for cause, count in causes.most_common():
        yield f"{ticks_text(count)}: {CAUSES.get(str(cause), str(cause))}."
    for (name, why), count in _silent(course, moments).most_common():
        yield f"{ticks_text(count)} of {name}: {why}."
    yield from _pods(moments)
    mended = Counter(
        note for moment in moments for note in cast("Sequence[str]", moment.verdict.numbers.get("repairs") or ())
    )
    for text, count in mended.most_common():
        yield f"{ticks_text(count)}: {text}."
    gaps = [(after.tick.since - before.tick.until).total_seconds() for before, after in pairwise(moments)]
    missing = [gap for gap in gaps if gap > GAP_S]
    if missing:
        times = "once" if len(missing) == 1 else f"{len(missing)} times"
        yield (
            f"{length_text(sum(missing))} between ticks, {times}: the counters are cumulative, so that the next tick "
            "has those counts."
        )


def _silent(course: Course, moments: Sequence[Moment]) -> Counter[tuple[str, str]]:
    """Metrics that said nothing in ticks that others were judged by."""
    return Counter(
        (metric.name, why)
        for moment in moments
        if not moment.verdict.numbers.get("cause")
        for metric in course.metrics
        if (why := moment.metric(metric.name).silent)
    )


def _pods(moments: Sequence[Moment]) -> Iterator[str]:
    numbers = moments[-1].verdict.numbers
    for pod in cast("Sequence[str]", numbers.get("replaced_pods") or ()):
        yield f"{pod}: it alone was bad, and is not counted any more; the pod is at fault, not the version."
    anew = _began_anew(moments)
    if anew:
        more = f" and {len(anew) - NAMED_MAX} more" if len(anew) > NAMED_MAX else ""
        yield f"{', '.join(anew[:NAMED_MAX])}{more} began anew meanwhile: what was not read before that is not known."
    parity = numbers.get("load_parity")
    if numbers.get("latency_is_proof") is False and isinstance(parity, (int, float)):
        yield (
            f"Latency that speaks for the canary: it carries {parity:.2g} times stable's load per pod, and would be "
            "the faster one anyway."
        )


def _began_anew(moments: Sequence[Moment]) -> list[str]:
    """Pods whose counters went back to zero, in the order in which they did."""
    seen: dict[tuple[str, str], tuple[datetime, int]] = {}
    found: dict[str, None] = {}
    for moment in moments:
        for arm in (moment.tick.canary, moment.tick.baseline):
            for pod in arm.pods:
                last = seen.get((pod.metric_set, pod.pod))
                if pod.pod != "*" and last is not None and (last[0] != pod.started_at or pod.requests < last[1]):
                    found[pod.pod] = None
                seen[pod.metric_set, pod.pod] = pod.started_at, pod.requests
    return list(found)


def ticks_text(count: int) -> str:
    return "1 tick" if count == 1 else f"{count} ticks"
