"""What a story came to, and the demo's result as a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

__all__ = ["Outcome", "Result", "WeightCheck"]


@dataclass(frozen=True, slots=True)
class WeightCheck:
    """One step of one rollout: the weight decided (percent), and what Envoy's own counters saw meanwhile."""

    rollout: str
    weight: float
    requests: int
    canary_requests: int
    within_binomial_99_9: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One story. `requests` are those the load generator sent meanwhile, `failed_requests` those without a good
    answer (connection errors included), `bad_requests_seen` those and the slow ones; weights are percent."""

    name: str
    title: str
    ok: bool
    seconds: float
    requests: int
    failed_requests: int
    bad_requests_seen: int
    highest_canary_weight: float
    verdict: str
    reason: str
    weights: tuple[WeightCheck, ...] = field(default=())
    rollout: str = ""
    """The id of its rollout, where it has one."""

    def as_json(self) -> Mapping[str, object]:
        fields = asdict(self)
        del fields["weights"], fields["title"]
        return fields


@dataclass(frozen=True, slots=True)
class Result:
    """The whole demo. `sent` counts events sent (each perhaps several times), `recorded_once` those in the ledger
    exactly once."""

    outcomes: Sequence[Outcome]
    peak_memory_mib: float
    sent: int
    recorded_once: int

    @property
    def ok(self) -> bool:
        return all(outcome.ok for outcome in self.outcomes) and self.sent == self.recorded_once

    def as_json(self) -> Mapping[str, object]:
        return {
            "stories": [outcome.as_json() for outcome in self.outcomes],
            "peak_memory_mib": round(self.peak_memory_mib, 1),
            "weights_check": [asdict(check) for outcome in self.outcomes for check in outcome.weights],
            "events": {"sent": self.sent, "recorded_once": self.recorded_once},
        }
