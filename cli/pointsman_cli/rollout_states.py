"""What a rollout's states lead to, asked of `core.rollout.transition` itself: the picture and tables of a page.

Rollouts of every kind are walked against a cluster of a few lines, and at each place everything is tried that may be
seen or asked there. What was found must be exactly what `_BECAUSE` has words for, or nothing is drawn.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Literal, get_args

from pointsman.core.freeze import Freeze
from pointsman.core.judge.verdict import Action, Verdict
from pointsman.core.records import CommandRecord, RolloutRecord, RolloutState
from pointsman.core.rollout import (
    FINAL,
    Memory,
    Observation,
    RouteSeen,
    Side,
    World,
    memory_of,
    remembered,
    transition,
    world,
)
from pointsman.core.rollout.turn import BLOCKS, ENDS_AS, RANK, Turn
from pointsman.core.rollout.world import split_of
from pointsman.core.rollout_plan import Deadlines, Plan, StepPlan, plan_of
from pointsman.core.signals import timing

__all__ = ["Found", "causes", "commands", "diagram", "explored"]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW = "digits-00000001", "digits-00000002"
PLACES_MAX = 500
VERBS = ("abort", "roll_back", "pause", "resume", "skip", "promote", "approve")

_REFUSED = ("does nothing while", "nothing waits for approval", "already")
"""By these words a command is answered that changes nothing."""

Edge = tuple[str, str]
_Tick = tuple[Mapping[str, Any], float]

_BECAUSE: Mapping[Edge, str] = {
    ("queued", "pending"): "service free and no freeze, or promoted",
    ("queued", "aborted"): "abort",
    ("queued", "rolled_back"): "an alert's roll back",
    ("queued", "superseded"): "a newer revision was asked for",
    ("queued", "failed"): "expired after 744 h",
    ("pending", "placing"): "older canaries seen at 0",
    ("pending", "completing"): "the service is to be removed",
    ("pending", "giving_back"): "",
    ("placing", "provisioning"): "pods find no room",
    ("placing", "stepping"): "pods ready and answering",
    ("placing", "held"): "paused, frozen or in conflict",
    ("placing", "baking"): "the policy has no steps",
    ("placing", "completing"): "way back, or nothing beside it",
    ("placing", "giving_back"): "",
    ("provisioning", "placing"): "all pods have found room",
    ("provisioning", "giving_back"): "",
    ("stepping", "held"): "an obstacle",
    ("stepping", "baking"): "last step is over",
    ("stepping", "completing"): "promote",
    ("stepping", "giving_back"): "",
    ("held", "placing"): "gone, before the first weight",
    ("held", "stepping"): "gone",
    ("held", "baking"): "gone",
    ("held", "completing"): "promote, or the bake is over",
    ("held", "giving_back"): "",
    ("baking", "held"): "an obstacle",
    ("baking", "completing"): "bake is over, or promote",
    ("baking", "giving_back"): "",
    ("completing", "promoted"): "seen, drained, closed",
    ("completing", "giving_back"): "before 100 % was seen",
    ("giving_back", "rolled_back"): "stable seen alone, drained, closed",
    ("giving_back", "aborted"): "the same, aborted",
    ("giving_back", "superseded"): "the same, superseded",
    ("giving_back", "failed"): "the same, late or no capacity",
}
"""Every way from one state to another, and what leads there; to `giving_back` a table says it cause by cause."""


@dataclass(frozen=True)
class _Place:
    """A rollout, the cluster as it is then, and what was noted on the way there."""

    rollout: RolloutRecord
    plan: Plan
    now: datetime = NOON
    weights: Mapping[str, int] = field(default_factory=lambda: {OLD: 100})
    replicas: Mapping[str, int] = field(default_factory=lambda: {OLD: 1})
    ready: Mapping[str, int] = field(default_factory=lambda: {OLD: 1})
    written: object = None
    notes: tuple[str, ...] = ()
    wanted: World = field(default_factory=World)

    @cached_property
    def memory(self) -> Memory:
        return memory_of(self.rollout)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells two places apart, coarsely: the walk is of states, not of histories."""
        memory, rollout = self.memory, self.rollout
        start = rollout.kind, rollout.from_revision, len(self.plan.steps)
        seen = self.written == (self.wanted.route, self.wanted.route_off)
        if rollout.state == "giving_back":
            return *start, ENDS_AS[memory.cause or "error"], memory.phase, rollout.want > 0, seen
        why = rollout.reason.partition(":")[0] if rollout.state == "held" else ""
        here = rollout.state, rollout.held_from, why, rollout.step, memory.phase, memory.moved, memory.clock is None
        return *start, *here, bool(self.ready.get(NEW)), seen

    def after(self, seen: Mapping[str, Any], seconds: float) -> "_Place":
        """The place one tick later: decided, and written to the cluster."""
        now = self.now + timedelta(seconds=seconds)
        decision = transition(self.rollout, self._observe(seen), now)
        wanted = world(decision.rollout)
        ready = {name: min(count, self.replicas.get(name, 0)) for name, count in self.replicas.items()}
        weights, written = self.weights, self.written
        if wanted.route_off:
            weights, written = {}, (None, True)
        elif wanted.route is not None:
            weights, written = dict(wanted.route.weights), (wanted.route, False)
        replicas = {**self.replicas, **wanted.replicas}
        return _Place(decision.rollout, self.plan, now, weights, replicas, ready, written, decision.notes, wanted)

    def _observe(self, seen: Mapping[str, Any]) -> Observation:
        wanted = self.wanted.route, self.wanted.route_off
        share = split_of(self.rollout, self.plan)
        known: dict[str, Any] = {
            "route": RouteSeen(bool(self.weights), False, self.written == wanted != (None, False), True, self.weights),
            "sides": {name: Side(count, self.ready.get(name, 0), count) for name, count in self.replicas.items()},
            "probed": True,
            "verdict": _verdict("continue", share) if share else None,
            "timing": timing("envoy"),
        }
        return Observation(**{**known, **seen})


