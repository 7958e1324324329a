"""What holds of a rollout whatever happens, in whatever order."""

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.rollout_lab import FREEZE, NEW, OLD, Lab, command, plan, rollout, verdict

from pointsman.core.encoding import decode, encode
from pointsman.core.judge.verdict import Action
from pointsman.core.records import RolloutRecord as Record
from pointsman.core.rollout import FINAL, wait_s, world
from pointsman.core.rollout.observation import Block, SetStable, Side
from pointsman.core.rollout.world import split_of
from pointsman.core.rollout_plan import Plan, StepPlan, plan_of

VERBS = st.sampled_from(["abort", "roll_back", "pause", "resume", "skip", "promote", "approve"])
STEPS = st.lists(st.sampled_from([50, 250, 500, 900]), unique=True, max_size=3).map(sorted)


class Rollout(RuleBasedStateMachine):
    """One rollout, among people, pods, gateways, metrics and clocks that do what they like."""

    @initialize(
        weights=STEPS,
        replicas=st.integers(0, 5),
        first=st.booleans(),
        approvals=st.integers(0, 2),
        hold_s=st.sampled_from([0.0, 5.0]),
        then=st.sampled_from(["RollBack", "Advance", "Hold"]),
    )
    def begin(self, weights: list[int], replicas: int, first: bool, approvals: int, hold_s: float, then: Any) -> None:
        steps = tuple(StepPlan(weight, hold_s, approvals=approvals, approval_expires_s=600) for weight in weights)
        planned = plan(
            steps=steps, weight_total=1000, bake_weight=980, replicas=replicas, without_data_then=then, bake_s=hold_s
        )
        record = rollout(planned, weight_total=1000, from_revision=None if first else OLD)
        size = max(replicas, 1)
        self.lab = (
            Lab(record, weights={}, replicas={}, ready={})
            if first
            else Lab(record, weights={OLD: 1000}, replicas={OLD: size}, ready={OLD: size})
        )
        self.first = first
        self.wants = [0]
        self.settled: Record | None = None
        self.promoted = False

    def _tick(self, seconds: float, **fields: Any) -> None:
        before = self.lab.rollout
        decision = self.lab.tick(seconds, **fields)
        after = self.lab.rollout
        self.promoted = self.promoted or any("promoted by" in note for note in decision.notes)
        if after.want != self.wants[-1]:
            self.wants.append(after.want)
        if before.state in FINAL:
            assert after == before, "settled states stay"
        if self.settled is None and after.state in FINAL:
            self.settled = after

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0, 8.0]))
    def nothing_special(self, seconds: float) -> None:
        self._tick(seconds)

    @rule(verb=VERBS, why=st.sampled_from(["", "since"]), by=st.sampled_from(["user:a@x.y", "user:b@x.y"]))
    def somebody_asks(self, verb: str, why: str, by: str) -> None:
        self._tick(1.0, commands=(command(verb, by=by, why=why),))

    @rule(action=st.sampled_from(["continue", "advance", "hold", "roll_back"]), requests=st.integers(0, 40))
    def the_judge_says(self, action: Action, requests: int) -> None:
        share = split_of(self.lab.rollout, plan_of(self.lab.rollout))
        self._tick(1.0, verdict=verdict(action, split=share, requests=requests, cause="no-data"))

    @rule()
    def metrics_are_down(self) -> None:
        self._tick(2.0, verdict=None, source_down="503")

    @rule(revision=st.sampled_from([OLD, NEW]))
    def pods_are_gone_for_a_moment(self, revision: str) -> None:
        sides = {name: Side(count, self.lab.ready.get(name, 0), count) for name, count in self.lab.replicas.items()}
        count = self.lab.replicas.get(revision, 0)
        self._tick(1.0, sides={**sides, revision: Side(count, 0, 0)})

    @rule()
    def pods_find_no_room(self) -> None:
        sides = {name: Side(count, self.lab.ready.get(name, 0), count) for name, count in self.lab.replicas.items()}
        count = self.lab.replicas.get(NEW, 0)
        self._tick(1.0, sides={**sides, NEW: Side(count, 0, count, unschedulable=count)})

    @rule()
    def somebody_writes_our_route(self) -> None:
        self.lab.written = "somebody else's"
        self._tick(1.0)

    @rule()
    def a_freeze_window_is_open(self) -> None:
        self._tick(1.0, freeze=FREEZE)

    @rule()
    def probes_fail(self) -> None:
        self._tick(1.0, probed=False)

    @rule(deaf=st.booleans())
    def the_gateway_falls_silent_or_speaks(self, deaf: bool) -> None:
        self.lab.deaf = deaf

    @precondition(lambda self: self.lab.rollout.state not in FINAL)
    @rule()
    def the_process_dies_after_the_save_and_before_the_writes(self) -> None:
        weights, written, replicas = dict(self.lab.weights), self.lab.written, dict(self.lab.replicas)
        self._tick(1.0)
        self.lab.weights, self.lab.written, self.lab.replicas = weights, written, replicas

    @invariant()
    def weights_that_are_written_sum_to_the_total_and_are_never_all_zero(self) -> None:
        if not hasattr(self, "lab"):
            return
        wanted = world(self.lab.rollout)
        if wanted.route is not None and wanted.route.weights:
            assert sum(wanted.route.weights.values()) == 1000
            assert all(weight >= 0 for weight in wanted.route.weights.values())
        if wanted.route is not None and not wanted.route.weights:
            assert self.first
            assert wanted.route.probe is not None

    @invariant()
    def the_weight_rises_one_step_or_drops_to_nothing(self) -> None:
        if not hasattr(self, "lab"):
            return
        planned = plan_of(self.lab.rollout)
        ladder = [0, *(step.weight for step in planned.steps), planned.bake_weight, 1000]
        reached = 0
        for before, after in zip(self.wants, self.wants[1:], strict=False):
            if after == 1000:
                assert before == planned.bake_weight or self.promoted or self.first or planned.replicas == 0
            elif after:
                step = ladder.index(after)
                assert step <= reached + 1, f"{self.wants}: from step {reached} to {step}"
                assert before in (0, ladder[step - 1])
                reached = max(reached, step)

    @invariant()
    def the_stable_revision_changes_once_and_only_when_everything_was_seen_there(self) -> None:
        if not hasattr(self, "lab"):
            return
        changes = self.lab.took(SetStable)
        assert len(changes) <= 1
        if changes:
            assert changes[0].revision == NEW
            assert self.lab.rollout.state in ("completing", "promoted")
            assert not self.lab.took(Block)
        if self.lab.rollout.state == "promoted":
            assert changes
            assert self.lab.weights == {NEW: 1000}

    @invariant()
    def a_rollout_that_ended_otherwise_has_left_everything_to_stable(self) -> None:
        if not hasattr(self, "lab"):
            return
        state = self.lab.rollout.state
        if state in FINAL and state != "promoted":
            assert self.lab.weights == ({} if self.first else {OLD: 1000})
            assert self.lab.replicas.get(NEW, 0) == 0

    @invariant()
    def stable_is_never_scaled_away_before_the_canary_has_taken_over(self) -> None:
        if hasattr(self, "lab") and not self.first and not self.lab.took(SetStable):
            assert self.lab.replicas[OLD] >= 1

    @invariant()
    def its_record_survives_the_ledger_and_there_is_always_a_next_look(self) -> None:
        if hasattr(self, "lab"):
            assert decode(Record, encode(self.lab.rollout)) == self.lab.rollout
            assert 0 <= wait_s(self.lab.rollout, self.lab.observe(), self.lab.now) <= 120

    def teardown(self) -> None:
        """When faults stop and somebody aborts, stable has everything; unless the canary had taken over."""
        if not hasattr(self, "lab"):
            return
        self.lab.deaf = False
        if not self.lab.took(SetStable):
            self._tick(0.2, commands=(command("abort"),))
        for _ in range(60):
            if self.lab.rollout.state in FINAL:
                break
            self._tick(2.0)
        assert self.lab.rollout.state in FINAL, f"{self.lab.states}: {self.lab.rollout.reason}"
        self.a_rollout_that_ended_otherwise_has_left_everything_to_stable()


TestRollout = Rollout.TestCase
TestRollout.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


def test_a_plan_of_any_policy_walks_to_its_end() -> None:
    planned: Plan = plan(steps=())
    lab = Lab(rollout(planned))
    assert lab.run().state == "promoted"
    assert lab.history == [0, 98, 100]
    assert lab.now - lab.rollout.started_at < timedelta(minutes=1)
