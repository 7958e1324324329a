"""What the judge says, in one sentence with its numbers and as JSON for the decision log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Literal, cast

from pointsman.core.names import JSON

__all__ = ["Action", "Cause", "Verdict", "odds", "percent", "quantile_ms"]

Action = Literal["advance", "continue", "hold", "roll_back"]

Cause = Literal["no-data", "source-down", "stable-unhealthy", "bad-pod"]
"""Why a verdict is `hold` (`numbers["cause"]`)."""


SAID_MAX = 16.0
"""Evidence, in nats, up to which its odds are said in full."""

BRIEF = frozenset({"seq", "until", "split", "cause", "exposure", "stable_unhealthy", "canary_unhealthy", "observed"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One tick's verdict.

    `advance` says that harm is bounded: at most one more bad answer in a hundred, and not many more slow ones;
    `continue` that nothing speaks against going on, but that much is not excluded yet; `hold` that nothing can be
    said (`numbers["cause"]`); `roll_back` that the evidence is beyond what a healthy canary ever reaches, but for the
    profile's error rate. `metric` is the one to blame, `effect` how many times worse it was seen to be (None: nothing
    is blamed, or stable did nothing of the kind), `log_e` the evidence in nats. `numbers` is JSON: evidence and
    interval by metric, counts of both arms, exposure, and what is still open.
    """

    action: Action
    metric: str | None
    reason: str
    log_e: float
    effect: float | None
    numbers: JSON = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return {
            "action": self.action,
            "metric": self.metric,
            "reason": self.reason,
            "log_e": self.log_e,
            "effect": self.effect,
            "numbers": dict(self.numbers),
        }

    def brief(self) -> dict[str, object]:
        """As JSON, with the few numbers that a rollout goes by; the others are in the decision log."""
        numbers = {name: value for name, value in self.numbers.items() if name in BRIEF}
        return {**self.as_json(), "numbers": numbers}

    @classmethod
    def of(cls, data: JSON) -> "Verdict":
        """The verdict that `as_json` wrote."""
        return cls(
            action=cast("Action", data["action"]),
            metric=cast("str | None", data["metric"]),
            reason=cast("str", data["reason"]),
            log_e=cast("float", data["log_e"]),
            effect=cast("float | None", data["effect"]),
            numbers=cast("JSON", data["numbers"]),
        )


def percent(bad: float, requests: float) -> str:
    """`0.4 %` of `requests`; more digits for small shares, so that a few in a thousand are not called none."""
    share = 100.0 * bad / requests if requests else 0.0
    return f"{share:.2g} %" if 0.0 < share < 1.0 else f"{share:.1f} %" if share < 10.0 else f"{share:.0f} %"


def odds(nats: float) -> str:
    """Evidence in nats as odds: `120 to 1`; where it speaks for the canary, `1 to 8`."""
    times = exp(min(abs(nats), SAID_MAX))
    said = f"{times:.2g}" if times < 10.0 else f"{times:,.0f}"
    if abs(nats) > SAID_MAX:  # the figures mean nothing to anybody; their power of ten does
        said = f"10^{abs(nats) / log(10.0):.0f}"
    return f"1 to {said}" if nats < -0.05 else f"{said} to 1"


def quantile_ms(edges_ms: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The upper edge of the bucket in which the quantile lies; the last edge for what is above it."""
    total = sum(counts)
    if not total or not edges_ms:
        return None
    below = 0.0
    for edge, count in zip(edges_ms, counts, strict=False):
        below += count
        if below >= share * total:
            return edge
    return edges_ms[-1]