@dataclass(frozen=True)
class Found:
    """What was found: the edges; the states in which each command acts; those from which each cause gives back."""

    edges: frozenset[Edge]
    acting: Mapping[str, frozenset[str]]
    causes: Mapping[str, frozenset[str]]


@cache
def explored() -> Found:
    """Walk everything. Raises AssertionError where what was found and what there are words for differ."""
    edges: set[Edge] = set()
    acting: dict[str, set[str]] = {verb: set() for verb in VERBS}
    found: dict[str, set[str]] = {cause: set() for cause in ENDS_AS}
    waiting = deque(_Place(rollout, plan_of(rollout)) for rollout in _starts())
    seen = {place.key for place in waiting}
    while waiting:  # the shortest way to each place first
        assert len(seen) < PLACES_MAX, "the walk does not end: its key holds something that only grows"
        for before, after, verb in _ticks(waiting.popleft()):
            state = before.rollout.state
            if after.rollout.state != state:
                edges.add((state, after.rollout.state))
            if after.memory.cause is not None and before.memory.cause is None:
                found[after.memory.cause].add(state)
            if verb and not any(word in after.notes[0] for word in _REFUSED):
                acting[verb].add(state)
            if after.key not in seen:
                seen.add(after.key)
                waiting.append(after)
    assert edges == set(_BECAUSE), f"words for {sorted(set(_BECAUSE) ^ edges)}"
    assert {state for edge in edges for state in edge} == set(get_args(RolloutState))
    return Found(
        frozenset(edges),
        {verb: frozenset(states) for verb, states in acting.items()},
        {cause: frozenset(states) for cause, states in found.items()},
    )


def diagram() -> str:
    """The states as a Mermaid state diagram."""
    edges = explored().edges
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> queued"]
    for before, after in sorted(edges, key=lambda edge: (_order(edge[0]), _order(edge[1]))):
        because = _BECAUSE[before, after]
        lines.append(f"    {before} --> {after}" + (f": {because}" if because else ""))
    lines += [f"    {state} --> [*]" for state in get_args(RolloutState) if state in FINAL]
    return "\n".join([*lines, "```"])


def commands() -> str:
    """Where each command acts. Everywhere else it is recorded, and answered with the state."""
    acting = explored().acting
    states = [state for state in get_args(RolloutState) if state not in FINAL]
    head = [f"| | {' | '.join(VERBS)} |", f"|---|{'---|' * len(VERBS)}"]
    rows = (f"| `{state}` | {' | '.join('acts' if state in acting[v] else '' for v in VERBS)} |" for state in states)
    return "\n".join([*head, *rows])


def causes() -> str:
    """Why traffic is given back, from where, and how that ends."""
    found = explored().causes
    rows = ["| cause | rank | ends as | blocks the revision | from |", "|---|---|---|---|---|"]
    for cause in sorted(RANK, key=lambda cause: (-RANK[cause], cause)):
        states = ", ".join(f"`{state}`" for state in sorted(found[cause], key=_order))
        blocks = "yes" if cause in BLOCKS else "no"
        rows.append(f"| `{cause}` | {RANK[cause]} | `{ENDS_AS[cause]}` | {blocks} | {states} |")
    return "\n".join(rows)


def _order(state: str) -> int:
    return [*get_args(RolloutState)].index(state)


def _ticks(place: _Place) -> Iterator[tuple[_Place, _Place, str]]:
    """Everything that may become of a rollout: the places before and after each tick, and the command in it."""
    if place.rollout.state in FINAL:
        return
    for story in _stories(place):
        before = place
        for seen, seconds in story:
            after = before.after(seen, seconds)
            yield before, after, ""
            before = after
    for verb in VERBS:
        command = CommandRecord("r2", verb, verb, "user:lea@example.com", NOON, "why")
        yield place, place.after({"commands": (command,)}, 1), verb
    if place.rollout.state != "completing":  # a rollout that completes is waited for
        turn = Turn(place.rollout, Observation(), place.now)
        turn.give_back("superseded", "superseded")
        given = turn.decision().rollout
        yield place, replace(place, rollout=given, wanted=world(given)), ""


