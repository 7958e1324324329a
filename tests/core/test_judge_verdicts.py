"""Which verdict when: what holds, what goes back, what is no evidence at all."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, Verdict, judge
from pointsman.core.names import JSON

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
EDGES = (10.0, 20.0, 40.0, 80.0)
QUICK = {"warmup": "0s"}


class Side:
    """One arm's single pod, whose counters only rise."""

    def __init__(self, started_at: datetime = START) -> None:
        self.pod = PodCounters("*", started_at, START, 0, {}, EDGES, (0,) * 5)

    def serve(self, requests: int, bad: int = 0, bucket: int = 1) -> None:
        latency = list(self.pod.latency)
        latency[bucket] += requests
        total = self.pod.bad.get("5xx", 0) + bad
        self.pod = self.pod._replace(requests=self.pod.requests + requests, bad={"5xx": total}, latency=tuple(latency))

    def arm(self, until: datetime, ready: int = 1) -> Arm:
        return Arm((self.pod._replace(sampled_at=until),), ready)


class Rollout:
    """Ticks of 10 s at one split; each `tick` says what the two sides answered in it."""

    def __init__(
        self, policy: Mapping[str, object] = QUICK, *, split: float = 0.05, ready: tuple[int, int] = (1, 19)
    ) -> None:
        self.policy = JudgePolicy.of(policy)
        self.split, self.ready = split, ready
        self.canary, self.stable = Side(), Side()
        self.state: JSON | None = None
        self.number = 0

    def tick(self, canary: tuple[int, int] = (50, 0), stable: tuple[int, int] = (950, 5), **changes: Any) -> Verdict:
        buckets = changes.pop("buckets", (1, 1))
        for side, served, bucket in ((self.canary, canary, buckets[0]), (self.stable, stable, buckets[1])):
            side.serve(*served, bucket=bucket)
        return self.take(replace(self.reading(), **changes))

    def reading(self) -> Tick:
        self.number += 1
        since = START + timedelta(seconds=10 * (self.number - 1))
        until = since + timedelta(seconds=10)
        return Tick(
            seq=self.number,
            since=since,
            until=until,
            split=self.split,
            canary=self.canary.arm(until, self.ready[0]),
            baseline=self.stable.arm(until, self.ready[1]),
        )

    def take(self, tick: Tick) -> Verdict:
        self.state, verdict = judge(self.state, tick, self.policy)
        return verdict


def by_metric(verdict: Verdict, name: str) -> dict[str, Any]:
    found = verdict.numbers["by_metric"]
    assert isinstance(found, dict)
    return dict(found[name])


def test_a_healthy_canary_goes_on_and_is_counted() -> None:
    rollout = Rollout()
    rollout.tick(changed=True)
    verdict = rollout.tick()
    assert verdict.action == "continue"
    assert verdict.metric is None
    assert verdict.numbers["exposure"] == {"requests": 100, "bad": 0, "step_requests": 100}
    assert "after 100 of the canary's requests" in verdict.reason


def test_failing_answers_go_back_and_are_blamed_with_their_numbers() -> None:
    rollout = Rollout()
    rollout.tick()
    verdict = rollout.tick(canary=(50, 20))
    assert (verdict.action, verdict.metric) == ("roll_back", "5xx")
    assert verdict.log_e >= rollout.policy.needed
    assert verdict.effect is not None
    assert 30 < verdict.effect < 50  # 20 of 100 against 10 of 1,900
    assert "20 % of the canary's 100 answers, 0.53 % of stable's 1,900" in verdict.reason


def test_slow_answers_go_back_and_latency_is_blamed() -> None:
    rollout = Rollout()
    rollout.tick()
    verdict = rollout.tick(buckets=(3, 1))
    assert (verdict.action, verdict.metric) == ("roll_back", "latency")
    assert "p99 80 ms against 20 ms" in verdict.reason


