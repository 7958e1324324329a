"""The answer as a table, and in a few sentences how sure it is."""

from collections.abc import Sequence

from pointsman_cli.judging.lengths import length_text
from pointsman_cli.judging.policies import Rules, described
from pointsman_cli.judging.simulation.answer import Caught, Simulation
from pointsman_cli.judging.simulation.asked import steps_text
from pointsman_cli.judging.simulation.service import Service
from pointsman_cli.output import Column, say, table

__all__ = ["show"]


def _share(row: Caught) -> str:
    low, high = row.share_interval_95
    return f"{100 * row.share:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


COLUMNS = (
    Column("CANARY", lambda row: row.change),
    Column("FOUND (95 %)", _share),
    Column("REQUESTS", lambda row: _count(row.requests_median)),
    Column("95 % WITHIN", lambda row: _count(row.requests_95)),
    Column("MINUTES", lambda row: "-" if row.minutes_median is None else f"{row.minutes_median:.1f}"),
    Column("BAD ANSWERS", lambda row: "-" if row.bad_answers_mean is None else f"{row.bad_answers_mean:,.0f}"),
    Column("ANY RULE NEEDS", lambda row: "-" if row.bound is None else _count(max(1.0, row.bound))),
)


def show(service: Service, simulation: Simulation, rules: Rules, tick_s: float) -> None:
    """Print what would be caught, and how many simulations it was seen in."""
    pods = f"{service.pods} pods" + ("" if service.by_pod else ", which the counters do not name")
    answers = f"{100 * service.bad:g} % bad, median {service.median_ms:g} ms, sigma {service.sigma:g}"
    say(f"{service.rate:g} requests/s on {pods}; {answers}")
    say(f"steps {steps_text(rules)}, a look every {length_text(tick_s)}; {described(rules.judge)}")
    waited = f"; {rules.min_requests} of each step at least are waited for" if rules.waits(service.rate) else ""
    lasting = length_text(60.0 * simulation.minutes)
    say(f"the canary answers about {simulation.requests:,.0f} requests in {lasting} of steps{waited}")
    say("")
    table(simulation.changes, COLUMNS)
    say("")
    if rules.is_paced:
        say("every step is held whole: the policy's `pacing`, which leaves steps sooner on evidence, is not simulated")
    for line in _notes(simulation):
        say(line)


def _notes(simulation: Simulation) -> Sequence[str]:
    each, healthy = simulation.changes[0].rollouts, simulation.healthy
    high = 100 * healthy.share_interval_95[1]
    notes = [
        f"not worse: rolled back in {healthy.found} of {healthy.rollouts} rollouts "
        f"({100 * healthy.share:.1f} %; with 95 % confidence below {high:.1f} %)",
        f"{each} simulated rollouts a row, seed {simulation.seed}: --rollouts N for narrower intervals",
        "requests (median), minutes and bad answers of the canary are those until it was found, where it was; the bake "
        "is not simulated",
    ]
    if any(row.bound is None for row in simulation.changes):
        notes.append("any rule needs -: more than the steps hold; a larger split, longer steps or a mirror help")
    starved = max(row.starved for row in (healthy, *simulation.changes))
    if starved:
        notes.append(
            f"in {starved} of {healthy.rollouts} rollouts a step had too few requests in all its time: without data"
        )
    return notes
