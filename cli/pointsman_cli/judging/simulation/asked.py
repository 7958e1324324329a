"""What people ask of a simulation, read: durations, and steps in place of the policy's."""

from dataclasses import replace

import click

from pointsman_cli.judging.lengths import length_text
from pointsman_cli.judging.policies import Rules, Step
from pointsman_cli.judging.simulation.service import Service

__all__ = ["as_json", "length_s", "other_steps", "share_of", "steps_text"]

LEAST_S = 1.0
SHARE_MAX = 0.5
TICKS_MAX = 5000


def share_of(text: str, option: str) -> float:
    """A share: `0.005`, or `0.5%`."""
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no share such as 0.005 or 0.5%", param_hint=option) from error
    if not 0.0 <= value <= SHARE_MAX:
        raise click.BadParameter(f"{text} is not between 0 and {SHARE_MAX:g} (0% and 50%)", param_hint=option)
    return value


def length_s(text: str, option: str) -> float:
    """A duration in seconds, at least one: `10s`, `1h30m`, or a bare number of seconds."""
    from pointsman.documents.scalars import duration

    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else duration(text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
    if seconds < LEAST_S:
        raise click.BadParameter(f"{text} is less than a second", param_hint=option)
    return seconds


def other_steps(rules: Rules, split: str | None, hold: str | None, tick_s: float) -> Rules:
    """The rules with other splits or another hold; a new split is held as long as the policy's first step."""
    if not rules.steps and split is None:
        raise click.UsageError("the policy has no steps: say them with --split 5,25,50")
    steps = rules.steps
    if split is not None:
        usual = steps[0].hold_s if steps else 600.0
        steps = tuple(Step(share, usual) for share in _shares(split))
    if hold is not None:
        held = length_s(hold, "--hold")
        steps = tuple(Step(step.split, held) for step in steps)
    shortest = min(step.hold_s for step in steps)
    if tick_s > shortest:
        raise click.UsageError(
            f"a step of {length_text(shortest)} ends before the first look at {length_text(tick_s)}: take a shorter "
            "--tick or a longer --hold"
        )
    number = int(sum(step.hold_s for step in steps) / tick_s)
    if number > TICKS_MAX:
        raise click.UsageError(f"{number:,} ticks a rollout are too many (at most {TICKS_MAX:,}): take a longer --tick")
    return replace(rules, steps=steps)


def _shares(text: str) -> list[float]:
    """`5,25,50` and `0.05,0.25,0.5` are the same: below 1 it is a share, unless it is said to be percent."""
    shares = []
    for part in text.split(","):
        try:
            value = float(part.removesuffix("%"))
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is no list of splits such as 5,25,50", param_hint="--split") from error
        shares.append(value if value < 1.0 and not part.endswith("%") else value / 100.0)
    if not all(0.0 < share < 1.0 for share in shares):
        raise click.BadParameter("a split lies between 0 and 100 percent", param_hint="--split")
    return shares


def as_json(service: Service, rules: Rules, tick_s: float) -> dict[str, object]:
    """What was asked, for programs."""
    return {
        "rate": service.rate,
        "base": service.bad,
        "latency_ms": service.median_ms,
        "sigma": service.sigma,
        "edges_ms": list(service.edges_ms),
        "pods": service.pods if service.by_pod else None,
        "profile": rules.judge.profile,
        "steps": [{"split": step.split, "hold_s": step.hold_s} for step in rules.steps],
        "tick_s": tick_s,
    }


def steps_text(rules: Rules) -> str:
    """`5 % for 10 min, 25 % for 10 min`."""
    return ", ".join(f"{100 * step.split:g} % for {length_text(step.hold_s)}" for step in rules.steps)
