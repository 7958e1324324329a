"""The policy that somebody names for the judge: a RolloutPolicy document, its `judge` section, or what is built in."""

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pointsman.core.judge import JudgePolicy
from pointsman.core.names import JSON
from pointsman.errors import Invalid

if TYPE_CHECKING:
    from pointsman.documents.policy import PolicySpec

__all__ = ["Rules", "Step", "described", "loosened", "read_rules"]

GIVE = "give a RolloutPolicy or its `judge` section"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the canary's share of the requests, 0..1, and the least time it is held."""

    split: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What a policy says of judging and of steps. `section` is its `judge` as it is written, `wait_s` its
    `withoutData.wait`: what a step may take beyond its hold to get `min_requests`.
    `is_paced`: steps are left on evidence, before their hold is over."""

    judge: JudgePolicy
    section: JSON
    steps: tuple[Step, ...]
    min_requests: int
    wait_s: float
    min_canary_replicas: int
    is_paced: bool = False

    def lengths(self, rate: float) -> tuple[Step, ...]:
        """The steps as long as they last at so many requests a second: beyond their hold until the canary has had
        `min_requests`, but no longer than may be waited."""
        found = []
        for step in self.steps:
            enough_s = self.min_requests / (rate * step.split) if step.split else inf
            found.append(replace(step, hold_s=max(step.hold_s, min(enough_s, step.hold_s + self.wait_s))))
        return tuple(found)

    def waits(self, rate: float) -> bool:
        """Whether a step lasts longer than its hold at so many requests a second."""
        return self.lengths(rate) != self.steps


def read_rules(file: Path | None) -> Rules:
    """The rules of a file; without one, those that are built in. Raises Invalid, naming the file and the field."""
    from pointsman.documents.policy import PolicySpec
    from pointsman.documents.scalars import duration

    spec = PolicySpec() if file is None else _spec(file)
    section = spec.judge.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Rules(
        judge=JudgePolicy.of(section),
        section=section,
        # Copies of requests answer nobody, and are judged all the same.
        steps=tuple(
            Step((step.weight or step.mirror_percent or 0.0) / 100.0, duration(step.hold).total_seconds())
            for step in spec.steps
        ),
        min_requests=spec.judge.min_requests_per_step,
        wait_s=duration(spec.without_data.wait).total_seconds(),
        min_canary_replicas=spec.capacity.min_canary_replicas,
        is_paced=spec.pacing is not None,
    )


def _spec(file: Path) -> "PolicySpec":
    import yaml

    from pointsman.documents.faults import path_text
    from pointsman.documents.forms import form
    from pointsman.documents.policy import RolloutPolicy
    from pointsman.documents.shape import API_VERSION

    try:
        data = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}", where=str(file), remedy=GIVE) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        said = [part for name in ("context", "problem") if (part := getattr(error, name, None))]
        raise Invalid(": ".join(["is no YAML", ", ".join(said) or "no text"]), where=where, remedy=GIVE) from error
    if not isinstance(data, dict):
        raise Invalid("is no policy", where=str(file), remedy=GIVE)
    if "kind" not in data:
        section = data.get("judge", data)
        data = {
            "apiVersion": API_VERSION,
            "kind": "RolloutPolicy",
            "metadata": {"name": "policy"},
            "spec": {"judge": section},
        }
    elif data["kind"] != "RolloutPolicy":
        raise Invalid(f"is a {data['kind']}", where=str(file), remedy=GIVE)
    document, problems = form("RolloutPolicy", data)
    if problems or not isinstance(document, RolloutPolicy):
        first, *others = problems
        also = "".join(f"; {path_text(other.path)}: {other.problem}" for other in others)
        raise Invalid(first.problem + also, where=f"{file}: {path_text(first.path)}", remedy=first.remedy)
    return document.spec


def described(policy: JudgePolicy) -> str:
    """A policy in a few words: profile, error rate, metrics."""
    metrics = ", ".join(metric.name + ("" if metric.enforced else " (observed)") for metric in policy.metrics)
    mode = "" if policy.enforced else ", only observed"
    return f"profile {policy.profile}, at most {100 * policy.alpha:g} % false rollbacks{mode}, judging {metrics}"


def loosened(before: JudgePolicy, after: JudgePolicy) -> list[str]:
    """What `after` forgives that `before` did not, a phrase each."""
    found = []
    if after.alpha > before.alpha:
        found.append(f"{100 * after.alpha:g} % false rollbacks in place of {100 * before.alpha:g} %")
    if after.alpha < before.alpha:
        found.append(f"{1 / after.alpha:,.0f} to 1 must be reached in place of {1 / before.alpha:,.0f} to 1")
    if before.enforced and not after.enforced:
        found.append("nothing is acted on")
    if after.bad_limit > before.bad_limit:
        found.append(f"{100 * after.bad_limit:g} % bad answers are accepted in place of {100 * before.bad_limit:g} %")
    if after.warmup > before.warmup:
        found.append(f"latency of pods younger than {after.warmup.total_seconds():g} s is left out")
    then = {metric.name: metric for metric in after.metrics}
    for metric in before.metrics:
        now = then.get(metric.name)
        if now is None:
            found.append(f"{metric.name} is not judged")
        elif metric.enforced and not now.enforced:
            found.append(f"{metric.name} is only observed")
        elif now.margin > metric.margin or now.margin_ms > metric.margin_ms:
            found.append(f"{metric.name} may be {100 * now.margin:g} % worse in place of {100 * metric.margin:g} %")
    return found
