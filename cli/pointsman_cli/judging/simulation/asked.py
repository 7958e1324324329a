"""What people ask of a simulation, read: durations, and steps in place of the policy's."""

from dataclasses import replace

import click

from pointsman_cli.judging.policies import Rules, Step

__all__ = ["length_s", "other_steps", "steps_text"]

LEAST_S = 1.0
TICKS_MAX = 5000


def length_s(text: str, option: str) -> float:
    """A duration in seconds, at least one."""
    from pointsman.documents.scalars import duration

    try:
        seconds = duration(text).total_seconds()
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
    number = int(sum(step.hold_s for step in steps) / tick_s)
    if number > TICKS_MAX:
        raise click.UsageError(f"{number:,} ticks a rollout are too many (at most {TICKS_MAX:,}): take a longer --tick")
    return replace(rules, steps=steps)


def _shares(text: str) -> list[float]:
    try:
        percents = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of percentages such as 5,25,50", param_hint="--split") from error
    if not all(0.0 < percent < 100.0 for percent in percents):
        raise click.BadParameter("a split lies between 0 and 100 percent", param_hint="--split")
    return [percent / 100.0 for percent in percents]


def steps_text(rules: Rules) -> str:
    """`5 % for 10m, 25 % for 10m`."""
    return ", ".join(f"{100 * step.split:g} % for {step.hold_s / 60:g} min" for step in rules.steps)
