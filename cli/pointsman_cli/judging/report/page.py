"""The report of one rollout, put together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil

from pointsman.core.judge.policy import Metric
from pointsman.core.judge.verdict import odds
from pointsman_cli.judging.answers import Reading, read
from pointsman_cli.judging.course import Course
from pointsman_cli.judging.lengths import length_text, milliseconds
from pointsman_cli.judging.policies import described
from pointsman_cli.judging.report import (
    effect_bands,
    evidence_meter,
    latency_shapes,
    numbers,
    peers_table,
    pod_dots,
    split_steps,
    timeline,
)
from pointsman_cli.judging.report.html import definition, figure, legend, sentence, table, text
from pointsman_cli.judging.report.style import STYLE
from pointsman_cli.judging.strength import strength
from pointsman_cli.judging.wording import explain, headline

__all__ = ["page"]

WIDE, HALF, NARROW = 916.0, 442.0, 340.0
"""Widths that charts are drawn for: the page, half of it, a telephone."""

Drawing = Callable[[float, str], str]
ROWS_MAX = 300
"""Of longer rollouts the table has every second tick, or every third, …"""

BOTH = (("outline canary", "canary"), ("outline stable", "stable"))


@dataclass(frozen=True, slots=True)
class _Report:
    course: Course
    over: bool
    keys: Iterator[int] = field(default_factory=lambda: count(1))
    readings: dict[str, Reading] = field(default_factory=dict)

    def reading(self, metric_set: str) -> Reading:
        if metric_set not in self.readings:
            self.readings[metric_set] = read([moment.tick for moment in self.course.moments], metric_set)
        return self.readings[metric_set]

    def two(self, draw: Drawing, wide: float = WIDE) -> Sequence[str]:
        """A chart in both its sizes; identifiers in a page are unique."""
        return [draw(width, f"c{next(self.keys)}") for width in (wide, NARROW)]


def page(course: Course, *, over: bool = True) -> str:
    """The report as one HTML document. `over`: the rollout has ended, so that no more ticks will come."""
    course = course.decided()
    report = _Report(course, over)
    title = text(f"{course.model or course.canary or course.rollout}: {headline(course)}")
    parts = [_head(report), _why(course)]
    if course.moments:
        parts += [_evidence(report), _effects(report), _share(report), _answers(report), _timeline(course)]
        parts += [_peers(report), _numbers(course)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}{_foot(course)}</main></body></html>\n"
    )


def _head(report: _Report) -> str:
    course = report.course
    deciding = course.deciding
    of = f"{course.model}: {course.stable or 'nothing'} → {course.canary}" if course.model else course.canary
    top = f'<header><p class="of">pointsman rollout report · {text(of)} · {text(course.rollout)}</p>'
    if deciding is None:
        return f"{top}<h1>{text(headline(course))}</h1></header>"
    verdict, policy = deciding.verdict, course.policy
    requests, bad = deciding.counted("exposure")
    _, stable_bad = deciding.counted("baseline")
    served, _ = deciding.counted("baseline")
    first, last = course.moments[0].tick, deciding.tick
    highest = max(moment.tick.split for moment in course.moments)
    facts = (
        (
            "Evidence that it is worse",
            odds(verdict.log_e),
            f"{strength(verdict.log_e, policy.needed)}; {odds(policy.needed)} decides",
        ),
        ("Answered by the canary", f"{requests:,} requests", f"{served:,} by stable meanwhile"),
        (
            "Bad answers of the canary",
            f"{bad:,}",
            f"{_percent(bad, requests)}; stable {stable_bad:,}, {_percent(stable_bad, served)}",
        ),
        (
            "Judged for",
            length_text((last.until - first.since).total_seconds()),
            f"{len(course.moments)} ticks, from {first.since:%Y-%m-%d %H:%M} UTC",
        ),
        ("Highest share", f"{100 * highest:g} %", "of the requests"),
        ("Profile", policy.profile, f"at most {100 * policy.alpha:g} % of healthy rollouts go back"),
    )
    said = split_steps.VERDICTS[verdict.action].partition(":")[0]
    return (
        f"{top}<h1>{text(headline(course))}</h1>"
        f'<p class="reason">{text(course.said(deciding))}</p><span class="badge {verdict.action}">{text(said)}</span>'
        f"{definition(facts)}</header>"
    )


def _percent(bad: int, requests: int) -> str:
    return f"{100 * bad / requests:.3g} %" if requests else "none asked"


def _why(course: Course) -> str:
    paragraphs = "".join(
        f"<h3>{text(one.heading)}</h3><ul>{''.join(f'<li>{sentence(line)}</li>' for line in one.sentences)}</ul>"
        for one in explain(course)
    )
    return f'<h2>Why</h2><section class="card why">{paragraphs}</section>'


def _evidence(report: _Report) -> str:
    course = report.course
    enforced = [metric for metric in course.policy.metrics if metric.enforced]
    marks = [
        ("sum", "all together"),
        *(
            (f"series s{index % 6}", metric.name)
            for index, metric in enumerate(course.policy.metrics)
            if metric in enforced
        ),
    ]
    drawings = report.two(lambda width, key: evidence_meter.draw(course, width, key))
    heading = ("Tick", "Ends after", "Share", "Verdict", "Evidence")
    start = course.moments[0].tick.since
    rows = [
        (
            str(moment.tick.seq),
            length_text((moment.tick.until - start).total_seconds()),
            f"{100 * moment.tick.split:g} %",
            moment.verdict.action.replace("_", " "),
            odds(moment.verdict.log_e),
        )
        for moment in course.moments[:: ceil(len(course.moments) / ROWS_MAX)]
    ]
    more = f"<details><summary>The same as a table</summary>{table(heading, rows)}</details>"
    chart = figure("Evidence against the canary", evidence_meter.told(course), drawings, key=legend(marks), more=more)
    return f"<h2>Evidence</h2>{chart}"


def _effects(report: _Report) -> str:
    found = [
        _effect(report, metric)
        for metric in report.course.metrics
        if any(moment.metric(metric.name).is_seen for moment in report.course.moments)
    ]
    return f"<h2>How much worse</h2>{''.join(found)}" if found else ""


def _effect(report: _Report, metric: Metric) -> str:
    course = report.course
    bands = effect_bands.bands(course, metric, report.reading(metric.metric_set))
    drawings = report.two(lambda width, key: effect_bands.draw(course, metric, bands, width, key))
    title = f"{metric.name}: {effect_bands.what(course, metric)}" + ("" if metric.enforced else " (observed)")
    return figure(title, effect_bands.told(course, metric, bands), drawings)


def _share(report: _Report) -> str:
    course = report.course
    chart = figure(
        "The canary's share of the requests, and the verdicts",
        split_steps.told(course),
        report.two(lambda width, key: split_steps.draw(course, width, key)),
    )
    return f"<h2>Traffic</h2>{chart}"


def _answers(report: _Report) -> str:
    """Latency of both sides, and every pod: by metric set."""
    course = report.course
    latencies = [metric for metric in course.metrics if metric.kind == "Latency"]
    found = [_latency(report, metric, report.reading(metric.metric_set)) for metric in latencies]
    primary = course.policy.primary
    if primary is not None:
        found.append(_pods(report, report.reading(primary.metric_set)))
    return "".join(found)


def _latency(report: _Report, metric: Metric, reading: Reading) -> str:
    canary, stable = reading.totals["canary"], reading.totals["baseline"]
    if not canary.measured() or not stable.measured() or canary.edges_ms != stable.edges_ms:
        return ""
    drawings = report.two(lambda width, key: latency_shapes.draw(canary, stable, width, key))
    ours, theirs = latency_shapes.quantiles(canary), latency_shapes.quantiles(stable)
    rows = [(name, _ms(ours[name]), _ms(theirs[name]), _ratio(ours[name], theirs[name])) for name in ours]
    more = table(("Quantile", "Canary", "Stable", "Ratio"), rows, numeric=1)
    told = latency_shapes.told(canary, stable)
    return figure(f"{metric.name}: how long answers took", told, drawings, key=legend(BOTH), more=more)


def _ms(value: float | None) -> str:
    return milliseconds(value) if value is not None else "above all buckets"


def _ratio(canary: float | None, stable: float | None) -> str:
    return effect_bands.times_text(canary / stable) if canary and stable else "–"


def _pods(report: _Report, reading: Reading) -> str:
    canary, stable = reading.pods["canary"], reading.pods["baseline"]
    if len(canary) + len(stable) < 3:
        told = "The counters of this metric set do not name pods: a bad pod cannot be told from a bad version."
        return f"<figure><h3>Pod by pod</h3><figcaption>{text(told)}</figcaption></figure>"
    drawings = report.two(lambda width, key: pod_dots.draw_bad(canary, stable, width, key), HALF)
    charts = figure("Bad answers, pod by pod", "Each dot is a pod; the larger, the more it answered.", drawings)
    if any(pod.measured() for pod in canary.values()) and any(pod.measured() for pod in stable.values()):
        drawings = report.two(lambda width, key: pod_dots.draw_latency(canary, stable, width, key), HALF)
        charts += figure("Latency, pod by pod", "90 % of the pod's requests took less.", drawings)
    rows = [
        (
            name,
            side,
            f"{pod.requests:,}",
            _percent(sum(pod.bad.values()), pod.requests),
            _ms(latency_shapes.quantiles(pod)["p90"]) if pod.measured() else "–",
        )
        for side, pods in (("canary", canary), ("stable", stable))
        for name, pod in sorted(pods.items())
    ]
    more = table(("Pod", "Side", "Requests", "Bad", "p90"), rows, numeric=2)
    return f'<div class="two">{charts}</div><details><summary>The pods as a table</summary>{more}</details>'


def _timeline(course: Course) -> str:
    return f"<h2>What happened when</h2>{timeline.draw(course)}"


def _peers(report: _Report) -> str:
    primary = report.course.policy.primary
    if primary is None:
        return ""
    reading = report.reading(primary.metric_set)
    return (
        "<h2>What other rules would have done</h2>"
        "<p>Rules of other controllers, at the settings of their documentation, on the same ticks. A rollout that "
        "went back early ended before some of them had looked once.</p>"
        f"{peers_table.draw(report.course, reading.ticks, primary.bad, over=report.over)}"
    )


def _numbers(course: Course) -> str:
    return f"<h2>Every metric</h2>{numbers.draw(course)}"


def _foot(course: Course) -> str:
    return (
        f"<footer><p>Judged with {text(described(course.policy))}. Evidence is a number that a canary which is no "
        f"worse "
        f"brings to {text(odds(course.policy.needed))} in at most {100 * course.policy.alpha:g} % of rollouts, at "
        "however many looks (Ville's inequality); each end of a band holds with 95 % confidence at every look. ×2 is "
        "twice stable's. Judged again, from the same record, it comes out the same: "
        "<code>pointsman judge replay FILE --ticks</code>.</p></footer>"
    )
