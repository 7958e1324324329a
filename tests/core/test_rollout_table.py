"""The state table, cell by cell: each state with each command, each deadline, each reason to be held."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from tests.core.rollout_lab import FREEZE, NEW, NOON, OLD, Lab, command, plan, rollout, verdict

from pointsman.core.freeze import Freeze
from pointsman.core.records import RolloutState
from pointsman.core.rollout import FINAL, Memory, Observation, transition, wait_s, world
from pointsman.core.rollout.observation import Announce, AskPool, Block, RouteSeen, Side
from pointsman.core.rollout.turn import ENDS_AS, RANK
from pointsman.core.rollout_plan import StepPlan, plan_of
from pointsman.core.signals import timing

COMMANDS = ("abort", "roll_back", "pause", "resume", "skip", "promote", "approve")


def at(state: str) -> Lab:
    """A rollout that has come to this state by itself, one tick after it entered."""
    lab = Lab(rollout())
    match state:
        case "queued":
            return lab
        case "pending":
            record = rollout()
            lab = Lab(replace(record, memory={**record.memory, "superseding": ["r1"]}))
            lab.deaf = True
            return lab.until("pending")
        case "provisioning":
            lab.obstinate = {NEW}
            lab.until("placing")
            lab.tick(sides={OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, unschedulable=1)})
            assert lab.state == "provisioning"
            return lab
        case "held":
            lab.until("stepping")
            lab.tick(commands=(command("pause"),))
            return lab
        case "giving_back":
            lab.until("stepping")
            lab.tick()
            lab.tick(verdict=verdict("roll_back"))
            return lab
        case "rolled_back":
            lab = at("giving_back")
            lab.run()
            return lab
        case "aborted":
            lab.until("stepping")
            lab.tick(commands=(command("abort"),))
            lab.run()
            return lab
        case "superseded":
            lab.rollout = replace(lab.rollout, state="superseded", ended="yes")
            return lab
        case "failed":
            lab.rollout = replace(lab.rollout, state="failed", ended="yes")
            return lab
        case _:
            lab.until(state)
            return lab


@pytest.mark.parametrize("state", get_args(RolloutState))
def test_every_state_has_an_answer_to_nothing_at_all(state: RolloutState) -> None:
    lab = at(state)
    decision = transition(lab.rollout, Observation(), lab.now)
    assert decision.rollout.state in get_args(RolloutState)
    world(decision.rollout)
    assert wait_s(decision.rollout, Observation(), lab.now) >= 0


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_settled_rollout_stays_and_says_so(state: str, verb: str) -> None:
    lab = at(state)
    before = lab.rollout
    decision = lab.tick(commands=(command(verb),))
    assert decision.rollout == before
    assert f"it is {state} already" in decision.notes[0]


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("queued", "aborted"),
        ("pending", "aborted"),
        ("placing", "aborted"),
        ("provisioning", "aborted"),
        ("stepping", "aborted"),
        ("held", "aborted"),
        ("baking", "aborted"),
        ("completing", "aborted"),
        ("giving_back", "aborted"),
    ],
)
def test_abort_wins_in_every_state_and_stable_has_everything(state: str, ends: str) -> None:
    lab = at(state)
    lab.deaf = False
    others = tuple(command(verb, by="user:sam@example.com") for verb in COMMANDS if verb != "abort")
    lab.tick(commands=(*others, command("abort")))
    assert lab.rollout.want == 0
    assert lab.run().state == ends
    assert {name: weight for name, weight in lab.weights.items() if weight} == {OLD: 100}
    assert lab.replicas.get(NEW, 0) == 0
    assert lab.replicas[OLD] == 1


def test_abort_after_the_stable_revision_has_changed_is_answered_with_undo() -> None:
    lab = at("completing")
    while "moved" not in lab.memory:
        lab.tick(0.2)
    decision = lab.tick(0.1, commands=(command("abort"),))
    assert "`pointsman undo`" in decision.notes[0]
    assert lab.run().state == "promoted"


@pytest.mark.parametrize(
    ("verb", "acts_in"),
    [
        ("pause", {"pending", "placing", "stepping", "held", "baking"}),
        ("resume", {"pending", "placing", "stepping", "held", "baking"}),
        ("skip", {"stepping", "held", "baking"}),
        ("promote", {"queued", "stepping", "held", "baking"}),
    ],
)
def test_a_command_acts_where_the_table_says_and_is_answered_elsewhere(verb: str, acts_in: set[str]) -> None:
    for state in get_args(RolloutState):
        lab = at(state)
        decision = lab.tick(0.05, commands=(command(verb),))
        answered = any("does nothing while" in note or "already" in note for note in decision.notes)
        assert answered == (state not in acts_in), state


def test_pause_holds_the_weight_is_judged_on_and_resume_goes_on_where_it_was() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick(commands=(command("pause"),))
    for _ in range(60):
        lab.tick()
    assert (lab.state, lab.rollout.held_from, lab.rollout.want) == ("held", "stepping", 5)
    assert lab.rollout.reason == "paused: by user:lea@example.com: since"
    lab.tick(commands=(command("resume"),))
    assert lab.rollout.want == 25
    lab.tick(commands=(command("pause"),))
    lab.tick(verdict=verdict("roll_back", split=0.25))
    assert lab.state == "giving_back"


def test_pause_before_the_first_weight_waits_with_the_canary_placed() -> None:
    lab = Lab(rollout()).until("placing")
    lab.tick(commands=(command("pause"),))
    for _ in range(30):
        lab.tick()
    assert (lab.state, lab.rollout.held_from, lab.rollout.want, lab.ready[NEW]) == ("held", "placing", 0, 1)
    lab.tick(commands=(command("resume"),))
    assert lab.run().state == "promoted"


def test_skip_ends_the_hold_but_not_the_judge() -> None:
    lab = Lab(rollout(plan(steps=(StepPlan(5, 3600.0), StepPlan(25, 3600.0))))).until("stepping")
    lab.tick()
    lab.tick(commands=(command("skip"),), verdict=verdict(requests=3))
    assert lab.rollout.want == 5
    lab.tick()
    assert lab.rollout.want == 25
    lab.tick()
    lab.tick(5)
    assert lab.rollout.want == 25, "a skip is for one step"


@pytest.mark.parametrize("state", ["stepping", "held", "baking"])
def test_promote_goes_to_everything_at_once_and_needs_a_reason(state: str) -> None:
    lab = at(state)
    decision = lab.tick(0.1, commands=(command("promote", why=""),))
    assert "needs a reason" in " ".join(decision.notes)
    lab.tick(0.1, commands=(command("promote", why="the old one is burning"),))
    assert lab.state == "completing"
    assert lab.run().state == "promoted"


def test_promote_in_the_queue_overrides_a_freeze() -> None:
    lab = Lab(rollout())
    lab.tick(freeze=FREEZE)
    assert (lab.state, lab.rollout.reason) == ("queued", "freeze window peak: Peak trade")
    lab.tick(freeze=FREEZE, commands=(command("promote", why="hotfix"),))
    assert lab.state == "pending"
    assert lab.rollout.reason == "the freeze is overridden by user:lea@example.com: hotfix"


def test_a_way_back_is_never_frozen() -> None:
    lab = Lab(rollout(plan(fast=True, steps=()), kind="roll_back"))
    assert lab.run(freeze=FREEZE).state == "promoted"


def test_a_service_that_is_busy_is_waited_for() -> None:
    lab = Lab(rollout())
    lab.tick(busy="r1 is baking digits-0000000f")
    assert (lab.state, lab.rollout.reason) == ("queued", "r1 is baking digits-0000000f")


# --- deadlines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "seconds", "ends", "reason"),
    [
        ("placing", 1200, "failed", "not healthy within deadlines.placing: 0 of 1 pods are ready"),
        ("provisioning", 3600, "failed", "no room within deadlines.provisioning: 1 pods find no room"),
        ("stepping", 86400, "failed", "not done within deadlines.rollout"),
        ("baking", 86400, "failed", "not done within deadlines.rollout"),
        ("held", 86400, "failed", "not done within deadlines.rollout"),
    ],
)
def test_every_wait_has_a_deadline_and_a_named_outcome(state: str, seconds: int, ends: str, reason: str) -> None:
    lab = at(state)
    lab.obstinate = {NEW} if state in ("placing", "provisioning") else set()
    stuck: dict[str, Any] = {"verdict": None} if state not in ("placing", "provisioning") else {}
    if state == "provisioning":
        stuck["sides"] = {OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, unschedulable=1)}
    lab.ready[NEW] = 0 if state in ("placing", "provisioning") else 1
    assert lab.rollout.deadline is not None
    assert lab.rollout.deadline <= lab.now + timedelta(seconds=seconds)
    lab.tick(seconds, **stuck)
    assert (lab.state, lab.rollout.reason) == ("giving_back", reason)
    assert lab.run().state == ends


def test_what_waits_longer_than_the_longest_freeze_expires() -> None:
    lab = Lab(replace(rollout(), deadline=NOON + timedelta(hours=744)))
    lab.tick(744 * 3600, freeze=FREEZE)
    assert (lab.state, lab.rollout.ended) == ("failed", "yes")


def test_an_older_canary_that_can_not_be_taken_off_in_ten_minutes_is_given_back_and_stays_there() -> None:
    lab = at("pending")
    lab.tick(600)
    assert lab.state == "giving_back"
    lab.tick(600)
    assert lab.state == "giving_back", "no final state while a weight is unproven"
    lab.deaf = False
    assert lab.run().state == "failed"


def test_completing_and_giving_back_keep_trying_and_say_so() -> None:
    for state, after in (("completing", 1800), ("giving_back", 600)):
        lab = at(state)
        lab.deaf = True
        for _ in range(3):
            lab.tick(after)
        assert lab.state == state
        assert any("stuck" in action.text for action in lab.took(Announce))


# --- held -----------------------------------------------------------------------------------------------------


def test_lost_pods_take_the_weight_away_at_once_and_three_times_give_it_back() -> None:
    lab = Lab(rollout(plan(steps=(StepPlan(25, 60.0),)))).until("stepping")
    lab.tick()
    gone = {OLD: Side(1, 1, 1), NEW: Side(1, 0, 1)}
    for times in (1, 2):
        lab.tick(sides=gone)
        assert (lab.state, lab.rollout.want) == ("held", 0), times
        assert lab.rollout.reason == "lost pods: 0 of 1 of the canary's pods are ready"
        lab.tick(probed=False)
        assert lab.rollout.want == 0, "ready is not believed before it answered through the gateway"
        lab.tick()
        assert (lab.state, lab.rollout.want) == ("stepping", 25)
        lab.tick()
    lab.tick(sides=gone)
    assert (lab.state, lab.rollout.reason) == ("giving_back", "the canary lost its pods 3 times in a step")
    assert lab.run().state == "failed"
    assert lab.took(Block) == [], "capacity is not the revision's fault"


def test_pods_that_crash_are_evidence_and_not_capacity() -> None:
    for state in ("placing", "stepping", "held", "baking", "completing"):
        lab = at(state)
        lab.tick(0.1, sides={OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, broken="server: CrashLoopBackOff, 4 restarts")})
        assert lab.state == "giving_back", state
        assert lab.run().state == "rolled_back"
        assert [block.revision for block in lab.took(Block)] == [NEW]


@pytest.mark.parametrize(
    ("then", "state", "reason"),
    [
        ("RollBack", "giving_back", "undecided for 60 s: no data: 3 of 20 requests at this step"),
        ("Hold", "held", "undecided: no data: 3 of 20 requests at this step"),
        ("Advance", "stepping", ""),
    ],
)
def test_without_data_a_step_is_held_and_then_does_what_the_policy_says(then: str, state: str, reason: str) -> None:
    lab = Lab(rollout(plan(without_data_then=then))).until("stepping")
    few = verdict(requests=3)
    while lab.state == "stepping":
        lab.tick(verdict=few)
    assert (lab.state, lab.rollout.reason) == ("held", "no data: 3 of 20 requests at this step")
    lab.tick(59, verdict=few)
    assert lab.state == "held"
    lab.tick(1, verdict=few)
    assert (lab.state, lab.rollout.reason) == (state, reason)
    if then == "Advance":
        assert lab.rollout.want == 25
        assert lab.memory["unjudged"] == [0]


def test_data_that_come_late_are_enough() -> None:
    lab = Lab(rollout()).until("stepping")
    while lab.state != "held":
        lab.tick(verdict=verdict("hold", cause="no-data"))
    lab.tick()
    assert (lab.state, lab.rollout.want) == ("stepping", 25)


def test_a_verdict_of_the_step_before_does_not_count() -> None:
    lab = Lab(rollout(plan(steps=(StepPlan(5, 0.0), StepPlan(25, 0.0))))).until("stepping")
    for _ in range(20):
        lab.tick(verdict=verdict(split=0.05))
    assert lab.rollout.want == 25
    assert lab.rollout.reason == "no data: nothing was judged at this step yet"


def test_a_metric_source_that_is_down_holds_after_three_lags_and_then_does_what_the_policy_says() -> None:
    lab = Lab(rollout(plan(steps=(StepPlan(5, 600.0),)))).until("stepping")
    lab.tick()
    for _ in range(3):
        lab.tick(verdict=None, source_down="429 Quota exceeded")
        assert lab.state == "stepping"
    lab.tick(verdict=None, source_down="429 Quota exceeded")
    assert (lab.state, lab.rollout.reason) == ("held", "source down: 429 Quota exceeded")
    lab.tick()
    assert lab.state == "stepping"
    for _ in range(700):
        lab.tick(verdict=None, source_down="503")
    assert lab.run().state == "rolled_back"
    assert lab.rollout.reason == "undecided for 60 s: source down: 503"


@pytest.mark.parametrize(("policy", "want"), [("Hold", 5), ("Advance", 25)])
def test_when_both_sides_burn_the_policy_says_whether_a_fix_may_pass(policy: str, want: int) -> None:
    lab = Lab(rollout(plan(when_stable_unhealthy=policy))).until("stepping")
    for _ in range(12):
        lab.tick(verdict=verdict("hold", split=lab.rollout.want / 100, cause="stable-unhealthy"))
        if lab.rollout.want != 5:
            break
    assert lab.rollout.want == want
    assert (lab.state == "held") == (policy == "Hold")


def test_approval_needs_different_owners_is_judged_meanwhile_and_expires() -> None:
    steps = (StepPlan(5, 2.0, approvals=2, approval_expires_s=3600), StepPlan(25, 2.0))
    lab = Lab(rollout(plan(steps=steps))).until("stepping")
    while lab.state != "held":
        lab.tick()
    assert lab.rollout.reason == "approval: 0 of 2 owners have approved"
    assert lab.rollout.deadline == lab.now + timedelta(hours=1)
    assert [action.notice for action in lab.took(Announce)][-1] == "ApprovalNeeded"
    expiring = replace(lab, actions=[])
    expiring.tick(3600)
    assert (expiring.state, expiring.rollout.reason) == ("giving_back", "no approval within 3600 s")
    lab.tick(commands=(command("approve"), command("approve")))
    assert lab.state == "held", "one owner twice is one owner"
    lab.tick(commands=(command("approve", by="user:sam@example.com"),))
    assert (lab.state, lab.rollout.want) == ("stepping", 25)
    judged = replace(lab, actions=[])
    judged.tick(verdict=verdict("roll_back", split=0.25))
    assert judged.state == "giving_back"


def test_a_freeze_of_weight_increases_holds_a_running_rollout_and_one_of_new_rollouts_does_not() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick(freeze=Freeze("nights", "", "NewRollouts", None))
    assert lab.state == "stepping"
    lab.tick(freeze=FREEZE)
    assert lab.state == "held"
    lab.tick(verdict=verdict("roll_back"), freeze=FREEZE)
    assert lab.state == "giving_back", "going back is always allowed"


def test_a_route_that_somebody_else_resets_is_written_three_times_and_then_people_are_asked() -> None:
    lab = Lab(rollout(plan(steps=(StepPlan(5, 600.0),)))).until("stepping")
    lab.tick()
    for times in range(4):
        lab.written = "somebody else's"
        lab.tick()
        assert lab.state == ("held" if times == 3 else "stepping")
        lab.tick()
    assert lab.rollout.reason.startswith("conflict: somebody else wrote the HTTPRoute 4 times")
    assert world(lab.rollout).route is None, "it is left alone until somebody says so"
    lab.tick(commands=(command("resume"),))
    assert lab.state == "stepping"
    assert world(lab.rollout).route is not None


def test_a_route_of_somebody_else_is_never_taken_over() -> None:
    lab = Lab(rollout())
    lab.tick(route=RouteSeen(exists=True, foreign=True))
    lab.tick(route=RouteSeen(exists=True, foreign=True))
    assert "not pointsman's" in lab.rollout.reason
    assert lab.state in ("giving_back", "failed")


def test_a_split_that_the_counters_do_not_show_is_not_left() -> None:
    lab = Lab(rollout()).until("stepping")
    counts = {OLD: 1000, NEW: 0}
    for _ in range(20):
        counts[OLD] += 100
        lab.tick(counted=dict(counts))
    assert lab.rollout.reason == "conflict: the gateway sends 0.0 % to the canary, 5.0 % was asked for"
    assert lab.rollout.want == 5
    for _ in range(40):
        counts[OLD] += 50
        counts[NEW] += 10
        lab.tick(counted=dict(counts))
    assert lab.rollout.want > 5


def test_pods_of_a_later_step_without_room_hold_it_and_ask_the_pool() -> None:
    lab = Lab(rollout(plan(replicas=10)), replicas={OLD: 10}, ready={OLD: 10}).until("stepping")
    tight = {OLD: Side(10, 10, 10), NEW: Side(3, 1, 3, unschedulable=2, waiting="no room")}
    while lab.state == "stepping":
        lab.tick(sides=tight)
    assert (lab.state, lab.rollout.reason) == ("held", "capacity: no room")
    assert lab.took(AskPool)[-1] == AskPool("cpu", 2, "capacity: no room")
    lab.tick()
    lab.tick()
    assert (lab.state, lab.rollout.want) == ("stepping", 25)


# --- causes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["roll_back", "abort"])
def test_a_cause_of_higher_rank_replaces_a_lower_one(verb: str) -> None:
    lab = Lab(rollout(), obstinate={NEW}).until("placing")
    lab.tick(1200)
    assert lab.state == "giving_back"
    lab.tick(0.1, commands=(command(verb),))
    assert lab.run().state == ("aborted" if verb == "abort" else "rolled_back")


def test_every_cause_has_a_rank_and_an_end() -> None:
    assert set(RANK) == set(ENDS_AS)


def test_the_plan_and_memory_of_a_record_survive_the_ledger() -> None:
    record = rollout(plan(steps=(StepPlan(0, 1.0, cohort={"headers": []}),)), memory=Memory(word="x", older=("a",)))
    assert plan_of(record).steps[0].cohort == {"headers": []}
    assert record.memory == {"word": "x", "older": ["a"]}


@pytest.mark.parametrize(
    ("state", "least", "most"),
    [
        ("queued", 1, 60),
        ("placing", 0.1, 1),
        ("provisioning", 0.5, 2),
        ("stepping", 0.1, 2),
        ("baking", 0.1, 2),
        ("completing", 0.05, 1.5),
        ("giving_back", 0.05, 1.5),
        ("promoted", 0, 0),
    ],
)
def test_with_an_envoy_nobody_waits_longer_than_a_tick(state: str, least: float, most: float) -> None:
    lab = at(state)
    assert least <= wait_s(lab.rollout, Observation(timing=timing("envoy")), lab.now) <= most


def test_ticks_grow_longer_as_a_quiet_rollout_ages_so_that_a_day_is_hundreds_of_them() -> None:
    observed = Observation(timing=timing("gke-l7-regional-external-managed"))
    lab = Lab(rollout(plan(steps=(StepPlan(5, 86400.0),)))).until("stepping")
    lab.tick()
    record, ticks = replace(lab.rollout, judged_until=None), 0
    now = lab.now
    while now < lab.now + timedelta(days=1):
        now += timedelta(seconds=wait_s(record, observed, now))
        ticks += 1
    assert 500 < ticks < 1000