def _stories(place: _Place) -> Iterator[Sequence[_Tick]]:
    """What may be seen, and how many seconds after the last tick: mostly once, sometimes again and again."""
    rollout = place.rollout
    to, share = rollout.to_revision, split_of(rollout, place.plan)
    sides = {name: Side(count, place.ready.get(name, 0), count) for name, count in place.replicas.items()}
    mine = sides.get(to, Side())
    freeze = {"freeze": Freeze("peak", "", "WeightIncreases", None)}
    homeless = {"sides": {**sides, to: replace(mine, ready=0, unschedulable=1)}}
    yield [({}, 1)]
    yield [({}, 30)]
    yield [({"failed": "its workflow failed"}, 1)]
    yield [(freeze, 1)]
    match rollout.state:
        case "queued":
            yield [({"busy": "another"}, 1)]
        case "pending":
            yield [({"route": RouteSeen(exists=True, foreign=True)}, 1)]
        case "placing" | "provisioning" | "completing" | "stepping" | "held" | "baking":
            yield [(homeless, 1)]
            yield [({"exhausted_until": place.now}, 1)]
            yield [({"sides": {**sides, to: replace(mine, broken="server: CrashLoopBackOff")}}, 1)]
            yield [({"verdict": _verdict("roll_back", share)}, 1)]
        case _:
            pass
    if rollout.state in ("stepping", "held", "baking"):
        undecided = {"verdict": _verdict("hold", share, cause="no-data")}
        yield [({"sides": {**sides, to: replace(mine, ready=0)}}, 1), ({}, 1), ({}, 1)] * 3
        yield [(undecided, 30), (undecided, 30), (undecided, 60)]
        yield [({}, 30), ({}, 3600)]
    if rollout.deadline is not None:
        late = max(0.0, (rollout.deadline - place.now).total_seconds())
        other = RouteSeen(exists=True, weights={OLD: 95, "other": 5})
        yield [({"probed": False}, late)]
        yield [(homeless, late)]
        yield [({**freeze, "route": other}, late)]


def _verdict(action: Action, share: float, *, cause: str | None = None) -> Verdict:
    numbers = {"split": share, "cause": cause, "exposure": {"step_requests": 100}}
    return Verdict(action, "5xx", "5xx: 4 % against 0 %", 0.0, None, numbers)


def _starts() -> Sequence[RolloutRecord]:
    """Beside a stable revision, with steps and without; the first to serve; a way back; a removal."""
    steps = (StepPlan(5, 6.0, approvals=1, approval_expires_s=3600.0), StepPlan(50, 6.0))
    older = Memory(word="w", superseding=("r1",))
    return (
        _rollout(steps),
        _rollout(steps, memory=older),
        _rollout(()),
        _rollout(steps, serves=None),
        _rollout((), kind="roll_back"),
        _rollout((), kind="remove", serves=NEW),
    )


def _rollout(
    steps: tuple[StepPlan, ...],
    *,
    kind: Literal["roll_out", "roll_back", "remove"] = "roll_out",
    serves: str | None = OLD,
    memory: Memory | None = None,
) -> RolloutRecord:
    plan = Plan(
        cluster="projects/p/locations/us-central1/clusters/c1",
        namespace="demo",
        name="digits",
        gateway="models",
        gateway_namespace="gateway",
        placement={"replicas": 1},
        hostnames=("digits-demo.localhost",),
        path="/",
        request_timeout_s=1.0,
        access="Open",
        replicas=1,
        probe_path="/health",
        steps=steps,
        bake_s=8.0,
        bake_weight=98,
        weight_total=100,
        min_canary_replicas=1,
        judge={},
        metric_sets=("Gateway",),
        enforced=True,
        min_requests=20,
        without_data_wait_s=60.0,
        without_data_then="RollBack",
        when_stable_unhealthy="Hold",
        on_new_revision="Supersede",
        deadlines=Deadlines(3600.0, 1200.0, 86400.0),
        history_limit=3,
        pool="cpu",
        fast=kind != "roll_out",
        remove=kind == "remove",
    )
    return RolloutRecord(
        id="r2",
        kind=kind,
        service="c1/demo/digits",
        generation=1,
        from_revision=serves,
        to_revision=NEW,
        state="queued",
        plan=plan.as_json(),
        cause="e1",
        commit="c" * 40,
        started_at=NOON,
        state_since=NOON,
        deadline=NOON + timedelta(hours=744),
        memory=remembered(memory or Memory(word="w")),
    )
