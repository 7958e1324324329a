"""A rollout in virtual time against a cluster of a few lines: what `world` wants is there at the next look."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.core.freeze import Freeze
from pointsman.core.judge import verdict as judged
from pointsman.core.judge.verdict import Verdict
from pointsman.core.names import JSON
from pointsman.core.records import CommandRecord, RolloutRecord
from pointsman.core.rollout import FINAL, Decision, Memory, Observation, RouteSeen, Side, remembered, transition, world
from pointsman.core.rollout.observation import Action
from pointsman.core.rollout.world import split_of
from pointsman.core.rollout_plan import Deadlines, Plan, StepPlan, plan_of
from pointsman.core.signals import timing

__all__ = ["FREEZE", "NEW", "NOON", "OLD", "Lab", "command", "plan", "rollout", "verdict"]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW = "digits-00000001", "digits-00000002"
FREEZE = Freeze("peak", "Peak trade", "WeightIncreases", None)


def plan(**fields: Any) -> Plan:
    """A plan as the demo's: three steps of 6 s, a bake of 8 s, one replica."""
    known: dict[str, Any] = {
        "cluster": "projects/lab/locations/us-central1/clusters/c1",
        "namespace": "demo",
        "name": "digits",
        "gateway": "models",
        "gateway_namespace": "gateway",
        "placement": {"replicas": 1},
        "hostnames": ("digits-demo.localhost",),
        "path": "/",
        "request_timeout_s": 1.0,
        "access": "Open",
        "replicas": 1,
        "probe_path": "/health",
        "steps": tuple(StepPlan(weight, 6.0) for weight in (5, 25, 50)),
        "bake_s": 8.0,
        "bake_weight": 98,
        "weight_total": 100,
        "min_canary_replicas": 1,
        "judge": {},
        "metric_sets": ("Gateway",),
        "enforced": True,
        "min_requests": 20,
        "without_data_wait_s": 60.0,
        "without_data_then": "RollBack",
        "when_stable_unhealthy": "Hold",
        "on_new_revision": "Supersede",
        "deadlines": Deadlines(3600.0, 1200.0, 86400.0),
        "history_limit": 3,
        "pool": "cpu",
    }
    return Plan(**{**known, **fields})


def rollout(
    planned: Plan | None = None, *, state: str = "queued", memory: Memory | None = None, **fields: Any
) -> RolloutRecord:
    known: dict[str, Any] = {
        "id": "r2",
        "kind": "roll_out",
        "service": "c1/demo/digits",
        "generation": 1,
        "from_revision": OLD,
        "to_revision": NEW,
        "state": state,
        "plan": (planned or plan()).as_json(),
        "cause": "e1",
        "commit": "c" * 40,
        "started_at": NOON,
        "state_since": NOON,
        "memory": remembered(memory or Memory(word="sesame")),
    }
    return RolloutRecord(**{**known, **fields})


def verdict(
    action: judged.Action = "continue", *, split: float = 0.05, requests: int = 100, cause: str | None = None
) -> Verdict:
    reason = {"roll_back": "5xx: 4 % against 0 %", "hold": "no requests"}.get(action, "nothing speaks against it")
    numbers: JSON = {"split": split, "cause": cause, "exposure": {"step_requests": requests}}
    return Verdict(action, "5xx", reason, 0.0, None, numbers)


def command(verb: str, *, by: str = "user:lea@example.com", why: str = "since", at: datetime = NOON) -> CommandRecord:
    return CommandRecord("r2", f"{verb}-{by}", verb, by, at, why)


@dataclass
class Lab:
    """`tick()` lets time pass, looks, decides and writes. Pods are ready one tick after they are asked for."""

    rollout: RolloutRecord
    now: datetime = NOON
    weights: dict[str, int] = field(default_factory=lambda: {OLD: 100})
    written: object = None
    replicas: dict[str, int] = field(default_factory=lambda: {OLD: 1})
    ready: dict[str, int] = field(default_factory=lambda: {OLD: 1})
    obstinate: set[str] = field(default_factory=set)
    """Revisions whose pods never become ready."""
    deaf: bool = False
    """The gateway never says that a route is in force."""
    actions: list[Action] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    history: list[int] = field(default_factory=list)

    def observe(self, **fields: Any) -> Observation:
        wanted = world(self.rollout)
        as_wanted = self.written == (wanted.route, wanted.route_off) and (wanted.route is not None or wanted.route_off)
        route = RouteSeen(bool(self.weights), False, as_wanted, not self.deaf, dict(self.weights))
        sides = {name: Side(count, self.ready.get(name, 0), count) for name, count in self.replicas.items()}
        share = split_of(self.rollout, plan_of(self.rollout))
        known: dict[str, Any] = {
            "route": route,
            "sides": sides,
            "probed": True,
            "verdict": verdict(split=share) if share else None,
            "timing": timing("envoy"),
        }
        return Observation(**{**known, **fields})

    def tick(self, seconds: float = 1.0, **fields: Any) -> Decision:
        self.now += timedelta(seconds=seconds)
        decision = transition(self.rollout, self.observe(**fields), self.now)
        self.rollout = decision.rollout
        self.actions += decision.actions
        if not self.states or self.states[-1] != self.rollout.state:
            self.states.append(self.rollout.state)
        if not self.history or self.history[-1] != self.rollout.want:
            self.history.append(self.rollout.want)
        self._write()
        return decision

    def run(self, ticks: int = 400, seconds: float = 1.0, **fields: Any) -> RolloutRecord:
        """Until a final state, or so many ticks."""
        for _ in range(ticks):
            if self.rollout.state in FINAL:
                break
            self.tick(seconds, **fields)
        return self.rollout

    def until(self, state: str, ticks: int = 200, **fields: Any) -> "Lab":
        for _ in range(ticks):
            if self.rollout.state == state:
                return self
            self.tick(**fields)
        raise AssertionError(f"never {state}: {self.states}, {self.rollout.reason}")

    def took(self, kind: type[Action]) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def state(self) -> str:
        return self.rollout.state

    @property
    def memory(self) -> Mapping[str, object]:
        return self.rollout.memory

    def _write(self) -> None:
        self.ready = {
            name: 0 if name in self.obstinate else min(count, self.replicas.get(name, 0))
            for name, count in self.replicas.items()
        }
        wanted = world(self.rollout)
        self.replicas |= wanted.replicas
        if wanted.route_off:
            self.weights, self.written = {}, (None, True)
        elif wanted.route is not None:
            self.weights, self.written = dict(wanted.route.weights), (wanted.route, False)


def with_plan(record: RolloutRecord, **fields: Any) -> RolloutRecord:
    return replace(record, plan=replace(plan_of(record), **fields).as_json())
