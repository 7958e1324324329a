"""Why the judge says what it says, in sentences for somebody who was woken by it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pointsman.core.judge.policy import Metric
from pointsman.core.names import JSON
from pointsman_cli.judging.course import Course, MetricSeen, Moment
from pointsman_cli.judging.lengths import length_text, milliseconds
from pointsman_cli.judging.odds import odds, strength

__all__ = ["Paragraph", "explain", "headline"]

CAUSES = {
    "no-data": "one side had no requests, or the canary's share had only begun",
    "source-down": "the metrics could not be read",
    "stable-unhealthy": "stable itself was failing, so nothing was held against the canary",
    "bad-pod": "one pod of the canary was bad, and not the version",
}


AS_MUCH = {"Ratio": "as many", "Latency": "as long"}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A heading and the sentences under it."""

    heading: str
    sentences: Sequence[str]


def headline(course: Course) -> str:
    """The verdict in one sentence."""
    deciding = course.deciding
    canary, stable = course.canary or "the canary", course.stable or "stable"
    if deciding is None:
        return f"{canary} was not judged: there is no tick"
    verdict = deciding.verdict
    match verdict.action:
        case "roll_back":
            return f"{canary} goes back: its {verdict.metric} is worse than that of {stable}"
        case "advance":
            return f"{canary} may go on: it is known to do little harm, if any"
        case "continue":
            return f"Nothing speaks against {canary} so far"
        case "hold":
            return f"Nothing can be said of {canary} at the moment"


def explain(course: Course) -> Sequence[Paragraph]:
    """What was compared, what was seen, how strong that is, what was left out, what comes next."""
    deciding = course.deciding
    if deciding is None:
        return [Paragraph("What was compared", ["Nothing: the recording has no tick."])]
    return [
        Paragraph("What was compared", list(_compared(course, deciding))),
        Paragraph("What was seen", list(_seen(course, deciding))),
        Paragraph("How strong that is", list(_strength(course, deciding))),
        Paragraph("What was left out", list(_left_out(course)) or ["Nothing."]),
        Paragraph("What comes next", list(_next(course, deciding))),
    ]


def _compared(course: Course, deciding: Moment) -> Iterator[str]:
    moments = course.decided().moments
    since, until = moments[0].tick.since, deciding.tick.until
    canary, stable = course.canary or "the canary", course.stable or "stable"
    of = f" of {course.model}" if course.model else ""
    yield (
        f"{canary} (the canary) with {stable} (stable){of}, tick by tick: what hits both at the same time counts for "
        "nothing."
    )
    yield (
        f"{_ticks(len(moments)).capitalize()} in {length_text((until - since).total_seconds())}, {_clock(since)} to "
        f"{_clock(until)} UTC on {until:%Y-%m-%d}."
    )
    splits = list(dict.fromkeys(f"{100 * moment.tick.split:g} %" for moment in moments if moment.tick.split > 0.0))
    requests, bad = deciding.counted("exposure")
    share = f"at {', '.join(splits)} of the requests" if splits else "which had no share of the requests"
    yield f"The canary, {share}, answered {requests:,}; {bad:,} of its answers were bad."


def _seen(course: Course, deciding: Moment) -> Iterator[str]:
    for metric in course.metrics:
        at = deciding.metric(metric.name)
        text = f"{metric.name}: {at.seen or 'not seen'}"
        if at.effect is not None:
            text += f": {_times(at.effect)} times {AS_MUCH.get(metric.kind, 'as much')}"
        if metric.margin:
            text += f" ({_forgiven(metric)} is forgiven)"
        if between := _between(at):
            text += f"; {between} with 95 % confidence"
        if not metric.enforced:
            text += "; only observed"
        yield f"{text}."


def _strength(course: Course, deciding: Moment) -> Iterator[str]:
    policy, verdict = course.policy, deciding.verdict
    yield (
        f"The evidence that the canary is worse is {odds(verdict.log_e)}: {strength(verdict.log_e, policy.needed)}. "
        f"At {odds(policy.needed)} it goes back."
    )
    one_of = 1.0 / policy.alpha
    yield f"A canary that is no worse gets there in at most 1 of {one_of:,.0f} rollouts, however often one looks."
    leading = max((m for m in policy.metrics if m.enforced), key=lambda m: deciding.metric(m.name).share, default=None)
    if leading is None or verdict.log_e < 0.5:
        return
    at = deciding.metric(leading.name)
    fits = f", and fits {at.alternative} best" if at.alternative else ""
    yield f"Most of it comes from {leading.name}{fits}."
    if at.onset:
        begun = next((moment for moment in course.moments if moment.tick.seq >= at.onset), None)
        when = f" ({_clock(begun.tick.since)} UTC)" if begun else ""
        yield f"It has been rising since tick {at.onset}{when}."


