"""A rollout of the ledger as a recording, which can be kept, mailed and judged again."""

import json
from collections.abc import Iterator, Sequence

from pointsman.core.judge.recording_lines import head_line, tick_line
from pointsman_cli.judging.course import Course, Moment

__all__ = ["lines"]


def lines(course: Course) -> Iterator[str]:
    """The lines of its file: the head, every tick with what was said of it, and what moved or was asked for."""
    head = head_line(
        course.policy,
        rollout=course.rollout,
        model=course.model,
        stable=course.stable,
        canary=course.canary,
        edges={metric.name: _edges(course, metric.metric_set) for metric in course.metrics if metric.kind == "Latency"},
        carried=course.carried,
    )
    yield _line(head)
    split = 0.0
    for moment in course.moments:
        tick = moment.tick
        if tick.split != split:
            yield _line({"kind": "split", "seq": tick.seq, "from": split, "to": tick.split})
            split = tick.split
        yield _line(tick_line(tick, course.policy))
        yield _line(_said(moment))
    for mark in course.marks:
        at = {"at": mark.at.isoformat()} if mark.at is not None else {}
        yield _line({"kind": "decision", **at, "what": mark.kind, "why": mark.text})


def _edges(course: Course, metric_set: str) -> Sequence[float]:
    """The buckets that the rollout's pods counted in."""
    for moment in course.moments:
        for arm in (moment.tick.baseline, moment.tick.canary):
            for pod in arm.pods:
                if pod.metric_set == metric_set and pod.edges_ms:
                    return pod.edges_ms
    return ()


def _said(moment: Moment) -> dict[str, object]:
    verdict = moment.verdict
    return {
        "kind": "verdict",
        "seq": moment.tick.seq,
        "action": verdict.action,
        "log_e": verdict.log_e,
        "reason": verdict.reason,
    }


def _line(content: dict[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False)
