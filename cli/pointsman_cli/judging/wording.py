"""Why the judge says what it says, in sentences for somebody who was woken by it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pointsman.core.judge.policy import Metric
from pointsman.core.judge.verdict import odds
from pointsman.core.names import JSON
from pointsman_cli.judging.course import Course, MetricSeen, Moment
from pointsman_cli.judging.left_out import CAUSES, left_out, ticks_text
from pointsman_cli.judging.lengths import length_text, milliseconds
from pointsman_cli.judging.strength import strength

__all__ = ["Paragraph", "as_json", "explain", "headline"]

SAID_HARM = 0.1
"""More extra bad answers than one in ten are no bound worth saying."""

ALIKE = 0.05
"""What is within a twentieth of stable's is said to be as much."""

AS_MUCH = {"Ratio": "as many", "Latency": "as long"}

ENDS = {
    "promoted": "was promoted",
    "rolled_back": "was rolled back",
    "aborted": "was aborted",
    "superseded": "gave way to a newer revision",
    "failed": "failed",
}
"""Final states of a rollout."""

ALTERNATIVES = (
    (re.compile(r"odds x(\S+)"), r"odds of a bad answer \1 times stable's"),
    (re.compile(r"x(\S+) slower"), r"every answer \1 times slower"),
    (re.compile(r"(\S+) % of requests x(\S+) slower"), r"\1 % of the answers \2 times slower"),
)
"""What was bet on, as verdicts name it, and in words."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A heading and the sentences under it."""

    heading: str
    sentences: Sequence[str]


def headline(course: Course) -> str:
    """The verdict in one sentence; of a rollout that has ended, its end."""
    deciding = course.deciding
    canary, stable = course.canary or "the canary", course.stable or "stable"
    if deciding is None:
        return f"{canary} was not judged: there is no tick"
    verdict = deciding.verdict
    match verdict.action:
        case "roll_back":
            back = "was rolled back" if course.ended == "rolled_back" else "goes back"
            return f"{canary} {back}: its {verdict.metric} is worse than that of {stable}"
        case "advance":
            said, before = (
                f"{canary} may go on: it is known to do little harm, if any",
                "it was known to do little harm",
            )
        case "continue":
            said, before = f"Nothing speaks against {canary} so far", "nothing spoke against it"
        case "hold":
            said, before = f"Nothing can be said of {canary} at the moment", "the judge could say nothing of it"
    if verdict.numbers.get("observed") == "roll_back":
        said, before = f"{canary} would go back, but is only observed", "it was only observed, and seen to be worse"
    if course.ended:
        return f"{canary} {ENDS.get(course.ended, course.ended)}: {before}"
    return said


def explain(course: Course) -> Sequence[Paragraph]:
    """What was compared, what was seen, how strong that is, what was left out, what comes next."""
    deciding = course.deciding
    if deciding is None:
        return [Paragraph("What was compared", ["Nothing: the recording has no tick."])]
    return [
        Paragraph("What was compared", list(_compared(course, deciding))),
        Paragraph("What was seen", list(_seen(course, deciding))),
        Paragraph("How strong that is", list(_strength(course, deciding))),
        Paragraph("What was left out", list(left_out(course)) or ["Nothing."]),
        Paragraph("What comes next", list(_next(course, deciding))),
    ]


def as_json(course: Course) -> dict[str, object]:
    """The explanation for programs: the verdict as a replay prints it, and the sentences."""
    deciding = course.deciding
    verdict = deciding.verdict if deciding is not None else None
    return {
        "rollout": course.rollout,
        "verdict": verdict.action if verdict is not None else "hold",
        "seq": deciding.tick.seq if deciding is not None else None,
        "log_e": verdict.log_e if verdict is not None else 0.0,
        "metric": verdict.metric if verdict is not None else None,
        "reason": verdict.reason if verdict is not None else "there is no tick",
        "ended": course.ended or None,
        "headline": headline(course),
        "paragraphs": [{"heading": one.heading, "sentences": list(one.sentences)} for one in explain(course)],
    }