@pytest.mark.parametrize(
    ("canary", "stable", "silent"),
    [
        pytest.param((0, 0), (950, 5), "the canary", id="canary-silent"),
        pytest.param((50, 40), (0, 0), "stable", id="stable-silent"),
        pytest.param((0, 0), (0, 0), "the canary and stable", id="both-silent"),
    ],
)
def test_no_data_holds_and_is_neither_pass_nor_fail(
    canary: tuple[int, int], stable: tuple[int, int], silent: str
) -> None:
    rollout = Rollout()
    before = rollout.tick().log_e
    verdict = rollout.tick(canary, stable)
    assert (verdict.action, verdict.numbers["cause"], verdict.numbers["silent_ticks"]) == ("hold", "no-data", 1)
    assert f"no requests of {silent} in this tick" in verdict.reason
    assert by_metric(verdict, "5xx")["log_e"] == pytest.approx(by_metric(rollout.tick(canary, stable), "5xx")["log_e"])
    assert verdict.log_e == before  # also where forty of the canary's answers were bad: stable is not seen


def test_a_source_that_is_down_holds_and_keeps_the_evidence() -> None:
    rollout = Rollout()
    suspicious = rollout.tick(canary=(50, 3))
    down = rollout.tick(source_down="429 Too Many Requests")
    assert (down.action, down.numbers["cause"], down.numbers["source_down_ticks"]) == ("hold", "source-down", 1)
    assert "429 Too Many Requests" in down.reason
    assert down.log_e == suspicious.log_e
    after = rollout.tick()
    assert after.action == "continue"
    assert after.numbers["exposure"] == {"requests": 150, "bad": 3, "step_requests": 150}  # nothing was lost


def test_when_both_sides_burn_nothing_is_held_against_the_canary() -> None:
    rollout = Rollout()
    rollout.tick()
    for _ in range(20):
        verdict = rollout.tick(canary=(50, 50), stable=(950, 500))
        assert (verdict.action, verdict.numbers["cause"]) == ("hold", "stable-unhealthy")
        assert verdict.numbers["stable_unhealthy"] is True
        assert verdict.numbers["canary_unhealthy"] is True
    assert "stable is unhealthy too: 500 of its 950 answers in this tick are bad (53 %)" in verdict.reason


def test_a_stable_side_that_burns_alone_is_told_apart() -> None:
    rollout = Rollout()
    rollout.tick()
    verdict = rollout.tick(stable=(950, 500))
    assert (verdict.action, verdict.numbers["stable_unhealthy"], verdict.numbers["canary_unhealthy"]) == (
        "hold",
        True,
        False,
    )
    assert verdict.reason.startswith("stable is unhealthy: 500 of its 950")


def test_an_outage_that_is_seen_on_the_canary_one_tick_earlier_is_forgotten() -> None:
    rollout = Rollout()
    rollout.tick()
    quiet = by_metric(rollout.tick(), "5xx")["log_e"]
    assert by_metric(rollout.tick(canary=(50, 4)), "5xx")["log_e"] > quiet + 2.0
    assert by_metric(rollout.tick(canary=(50, 50), stable=(950, 900)), "5xx")["log_e"] < quiet + 0.1


def test_an_incident_that_raises_errors_on_both_sides_alike_is_no_evidence() -> None:
    rollout = Rollout()
    rollout.tick()
    for _ in range(10):
        verdict = rollout.tick(canary=(50, 5), stable=(950, 95))
    assert verdict.action == "continue"
    assert verdict.log_e < 0.0


@pytest.mark.parametrize(("bad", "action"), [(50, "roll_back"), (25, "roll_back"), (15, "continue"), (0, "continue")])
def test_a_first_deployment_is_guarded_by_the_limit_alone(bad: int, action: str) -> None:
    rollout = Rollout(split=1.0)
    verdicts = [rollout.tick(canary=(50, bad), stable=(0, 0), baseline=Arm(())) for _ in range(8)]
    assert verdicts[-1].action == action
    assert verdicts[-1].metric == ("guard" if action == "roll_back" else None)


def test_what_was_decided_once_is_said_again_with_the_tick_that_its_numbers_are_of() -> None:
    rollout = Rollout()
    rollout.tick()
    decided = rollout.tick(canary=(50, 20))
    assert decided.reason.startswith("5xx: 20 % of the canary's 100 answers")
    for _ in range(30):
        verdict = rollout.tick()
    assert verdict.log_e < rollout.policy.needed
    assert (verdict.action, verdict.reason) == (
        "roll_back",
        f"decided at tick {decided.numbers['seq']}: {decided.reason}",
    )
    assert rollout.tick(source_down="503").action == "roll_back"


