"""One tick of a rollout: read objects, read the ledger, measure, decide, save, and only then write.

What is saved before it is done is done again by whoever comes next: `world` of the record says what there should be.
A tick that loses a compare-and-set, of the ledger's or of an object's, has done nothing that matters: ask again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from pointsman.core.names import JSON
from pointsman.core.pools import exhausted_until
from pointsman.core.records import CommandRecord, DecisionRecord, PoolRecord, RolloutRecord, ServiceRecord
from pointsman.core.revision import digest
from pointsman.core.rollout import (
    FINAL,
    Memory,
    Observation,
    Side,
    memory_of,
    remembered,
    transition,
    wait_s,
    world,
)
from pointsman.core.rollout.observation import AskPool
from pointsman.core.rollout_plan import Plan, plan_of
from pointsman.core.routes import PROBE_HEADER
from pointsman.core.signals import is_internal, timing
from pointsman.errors import Absent, Conflict
from pointsman.handlers.rollout_claim import commands_of, freeze_of
from pointsman.handlers.rollout_effects import Effects, effects, tell
from pointsman.handlers.rollout_look import Reading, Service, gateway_class, look, route_seen, sides, target
from pointsman.handlers.rollout_measure import Measured, is_judged, measure
from pointsman.handlers.rollout_ports import LEASE, Steps, answer
from pointsman.handlers.rollout_write import write
from pointsman.ports import Cluster, Saved, Write

__all__ = ["TICKS_MAX", "tick"]

TICKS_MAX = 2000
EXECUTION_MAX = timedelta(hours=12)
"""An execution hands over to a successor before it comes near the 100,000 steps that Workflows lets it take."""

PROBES = 5
RENEW = timedelta(seconds=45)
"""A lease with less than this beyond the next look is renewed even where nothing else is to be saved."""

_PLACING = ("pending", "placing", "provisioning")


def tick(steps: Steps, verb: str, rollout: str, execution: str, now: datetime) -> JSON:
    """Take one look and act on it: the verbs `place`, `advance`, `restore` and `give-back`."""
    saved = steps.ledger.read(RolloutRecord, rollout)
    if saved is None:
        raise Absent("there is no such rollout", where=rollout, remedy="pointsman rollouts list")
    if saved.record.ended == "yes":
        return answer(saved.record, done=True)
    return _Tick(steps, verb, execution, plan_of(saved.record), now).run(saved.record)


class _Tick:
    def __init__(self, steps: Steps, verb: str, execution: str, plan: Plan, now: datetime) -> None:
        self._steps = steps
        self._verb = verb
        self._execution = execution
        self._plan = plan
        self._now = now

    def run(self, before: RolloutRecord) -> JSON:
        cluster = self._steps.cluster(self._plan.cluster)
        class_name = memory_of(before).gateway_class or gateway_class(cluster, self._plan)
        reading = look(cluster, self._plan)
        # The ledger is read after the objects: a claim that came between has a newer token, or stamps what we write.
        saved = self._steps.ledger.read(RolloutRecord, before.id)
        owned = self._steps.ledger.read(ServiceRecord, before.service)
        if saved is None or owned is None:
            raise Absent("the rollout's records are gone", where=before.id)
        rollout, service = saved.record, owned.record
        if rollout.ended == "yes":
            return answer(rollout, done=True)
        if service.owner != rollout.id or service.token != rollout.token:
            return answer(rollout, done=True, outcome="superseded")
        if rollout.execution != self._execution:
            return answer(rollout, done=True, outcome="duplicate")
        memory = memory_of(rollout)
        if memory.ticks >= TICKS_MAX or (memory.since is not None and self._now - memory.since >= EXECUTION_MAX):
            return self._hand_over(saved, owned)
        if not memory.gateway_class:
            rollout = replace(rollout, memory=remembered(replace(memory, gateway_class=class_name)))
        if memory.outbox:  # the last tick died before it had told people
            tell(self._steps, rollout, self._plan, self._now)
            return answer(rollout)
        return self._decide(cluster, reading, rollout, saved, owned, class_name)

    def _hand_over(self, saved: Saved[RolloutRecord], owned: Saved[ServiceRecord]) -> JSON:
        """The successor finds nobody in its way."""
        free = replace(saved.record, execution=None, callback=None, lease_until=self._now + LEASE)
        try:
            self._steps.ledger.save([Write(free, saved)], [owned])
        except Conflict:
            return answer(saved.record)
        return answer(free, done=True, outcome="handed_over")

    def _decide(
        self,
        cluster: Cluster,
        reading: Reading,
        rollout: RolloutRecord,
        saved: Saved[RolloutRecord],
        owned: Saved[ServiceRecord],
        class_name: str,
    ) -> JSON:
        plan, now, ledger = self._plan, self._now, self._steps.ledger
        commands = commands_of(ledger, rollout.id)
        service = Service(plan, owned.record.token, owned.record.stable)
        measured, observed = self._observe(cluster, reading, rollout, service, class_name, commands)
        judged = measured.verdict is not None
        if self._verb == "give-back" and rollout.state != "giving_back":
            observed = replace(observed, failed="its workflow failed; see the execution's error")
        if measured.verdict is not None:
            verdict = measured.verdict.as_json()
            rollout = replace(rollout, judge=measured.judge, judged_until=measured.until, verdict=verdict)
            if measured.learned is not None:
                rollout = replace(rollout, carried=measured.learned)
        decision = transition(rollout, observed, now)
        after = decision.rollout
        # A pool that is asked again for what it holds already is nothing new.
        found = effects(ledger, replace(after, seq=saved.record.seq + 1), owned.record, plan, decision.actions, now)
        asked = all(isinstance(action, AskPool) for action in decision.actions)
        notable = judged or bool(commands) or not asked or bool(found.writes) or _differs(saved.record, after)
        if notable:
            after = replace(found.rollout, memory=_ticked(found.rollout))
        wait = wait_s(after, observed, now)
        lease = now + timedelta(seconds=wait) + LEASE
        if notable or (saved.record.lease_until or now) < lease - RENEW:
            after = replace(after, lease_until=lease)
            writes: list[Write] = [Write(after, saved), *found.writes]
            if notable:
                inputs = _inputs(plan, measured, observed, commands)
                writes.append(Write(_record(saved.record, after, inputs, decision.notes, judged, bool(commands), now)))
                writes += [Write(replace(item.record, taken=str(after.seq)), item) for item in commands]
            changed = found.service != owned.record
            try:
                ledger.save([*writes, Write(found.service, owned)] if changed else writes, [] if changed else [owned])
            except Conflict:
                return answer(saved.record)
        return self._act(cluster, reading, after, replace(service, stable=found.service.stable), found, wait)

    def _observe(
        self,
        cluster: Cluster,
        reading: Reading,
        rollout: RolloutRecord,
        service: Service,
        class_name: str,
        commands: Sequence[Saved[CommandRecord]],
    ) -> tuple[Measured, Observation]:
        plan, now, memory = self._plan, self._now, memory_of(rollout)
        pace = timing(class_name, plan.metric_sets)
        seen = sides(reading, now)
        route = route_seen(reading, world(rollout), service, rollout, class_name)
        canary = seen.get(rollout.to_revision, Side())
        measured = Measured(judge=rollout.judge, until=rollout.judged_until)
        # What gives traffic back depends on no metrics: they may be what its workflow failed of.
        if self._verb != "give-back" and is_judged(rollout, memory, plan, canary):
            metrics = self._steps.metrics(plan.cluster, class_name)
            measured = measure(metrics, rollout, memory, plan, seen, pace, now)
        probed = None
        if rollout.from_revision == rollout.to_revision:
            probed = True  # it serves already, which says more than we could ask
        elif _is_probed(rollout, memory, canary) and route.seen:
            probed = self._probe(cluster, memory, class_name)
        pool = self._steps.ledger.read(PoolRecord, plan.pool) if plan.pool and rollout.state == "provisioning" else None
        return measured, Observation(
            route=route,
            sides=seen,
            probed=probed,
            verdict=measured.verdict,
            source_down=measured.source_down,
            counted=measured.counted,
            freeze=freeze_of(self._steps.ledger, plan, now),
            commands=tuple(command.record for command in commands),
            exhausted_until=exhausted_until(pool.record, rollout.id) if pool is not None else None,
            exhausted_why=pool.record.reason if pool is not None else "",
            timing=pace,
        )

    def _probe(self, cluster: Cluster, memory: Memory, class_name: str) -> bool:
        """Whether the canary answers through the gateway; pods that say they are ready are not believed alone."""
        if self._plan.access == "IAP" or is_internal(class_name):
            return True  # we are not let through: the load balancer's own health gates the pods' readiness
        there = target(cluster, self._plan)
        if there is None:
            return False
        path, headers = self._plan.probe_path, {PROBE_HEADER: memory.word}
        # Where only the route's own path can be asked, a server may well say that it has nothing there.
        most = 400 if path != self._plan.path else 500
        return all(0 < self._steps.probe(there, path, headers) < most for _ in range(PROBES))

    def _act(
        self, cluster: Cluster, reading: Reading, rollout: RolloutRecord, service: Service, found: Effects, wait: float
    ) -> JSON:
        if rollout.state not in FINAL:
            try:
                write(cluster, self._steps.ledger, rollout, memory_of(rollout), service, reading)
            except Conflict:
                wait = 0.0
        tell(self._steps, rollout, self._plan, self._now)
        done = rollout.state in FINAL or (self._verb == "place" and rollout.state not in _PLACING)
        need = {"pool": found.need} if found.need is not None else None
        return answer(rollout, wait_s=0.0 if done else wait, done=done, need=need)


def _is_probed(rollout: RolloutRecord, memory: Memory, canary: Side) -> bool:
    if not 0 < memory.target <= canary.ready:
        return False
    return rollout.state == "placing" or memory.astray


def _differs(before: RolloutRecord, after: RolloutRecord) -> bool:
    """Whether a decision is worth recording: more has changed than the lease."""
    return replace(before, lease_until=None) != replace(after, lease_until=None, execution=before.execution)


def _ticked(rollout: RolloutRecord) -> JSON:
    memory = memory_of(rollout)
    return remembered(replace(memory, ticks=memory.ticks + 1))


def _inputs(plan: Plan, measured: Measured, observed: Observation, commands: Sequence[Saved[CommandRecord]]) -> JSON:
    route = observed.route
    return {
        "tick": measured.tick,
        "policy": digest(dict(plan.judge))[:16],
        "commands": [{"verb": item.record.verb, "by": item.record.by, "why": item.record.why} for item in commands],
        "observed": {
            "route": {"as_wanted": route.as_wanted, "reconciled": route.reconciled, "weights": dict(route.weights)},
            "sides": {
                name: {"replicas": side.replicas, "ready": side.ready, "pods": side.pods, "broken": side.broken}
                for name, side in observed.sides.items()
            },
            "probed": observed.probed,
            "counted": dict(observed.counted),
            "source_down": observed.source_down,
            "freeze": str(observed.freeze) if observed.freeze is not None else None,
        },
    }


def _record(
    before: RolloutRecord,
    after: RolloutRecord,
    inputs: JSON,
    notes: Sequence[str],
    judged: bool,
    commanded: bool,
    now: datetime,
) -> DecisionRecord:
    kind: Literal["state", "weight", "verdict", "command"] = "state"
    if commanded:
        kind = "command"
    elif after.want != before.want:
        kind = "weight"
    elif after.state == before.state and judged:
        kind = "verdict"
    reason = "; ".join(notes) or (str((after.verdict or {}).get("reason", "")) if judged else after.reason)
    return DecisionRecord(
        rollout=after.id,
        number=after.seq,
        at=now,
        kind=kind,
        inputs=inputs,
        before=_where(before),
        after={**_where(after), "verdict": after.verdict if judged else None},
        reason=reason or after.state,
    )


def _where(rollout: RolloutRecord) -> JSON:
    return {
        "state": rollout.state,
        "step": rollout.step,
        "want": rollout.want,
        "seen": rollout.seen,
        "weight_total": rollout.weight_total,
        "reason": rollout.reason,
    }