def _compared(course: Course, deciding: Moment) -> Iterator[str]:
    moments = course.decided().moments
    since, until = moments[0].tick.since, deciding.tick.until
    canary, of = course.canary or "the canary", f" of {course.model}" if course.model else ""
    if deciding.counted("baseline")[0] or any(0.0 < moment.tick.split < 1.0 for moment in moments):
        yield (
            f"{canary} (the canary) with {course.stable or 'the revision beside it'} (stable){of}, tick by tick: what "
            "hits both at the same time counts for nothing."
        )
    else:
        yield (
            f"{canary}{of}, alone: no stable revision answered beside it, so that it is judged by the greatest share "
            f"of bad answers that is ever accepted, {100 * course.policy.bad_limit:g} %."
        )
    lasted = length_text((until - since).total_seconds())
    yield f"{ticks_text(len(moments))} in {lasted}, {_clock(since)} to {_clock(until)} UTC on {until:%Y-%m-%d}."
    splits = list(dict.fromkeys(f"{100 * moment.tick.split:g} %" for moment in moments if moment.tick.split > 0.0))
    requests, bad = deciding.counted("exposure")
    share = f"at {', '.join(splits)} of the requests" if splits else "which had no share of the requests"
    yield f"The canary, {share}, answered {requests:,}; {bad:,} of its answers were bad."


def _seen(course: Course, deciding: Moment) -> Iterator[str]:
    if not deciding.counted("exposure")[0]:
        yield "Nothing of the canary: it answered no request that counts."
        return
    for metric in course.metrics:
        at = deciding.metric(metric.name)
        text = f"{metric.name}: {at.seen or 'not seen'}"
        if at.effect is not None:
            much = AS_MUCH.get(metric.kind, "as much")
            text += f": about {much}" if abs(at.effect - 1.0) < ALIKE else f": {_times(at.effect)} times {much}"
        if metric.margin:
            too_wide = "; the buckets are too wide to forgive a little"
            text += f" ({_forgiven(metric)} is forgiven)" if course.is_forgiving(metric) else too_wide
        if between := _between(at):
            text += f"; {between}{at.sureness}"
        if not metric.enforced:
            text += "; only observed"
        yield f"{text}."


def _strength(course: Course, deciding: Moment) -> Iterator[str]:
    policy, verdict = course.policy, deciding.verdict
    yield (
        f"The evidence that the canary is worse is {odds(verdict.log_e)}: {strength(verdict.log_e, policy.needed)}. "
        f"At {odds(policy.needed)} it goes back."
    )
    enough = next((m for m in course.moments if m.verdict.numbers.get("observed") == "roll_back"), deciding)
    if enough is not deciding:
        yield f"{odds(enough.verdict.log_e)} was enough at tick {enough.tick.seq} ({_clock(enough.tick.until)} UTC)."
    one_of = 1.0 / policy.alpha
    yield f"A canary that is no worse gets there in at most 1 of {one_of:,.0f} rollouts, however often one looks."
    harm = verdict.numbers.get("harm_at_most")
    if isinstance(harm, (int, float)) and harm < SAID_HARM and verdict.action != "roll_back":
        beyond = f"{1000.0 * harm:.2g} in 1,000 of its answers"
        yield f"At most {beyond} are bad beyond stable's, by bounds that hold with 95 % confidence each."
    leading = max((m for m in policy.metrics if m.enforced), key=lambda m: deciding.metric(m.name).share, default=None)
    if leading is None or verdict.log_e < 0.5:
        return
    at = deciding.metric(leading.name)
    yield f"Most of it comes from {leading.name}" + (f"; best it fits {_alternative(at)}." if at.alternative else ".")
    if at.onset:
        begun = next((moment for moment in course.moments if moment.tick.seq >= at.onset), None)
        when = f" ({_clock(begun.tick.since)} UTC)" if begun else ""
        yield f"It has been rising since tick {at.onset}{when}."


def _next(course: Course, deciding: Moment) -> Iterator[str]:
    verdict, policy = deciding.verdict, course.policy
    canary, stable = course.canary or "the canary", course.stable or "stable"
    if course.ended and verdict.action != "roll_back":
        yield "Nothing: the rollout has ended."
        return
    match verdict.action:
        case "roll_back":
            went = "went" if course.ended else "goes"
            yield f"All traffic {went} to {stable}; {canary} is not tried again by itself."
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
    if at.is_torn:
        return "it has changed, so that no one value fits all ticks"
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


def _alternative(at: MetricSeen) -> str:
    for form, words in ALTERNATIVES:
        if form.fullmatch(at.alternative):
            return form.sub(words, at.alternative)
    return at.alternative


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"