def test_a_tick_that_is_taken_twice_changes_nothing() -> None:
    rollout = Rollout()
    rollout.tick()
    rollout.canary.serve(50, 3)
    rollout.stable.serve(950, 5)
    tick = rollout.reading()
    verdict, state = rollout.take(tick), rollout.state
    again = rollout.take(tick)
    assert again == Verdict.of(verdict.brief())
    assert (again.action, again.reason, again.log_e) == (verdict.action, verdict.reason, verdict.log_e)
    assert rollout.state == state


@pytest.mark.parametrize(
    ("split", "ready", "judged", "proof"),
    [
        pytest.param(0.5, (2, 2), True, True, id="equal-load"),
        pytest.param(0.05, (1, 1), True, False, id="canary-idle-may-go-back-but-proves-nothing"),
        pytest.param(0.5, (1, 2), False, True, id="canary-busier-is-observed-only"),
        pytest.param(0.98, (2, 2), False, True, id="the-bake"),
    ],
)
def test_latency_counts_at_equal_load_per_pod(split: float, ready: tuple[int, int], judged: bool, proof: bool) -> None:
    rollout = Rollout(split=split, ready=ready)
    rollout.tick(canary=(500, 0), stable=(500, 0))
    verdict = rollout.tick(canary=(500, 0), stable=(500, 0), buckets=(4, 1))
    assert (verdict.action == "roll_back") is judged
    assert verdict.numbers["latency_is_proof"] is proof
    silent = by_metric(verdict, "latency")["silent"]
    assert silent is None if judged else "times stable's load per pod" in str(silent)


def test_latency_of_pods_that_warm_up_is_not_judged_but_their_errors_are() -> None:
    cold = {"warmup": "60s"}
    slow, failing = Rollout(cold), Rollout(cold)
    for rollout in (slow, failing):
        rollout.stable = Side(START - timedelta(hours=1))
        rollout.stable.serve(1000)
        rollout.tick()
    assert slow.tick(buckets=(4, 1)).action == "continue"
    assert by_metric(slow.tick(buckets=(4, 1)), "latency")["silent"] == "pods are warming up"
    assert failing.tick(canary=(50, 20)).action == "roll_back"
    for _ in range(5):
        verdict = slow.tick(buckets=(4, 1))
    assert (verdict.action, verdict.metric) == ("roll_back", "latency")


def test_a_restarted_pod_counts_from_zero() -> None:
    rollout = Rollout()
    rollout.tick(canary=(50, 1))
    rollout.canary = Side(START + timedelta(seconds=11))
    verdict = rollout.tick(canary=(7, 0))
    assert verdict.numbers["exposure"] == {"requests": 57, "bad": 1, "step_requests": 57}


def test_counters_that_fall_without_a_new_start_count_from_zero() -> None:
    rollout = Rollout()
    rollout.tick()
    rollout.canary = Side()
    assert rollout.tick(canary=(9, 0)).numbers["exposure"] == {"requests": 59, "bad": 0, "step_requests": 59}


def test_what_a_canary_served_before_the_first_tick_is_no_evidence() -> None:
    rollout = Rollout()
    rollout.canary = Side(START - timedelta(seconds=30))
    rollout.canary.serve(40, 40)
    verdict = rollout.tick(canary=(0, 0))
    assert (verdict.action, verdict.numbers["exposure"]) == ("hold", {"requests": 0, "bad": 0, "step_requests": 0})
    assert rollout.tick().action == "continue"


def test_requests_that_were_forced_before_the_first_share_are_no_evidence() -> None:
    rollout = Rollout(split=0.0)
    rollout.stable = Side(START - timedelta(hours=1))
    rollout.stable.serve(1000)
    rollout.tick(canary=(0, 0))
    forced = rollout.tick(canary=(5, 5), buckets=(4, 1))
    rollout.split = 0.05
    beginning = rollout.tick(canary=(9, 9), buckets=(4, 1), changed=True, opening=True)
    for verdict in (forced, beginning):
        assert (verdict.action, verdict.numbers["cause"]) == ("hold", "no-data")
        assert verdict.log_e == pytest.approx(0.0)
        assert verdict.reason == "the canary has had no share of the requests for a whole tick yet"
    whole = rollout.tick(canary=(50, 0))
    assert (whole.action, whole.numbers["exposure"]) == ("continue", {"requests": 50, "bad": 0, "step_requests": 50})


