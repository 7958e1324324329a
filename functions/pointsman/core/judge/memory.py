"""What the judge keeps between ticks: a small JSON object, so that any process can take the next tick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from pointsman.core.judge.counters import Counters
from pointsman.core.judge.detector import Detector
from pointsman.core.judge.dispersion import Dispersion
from pointsman.core.judge.guard_process import GuardProcess
from pointsman.core.judge.latency_process import LatencyProcess
from pointsman.core.judge.mean_process import MeanProcess
from pointsman.core.judge.packing import packed, unpacked
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.process import Process
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.tally import Tally
from pointsman.core.names import JSON

__all__ = ["VERSION", "Memory", "carried", "process_of", "seeded"]

VERSION = 2
"""Of the form that the state is written in."""


@dataclass(slots=True)
class Memory:
    """The judge between two ticks. Tallies are by metric set; `history` is what the bets are made from.

    `until` is where the last tick ended. `silent` and `down` count the ticks in a row without requests and without a
    metric source; `step_requests` and `step_s` what this split has seen. `rejected` is the verdict that rolled back:
    evidence does not expire, so a decision that was lost is given again. `replaced` are pods of the canary's that were
    found to be bad alone: they are not counted any more.
    """

    seq: int = -1
    until: datetime | None = None
    canary_counters: Counters = field(default_factory=Counters)
    baseline_counters: Counters = field(default_factory=Counters)
    history: dict[str, Tally] = field(default_factory=dict)
    canary: dict[str, Tally] = field(default_factory=dict)
    baseline: dict[str, Tally] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    split: float | None = None
    step_requests: int = 0
    step_s: float = 0.0
    ticks: int = 0
    silent: int = 0
    down: int = 0
    burning: bool = False
    replaced: list[str] = field(default_factory=list)
    detector: Detector | None = None
    rejected: JSON | None = None
    verdict: JSON | None = None

    def as_json(self) -> dict[str, object]:
        return {
            "v": VERSION,
            "seq": self.seq,
            "until": self.until.isoformat() if self.until is not None else None,
            "packed": packed(
                {
                    "pods": {"canary": self.canary_counters.as_json(), "baseline": self.baseline_counters.as_json()},
                    "history": _as_json(self.history),
                    "canary": _as_json(self.canary),
                    "baseline": _as_json(self.baseline),
                    "processes": {name: process.as_json() for name, process in sorted(self.processes.items())},
                }
            ),
            "split": self.split,
            "step_requests": self.step_requests,
            "step_s": self.step_s,
            "ticks": self.ticks,
            "silent": self.silent,
            "down": self.down,
            "burning": self.burning,
            "replaced": list(self.replaced),
            "detector": self.detector.as_json() if self.detector is not None else None,
            "rejected": self.rejected,
            "verdict": self.verdict,
        }

    @classmethod
    def of(cls, data: JSON | None, policy: JudgePolicy) -> "Memory":
        """From what `as_json` wrote; empty, none or of an earlier release: a rollout that begins."""
        states: Mapping[str, JSON] = {}
        if not data or data.get("v") != VERSION:
            found = cls()
        else:
            parts = unpacked(cast("str", data["packed"]))
            pods = cast("Mapping[str, JSON]", parts["pods"])
            until = cast("str | None", data["until"])
            states = cast("Mapping[str, JSON]", parts["processes"])
            found = cls(
                seq=cast("int", data["seq"]),
                until=datetime.fromisoformat(until) if until is not None else None,
                canary_counters=Counters.of(pods["canary"]),
                baseline_counters=Counters.of(pods["baseline"]),
                history=_tallies(parts["history"]),
                canary=_tallies(parts["canary"]),
                baseline=_tallies(parts["baseline"]),
                split=cast("float | None", data["split"]),
                step_requests=cast("int", data["step_requests"]),
                step_s=cast("float", data["step_s"]),
                ticks=cast("int", data["ticks"]),
                silent=cast("int", data["silent"]),
                down=cast("int", data["down"]),
                burning=cast("bool", data["burning"]),
                replaced=list(cast("list[str]", data["replaced"])),
                detector=Detector.of(data["detector"]) if data["detector"] is not None else None,
                rejected=cast("JSON | None", data["rejected"]),
                verdict=cast("JSON | None", data["verdict"]),
            )
        found.processes = {
            metric.name: process_of(metric, policy, states.get(metric.name, {})) for metric in policy.metrics
        }
        return found


def process_of(metric: Metric, policy: JudgePolicy, state: JSON) -> Process:
    match metric.kind:
        case "Ratio":
            odds, weights = policy.odds()
            return RatioProcess(metric.metric_set, metric.bad, metric.margin, odds, weights, state)
        case "Latency":
            slowdowns, weights = policy.slowdowns()
            return LatencyProcess(metric.metric_set, metric.margin, metric.margin_ms, slowdowns, weights, state)
        case "Mean":
            return MeanProcess(metric.metric_set, metric.scale, metric.worse, state)
        case "Guard":
            return GuardProcess(metric.bad, policy.bad_limit, state)


def carried(state: JSON | None, policy: JudgePolicy) -> JSON:
    """What a new rollout of the same revision, beside the same stable one, begins with: the evidence so far and what
    was learned of stable, so that trying again and again spends no more than one rollout's error rate.

    Nothing where it was rolled back: whoever released it has decided to let it try afresh.
    """
    before = Memory.of(state, policy)
    if not before.ticks or before.rejected is not None:
        return {}
    for process in before.processes.values():
        if isinstance(process, RatioProcess):
            process.pods.clear()  # of the try before
    return Memory(history=before.history, processes=before.processes, ticks=before.ticks).as_json()


def seeded(
    history: Mapping[str, Tally],
    policy: JudgePolicy,
    phi: tuple[Sequence[float], Sequence[float]] = ((), ()),
    tau: float | None = None,
) -> Memory:
    """A rollout that begins with what a recorder knew of stable: tallies by metric set, and how unequal its pods are
    (φ for each cap over one tick and over six, τ)."""
    found = Memory.of(None, policy)
    found.history = dict(history)
    for process in found.processes.values():
        if isinstance(process, RatioProcess) and phi[0]:
            process.dispersion = Dispersion.seed(phi[0], tau, phi[1])
    return found


def _as_json(tallies: Mapping[str, Tally]) -> dict[str, object]:
    return {name: tally.as_json() for name, tally in sorted(tallies.items())}


def _tallies(data: object) -> dict[str, Tally]:
    return {key: Tally.of(item) for key, item in cast("Mapping[str, JSON]", data).items()}