def _left_out(course: Course) -> Iterator[str]:
    moments = course.decided().moments
    causes = Counter(cause for moment in moments if (cause := moment.verdict.numbers.get("cause")))
    for cause, count in causes.most_common():
        yield f"{_ticks(count)}: {CAUSES.get(str(cause), str(cause))}."
    silent: Counter[tuple[str, str]] = Counter()
    for moment in moments:
        if not moment.verdict.numbers.get("cause"):
            for metric in course.metrics:
                why = moment.metric(metric.name).silent
                if why:
                    silent[metric.name, why] += 1
    for (name, why), count in silent.most_common():
        yield f"{_ticks(count)} of {name}: {why}."
    for text, count in _faults(moments).most_common():
        yield f"{_ticks(count)}: {text}."
    missing = moments[-1].tick.seq - moments[0].tick.seq + 1 - len(moments)
    if missing > 0:
        yield f"{_ticks(missing)} missing in the recording: counters are cumulative, the next tick has their counts."


def _faults(moments: Sequence[Moment]) -> Counter[str]:
    """What the judge repaired or refused in a tick's record, as it names it."""
    found: Counter[str] = Counter()
    for moment in moments:
        found.update(cast("Sequence[str]", moment.verdict.numbers.get("repairs") or ()))
    return found


def _next(course: Course, deciding: Moment) -> Iterator[str]:
    verdict, policy = deciding.verdict, course.policy
    canary, stable = course.canary or "the canary", course.stable or "stable"
    match verdict.action:
        case "roll_back":
            yield f"All traffic goes to {stable}; {canary} is not tried again by itself."
            yield "Evidence does not expire: the verdict stays."
            yield "If it was meant, `pointsman unblock` lets it be tried again."
            return
        case "hold":
            cause = str(verdict.numbers.get("cause") or "")
            yield f"No weight rises: {CAUSES.get(cause, verdict.reason)}."
            yield "How long that may last, and what is done then, is `withoutData` of the policy."
        case "advance":
            yield "The step need not be held to its end."
        case "continue":
            yield "The next step begins when this one's hold is over and it has had its requests."
    yield from _more(verdict.numbers)
    if not policy.enforced:
        yield "Nobody acts on it: the policy only observes."


def _more(numbers: JSON) -> Iterator[str]:
    """How far off a decision is, and what would hasten it."""
    outlook = numbers.get("outlook")
    if not isinstance(outlook, dict) or not outlook.get("requests"):
        return
    requests, minutes = cast("float", outlook["requests"]), cast("float | None", outlook.get("minutes"))
    at_rate = f", {length_text(60.0 * minutes)} at this rate" if minutes is not None else ""
    towards = {
        "roll_back": "If what was seen goes on, it is enough to go back",
        "advance": "If the canary is as good as stable, that is known",
    }.get(str(outlook.get("towards")), "It is decided")
    yield f"{towards} after about {requests:,.0f} more of the canary's requests{at_rate}."
    if outlook.get("help"):
        yield f"{str(outlook['help']).capitalize()}."


def _forgiven(metric: Metric) -> str:
    share = f"{100 * metric.margin:g} %"
    return f"{share} or {metric.margin_ms:g} ms, whichever is more," if metric.margin_ms else f"{share} more"


def _times(value: float) -> str:
    return f"{value:.2g}" if value < 10.0 else f"{value:,.0f}"


def _between(at: MetricSeen) -> str:
    """The interval in words, with what it is of."""
    if at.of == "difference":
        if at.lower is None or at.upper is None:
            return ""
        return f"the difference is {at.lower:+.2g} to {at.upper:+.2g} of the score's width"
    of = "" if at.above_ms is None else f"answers above {milliseconds(at.above_ms)}: "
    if at.upper is None:
        return f"{of}at least {_times(at.lower)} times as many" if at.lower else ""
    if not at.lower:
        return f"{of}at most {_times(at.upper)} times as many"
    return f"{of}{_times(at.lower)} to {_times(at.upper)} times as many"


def _ticks(count: int) -> str:
    return "1 tick" if count == 1 else f"{count} ticks"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"