def test_what_stable_served_before_the_first_tick_is_its_history() -> None:
    with_history, without = Rollout(), Rollout()
    with_history.stable = Side(START - timedelta(hours=1))
    with_history.stable.serve(100_000, 500)
    slow = [rollout.tick(buckets=(3, 1)) for rollout in (with_history, without)]
    assert [verdict.action for verdict in slow] == ["hold", "continue"]  # its first reading is no tick of stable's
    assert by_metric(slow[1], "latency")["silent"] == "stable has fewer than 50 requests to compare with"
    assert with_history.tick(buckets=(3, 1)).action == "roll_back"


def test_requests_are_counted_anew_in_each_step() -> None:
    rollout = Rollout()
    rollout.tick()
    rollout.split = 0.25
    verdict = rollout.tick(canary=(250, 0), stable=(750, 4), changed=True)
    assert verdict.numbers["exposure"] == {"requests": 300, "bad": 0, "step_requests": 250}


def test_observing_records_what_would_have_been_done_and_does_nothing() -> None:
    rollout = Rollout({**QUICK, "mode": "Observe"})
    rollout.tick()
    verdict = rollout.tick(canary=(50, 20))
    assert (verdict.action, verdict.numbers["observed"]) == ("continue", "roll_back")
    assert verdict.reason.startswith("only observed, would roll back: 5xx: ")


def test_a_rollback_that_an_earlier_release_remembers_has_its_reason() -> None:
    rollout = Rollout()
    rollout.tick()
    decided = rollout.tick(canary=(50, 20))
    assert rollout.state is not None
    rejected = dict(cast("JSON", rollout.state["rejected"]))
    del rejected["seq"]
    rollout.state = {**rollout.state, "rejected": rejected}
    assert rollout.tick().reason == decided.reason


def test_a_metric_that_only_observes_is_shown_and_never_vetoes() -> None:
    latency = {"name": "latency", "type": "Latency", "histogram": "seconds", "mode": "Observe"}
    rollout = Rollout({**QUICK, "metrics": [latency]})
    rollout.policy = replace(
        rollout.policy,
        metrics=tuple(replace(m, metric_set="Gateway") if m.name == "latency" else m for m in rollout.policy.metrics),
    )
    rollout.tick()
    verdict = rollout.tick(buckets=(4, 1))
    assert verdict.action == "continue"
    assert by_metric(verdict, "latency")["would_roll_back"] is True


def test_histograms_with_other_buckets_are_not_compared() -> None:
    rollout = Rollout()
    rollout.tick()
    rollout.canary.pod = rollout.canary.pod._replace(edges_ms=(15.0, 25.0, 40.0, 80.0))
    verdict = rollout.tick(buckets=(4, 1))
    assert verdict.action == "continue"
    assert by_metric(verdict, "latency")["silent"] == "the histograms have different buckets"


def test_state_and_verdict_survive_json() -> None:
    rollout, copied = Rollout(), Rollout()
    for bad in (0, 2, 1, 0, 3):
        verdict = rollout.tick(canary=(50, bad))
        copied.state = json.loads(json.dumps(copied.state))
        assert copied.tick(canary=(50, bad)) == verdict
    assert Verdict.of(json.loads(json.dumps(verdict.as_json()))) == verdict


def test_evidence_since_a_late_beginning_names_the_tick_it_rose_from() -> None:
    rollout = Rollout()
    for _ in range(12):
        rollout.tick()
    for _ in range(4):
        verdict = rollout.tick(canary=(50, 6))
    assert verdict.action == "roll_back"
    assert "rising since tick 13" in verdict.reason


def test_no_effect_is_told_where_stable_had_no_bad_answer() -> None:
    """A ratio to nothing would be a figure of smoothing: the interval's lower end is what is known."""
    rollout = Rollout()
    verdict = rollout.tick(stable=(950, 0))
    while verdict.action != "roll_back":
        verdict = rollout.tick(canary=(28, 6), stable=(532, 0))
    assert verdict.effect is None
    assert "none of stable's" in verdict.reason
    assert by_metric(verdict, "5xx")["interval"]["lower"] > 5.0
