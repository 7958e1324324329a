"""Steps that are left on evidence: by what the next one may cost, instead of a clock.

The judge says how many more bad answers than stable's a request to the canary gives at most, at any look, with 95 %
certainty. Times the requests that a step would bring, that is the step's blast radius; a step is entered when its own
is within the policy's budget.
"""

from pointsman.core.judge.verdict import Verdict
from pointsman.core.rollout.turn import Turn
from pointsman.core.rollout.world import split_of

__all__ = ["cost_of", "paced_step", "short_of_evidence"]


def paced_step(turn: Turn, verdict: Verdict | None) -> int | None:
    """The furthest step that the budget allows now (the number of steps stands for the bake); None where not even the
    next one is. Steps that people must approve, or that are a cohort's, are not passed over."""
    budget, furthest = turn.plan.extra_bad_answers, None
    if budget is None:
        return None
    for step in range(turn.rollout.step + 1, len(turn.plan.steps) + 1):
        cost = cost_of(turn, verdict, step)
        if cost is None or cost > budget:
            break
        furthest = step
        if step < len(turn.plan.steps) and (turn.plan.steps[step].approvals or turn.plan.steps[step].cohort):
            break
    return furthest


def cost_of(turn: Turn, verdict: Verdict | None, step: int) -> float | None:
    """Bad answers more, at most, that a step would cost; None while that can't be said."""
    if verdict is None or verdict.action not in ("advance", "continue"):
        return None
    harm, per_second, split = (_number(verdict, name) for name in ("harm_at_most", "requests_per_s", "split"))
    # Of the last step's, nothing says how many requests this one has, nor that it was judged at all.
    if harm is None or per_second is None or not split or split != split_of(turn.rollout, turn.plan):
        return None
    plan = turn.plan
    last = step >= len(plan.steps)
    weight, hold_s = (plan.bake_weight, plan.bake_s) if last else (plan.steps[step].weight, plan.steps[step].hold_s)
    return harm * per_second / split * weight / plan.weight_total * hold_s


def short_of_evidence(turn: Turn, verdict: Verdict | None) -> str | None:
    """Why a step whose longest time is over can't be left; None where it can, or is not paced."""
    budget = turn.plan.extra_bad_answers
    if budget is None or turn.rollout.state == "baking" or paced_step(turn, verdict) is not None:
        return None
    cost = cost_of(turn, verdict, turn.rollout.step + 1)
    said = "nothing is known of it yet" if cost is None else f"only more than {cost:,.0f} are excluded"
    return f"no evidence: the next step may cost {budget:,} extra bad answers, {said}"


def _number(verdict: Verdict, name: str) -> float | None:
    value = verdict.numbers.get(name)
    return float(value) if isinstance(value, (int, float)) else None
