"""The hard cases of `docs/judge.md`, one by one: what is left out, what is held, what goes on."""

from datetime import timedelta
from random import Random
from typing import Any, cast

import pytest
from tests.core.judge_lines import BEFORE, HEAD, START, Pod, by_metric, recording, steady, tick, verdicts

from pointsman.core.judge import Judge, JudgePolicy, Verdict
from pointsman.core.judge.detector import Detector
from pointsman.core.judge.memory import Memory, carried
from pointsman.core.judge.recording import begin

SLOW = [0, 1, 3, 8, 12, 4]


# Warm-up, resets, late completions, missing ticks.


def warming(age_s: float, ticks: int = 12) -> list[tuple[Any, Verdict]]:
    """A canary pod that is slow in every tick, `age_s` old in the first one."""
    ours, theirs = Pod("c0", BEFORE), Pod("b0", BEFORE)
    lines = []
    for seq in range(ticks):
        canary = ours.serve(28, 0, SLOW).sample(age_s=age_s + 10 * seq)
        lines.append(tick(seq, [canary], [theirs.serve(532, 3).sample()]))
    return verdicts(lines, {**HEAD, "warmup_s": 60})


def test_latency_of_a_pod_that_warms_up_is_left_out_and_judged_afterwards() -> None:
    found = warming(age_s=10)
    silent = [by_metric(verdict, "latency")["silent"] for _, verdict in found]
    assert silent[:5] == ["one side answered nothing", *["pods are warming up"] * 4]
    assert silent[5:8] == [None] * 3
    assert "roll_back" not in [verdict.action for _, verdict in found[:5]]
    assert found[-1][1].action == "roll_back"
    assert warming(age_s=600)[2][1].action == "roll_back"


def test_a_side_whose_pods_are_all_replaced_by_young_ones_is_left_out_for_a_while() -> None:
    ours, old, new = Pod("c0", BEFORE, age_s=600), Pod("b0", BEFORE, age_s=600), Pod("b1", BEFORE, age_s=5)
    lines = [tick(seq, [ours.serve(28).sample()], [old.serve(532, 3).sample()]) for seq in range(3)]
    lines += [tick(seq, [ours.serve(28).sample()], [new.serve(532, 3).sample()]) for seq in range(3, 6)]
    found = [by_metric(verdict, "latency")["silent"] for _, verdict in verdicts(lines, {**HEAD, "warmup_s": 60})]
    assert found[4:] == ["pods are warming up"] * 2


def test_latency_is_judged_where_both_sides_are_equally_cold() -> None:
    """Stable pods that were started afresh beside the canary's warm up as they do."""
    ours, theirs = Pod("c0"), Pod("b0")
    lines = [tick(seq, [ours.serve(28, 0, SLOW).sample()], [theirs.serve(532, 3).sample()]) for seq in range(4)]
    assert verdicts(lines, {**HEAD, "warmup_s": 60})[-1][1].metric == "latency"


def test_errors_of_a_pod_that_warms_up_are_judged() -> None:
    ours, theirs = Pod("c0"), Pod("b0", BEFORE)
    lines = [
        tick(seq, [ours.serve(28, 14, SLOW).sample(age_s=10 * seq)], [theirs.serve(532, 3).sample()])
        for seq in range(3)
    ]
    assert verdicts(lines, {**HEAD, "warmup_s": 60})[-1][1].metric == "5xx"


def test_counters_that_begin_anew_count_from_zero() -> None:
    ours, theirs = Pod(), Pod()
    lines = [tick(0, [ours.serve(28, 1).sample()], [theirs.serve(532, 3).sample()])]
    lines.append(tick(1, [ours.serve(28).sample()], [theirs.serve(532, 3).sample()]))
    ours, theirs = Pod().serve(20, 1), theirs.serve(532, 3)
    lines.append(tick(2, [ours.sample()], [theirs.sample()]))
    assert verdicts(lines)[-1][1].numbers["exposure"] == {"requests": 76, "bad": 2, "step_requests": 76}


def test_a_class_that_fell_by_itself_adds_nothing_and_is_named() -> None:
    lines = steady(3, canary=(28, 2))
    lines[2]["arms"]["canary"]["pods"][0]["bad"] = {"5xx": 1}
    verdict = verdicts(lines)[-1][1]
    assert verdict.numbers["exposure"] == {"requests": 84, "bad": 4, "step_requests": 84}
    assert verdict.numbers["repairs"] == ["canary: 5xx of * fell"]


def test_a_histogram_that_is_read_later_than_the_requests_brings_nothing_of_its_past() -> None:
    ours, theirs = Pod("c"), Pod("s", BEFORE).serve(56_000)
    lines = []
    for seq in range(3):
        ours.serve(28)
        theirs.serve(560)
        lines.append(tick(seq, [ours.sample()], [theirs.sample(latency=None) if seq == 0 else theirs.sample()]))
    whole = recording(lines)
    judging = Judge(whole.head.policy, begin(whole.head))
    for entry in whole.ticks:
        judging.take(entry)
    assert sum(judging.memory.baseline["requests"].latency) == 560
    assert sum(judging.memory.canary["requests"].latency) == 3 * 28


def test_requests_that_hang_are_slow_before_they_time_out() -> None:
    """The canary takes requests in and answers a few: its histogram alone looks perfect."""
    found = []
    for counted in (False, True):
        ours, theirs = Pod(), Pod()
        lines = []
        for seq in range(6):
            began = {"started": 28 * (seq + 1)} if counted else {}
            canary = ours.serve(14).sample(**began)
            lines.append(tick(seq, [canary], [theirs.serve(532, 3).sample(started=532 * (seq + 1))]))
        found.append([verdict.action for _, verdict in verdicts(lines)])
    assert "roll_back" not in found[0]
    # What was answered may all have been older: so many at least have hung for more than a second.
    assert found[1][:4] == ["continue", "continue", "continue", "roll_back"]


def test_a_request_that_hung_is_counted_once_when_it_is_answered_at_last() -> None:
    slowest = [0, 0, 0, 0, 0, 1]
    ours, theirs = Pod(), Pod()
    lines = [
        tick(0, [ours.serve(28).sample(started=30)], [theirs.serve(532).sample()]),
        tick(1, [ours.serve(28).sample(started=58)], [theirs.serve(532).sample()]),  # two of the first tick hang
    ]
    ours.serve(2, 0, slowest)
    lines.append(tick(2, [ours.serve(28).sample(started=86)], [theirs.serve(532).sample()]))
    seen = by_metric(verdicts(lines)[-1][1], "latency")["seen"]
    assert "p99 1,000 ms" in seen
    plain, late = Pod(), Pod()
    expected = [
        tick(0, [plain.serve(28).sample()], [late.serve(532).sample()]),
        tick(1, [plain.serve(2, 0, slowest).serve(28).sample()], [late.serve(532).sample()]),
        tick(2, [plain.serve(28).sample()], [late.serve(532).sample()]),
    ]
    assert by_metric(verdicts(expected)[-1][1], "latency")["seen"] == seen


def test_what_one_side_lacks_is_compared_later_over_the_same_time_on_both_sides() -> None:
    """An incident hits both while the canary's series are missing; the next reading has it on both sides."""
    ours, theirs = Pod(), Pod()
    lines = [tick(0, [ours.serve(28).sample()], [theirs.serve(532, 3).sample()])]
    ours.serve(28, 6)
    lines.append(tick(1, [], [theirs.serve(532, 114).sample()]))
    lines.append(tick(2, [ours.serve(28).sample()], [theirs.serve(532, 3).sample()]))
    found = [verdict for _, verdict in verdicts(lines)]
    assert (found[1].action, found[1].numbers["cause"]) == ("hold", "no-data")
    assert found[1].log_e == found[0].log_e
    assert found[2].log_e < 1.0
    assert found[2].numbers["exposure"] == {"requests": 84, "bad": 6, "step_requests": 84}


@pytest.mark.parametrize("arm", ["canary", "baseline"])
def test_a_tick_without_one_arm_changes_no_evidence(arm: str) -> None:
    lines = steady(4, canary=(28, 1))
    lines[3]["arms"][arm] = {"pods": []}
    found = [verdict for _, verdict in verdicts(lines)]
    assert (found[3].action, found[3].log_e) == ("hold", found[2].log_e)


# Strata.


def zones(canary: tuple[tuple[int, int], tuple[int, int]], ticks: int = 20) -> Verdict:
    """Two zones: in `b` stable fails forty times as often as in `a`."""
    pods = {name: Pod(name, stratum=name[-1]) for name in ("c-a", "c-b", "s-a", "s-b")}
    lines = []
    for seq in range(ticks):
        for name, (requests, bad) in (("c-a", canary[0]), ("c-b", canary[1]), ("s-a", (400, 1)), ("s-b", (132, 13))):
            pods[name].serve(requests, bad)
        lines.append(tick(seq, [pods[n].sample() for n in ("c-a", "c-b")], [pods[n].sample() for n in ("s-a", "s-b")]))
    return verdicts(lines)[-1][1]


def test_zones_that_differ_are_compared_inside_each() -> None:
    in_the_bad_zone = ((2, 0), (26, 2))
    assert zones(in_the_bad_zone).action != "roll_back"
    assert zones(((26, 3), (2, 0))).action == "roll_back"


# Pods.


def fleet(
    seed: int, *, ticks: int = 40, history: int = 40, burst: float = 0.0, lone: float = 0.0, worse: float = 1.0
) -> list[Verdict]:
    """20 pods, 5 of them the canary's at 25 %; a history of stable alone. `burst`: chance of five bad answers more
    in a pod and tick; `lone`: the first canary pod's own share of bad answers."""
    random = Random(seed)
    pods = [Pod(f"p{index}", BEFORE, age_s=600) for index in range(20)]
    lines = []
    for seq in range(history + ticks):
        for index, pod in enumerate(pods):
            if seq < history and index < 5:
                continue
            rate = 0.01 * (worse if index < 5 else 1.0)
            rate = lone if index == 0 and lone else rate
            bad = sum(random.random() < rate for _ in range(28))
            pod.serve(28, min(28, bad + (5 if random.random() < burst else 0)))
        split = 0.0 if seq < history else 0.25
        canary = [pod.sample() for pod in pods[:5]] if seq >= history else []
        lines.append(tick(seq, canary, [pod.sample() for pod in pods[5:]], split=split))
    return [verdict for _, verdict in verdicts(lines)][history:]


def test_pods_are_clean_when_their_bad_answers_are_no_more_uneven_than_by_luck() -> None:
    for seed in range(3):
        pods = by_metric(fleet(seed)[-1], "5xx")["pods"]
        assert (pods["known"], pods["clean"]) == (True, True)


def test_bursts_inside_a_pod_are_seen_and_forgiven() -> None:
    found = [fleet(seed, burst=0.02)[-1] for seed in range(6)]
    assert [by_metric(verdict, "5xx")["pods"]["clean"] for verdict in found] == [False] * 6
    assert "roll_back" not in [verdict.action for verdict in found]


def test_a_worse_version_is_found_through_bursts() -> None:
    assert [fleet(seed, burst=0.02, worse=8.0)[-1].action for seed in range(4)] == ["roll_back"] * 4


def test_one_pod_that_is_bad_is_replaced_and_the_version_goes_on() -> None:
    found = fleet(3, lone=0.5)
    (bad,) = [verdict for verdict in found if verdict.numbers["cause"] == "bad-pod"]
    assert bad.action == "hold"
    assert "one pod is bad, not the version: p0 has" in bad.reason
    assert bad.numbers["replaced_pods"] == ["p0"]
    assert found[-1].action in ("continue", "advance")


def test_a_version_that_is_bad_in_every_pod_goes_back() -> None:
    found = fleet(3, worse=20.0)
    assert found[-1].action == "roll_back"
    assert found[-1].numbers["replaced_pods"] == []


# Low traffic, retries, after the last step.


def test_low_traffic_says_how_long_it_takes_and_what_would_be_quicker() -> None:
    outlook = cast("dict[str, Any]", verdicts(steady(3, canary=(1, 0), stable=(19, 0)))[-1][1].numbers["outlook"])
    assert outlook["towards"] == "advance"
    assert 500 < outlook["requests"] < 700
    assert outlook["minutes"] == pytest.approx(outlook["requests"] * 10 / 60, rel=0.01)
    assert "a split of 20 % would take about" in outlook["help"]


def test_a_suspicion_says_how_many_requests_would_settle_it() -> None:
    outlook = cast("dict[str, Any]", verdicts(steady(4, canary=(28, 1)))[-1][1].numbers["outlook"])
    assert outlook["towards"] == "roll_back"
    assert 0 < outlook["requests"] < 300
    assert outlook["help"] == ""


def test_a_healthy_canary_advances_once_harm_is_bounded() -> None:
    actions = [verdict.action for _, verdict in verdicts(steady(60))]
    first = actions.index("advance")
    assert 10 < first < 40  # 300 to 1,100 requests of the canary
    assert set(actions[:first]) == {"continue"}


def test_evidence_goes_on_when_the_same_revision_is_tried_again() -> None:
    policy = JudgePolicy.of({"warmup": "0s"})
    from tests.core.test_judge_verdicts import Rollout

    first = Rollout()
    first.tick()
    suspicious = first.tick(canary=(50, 4))
    assert suspicious.action == "continue"
    again = Rollout()
    again.state = carried(first.state, policy)
    assert 1.0 < again.tick(canary=(50, 0)).log_e < suspicious.log_e
    assert again.tick(canary=(50, 4)).action == "roll_back"
    afresh = Rollout()
    afresh.tick()
    assert afresh.tick(canary=(50, 4)).action == "continue"


def test_what_was_rolled_back_and_released_by_a_person_begins_afresh() -> None:
    from tests.core.test_judge_verdicts import Rollout

    rollout = Rollout()
    rollout.tick()
    assert rollout.tick(canary=(50, 40)).action == "roll_back"
    assert carried(rollout.state, rollout.policy) == {}
    assert carried({}, rollout.policy) == {}


def test_a_state_of_another_release_begins_afresh() -> None:
    memory = Memory.of({"v": 1, "seq": 7, "whatever": True}, JudgePolicy.of({}))
    assert (memory.seq, memory.ticks) == (-1, 0)


def test_after_the_last_step_a_rise_alarms_and_is_called_weaker() -> None:
    lines = steady(20)
    ours = Pod().serve(560, 2)
    for seq in range(20, 26):
        lines.append(tick(seq, [ours.serve(560, 60 if seq > 21 else 3).sample()], [], split=1.0))
    found = [verdict for _, verdict in verdicts(lines)]
    after = [cast("dict[str, Any]", verdict.numbers["after"]) for verdict in found[21:]]
    assert (after[0]["alarm"], after[0]["weaker"]) == (False, True)
    assert after[-1]["alarm"] is True
    assert found[-1].action != "roll_back"


def test_a_false_alarm_after_the_last_step_comes_after_ten_days_at_the_earliest_on_average() -> None:
    """S grows by at most one a tick on average, so 8,640 ticks of 10 s without an alarm are no surprise."""
    random = Random(7)
    detector = Detector()
    for _ in range(8640):
        detector.take(sum(random.random() < 0.005 for _ in range(56)), 56, 0.005)
        assert not detector.is_alarmed(10.0)


# What a stranger's recorder may write.


def test_a_start_that_is_told_a_little_differently_each_time_is_no_restart() -> None:
    """Recorders compute it as now less uptime."""
    plain, jittered = steady(6, canary=(28, 1)), steady(6, canary=(28, 1))
    for number, line in enumerate(jittered):
        for arm in ("canary", "baseline"):
            start = (START + timedelta(milliseconds=300 * number)).isoformat()
            line["arms"][arm]["pods"][0]["start"] = start
    assert [v.log_e for _, v in verdicts(jittered)] == [v.log_e for _, v in verdicts(plain)]


def test_requests_that_fell_are_counted_from_zero_and_named() -> None:
    lines = steady(3)
    lines[2]["arms"]["canary"]["pods"][0] |= {"requests": 20, "latency": [20, 0, 0, 0, 0, 0]}
    verdict = verdicts(lines)[-1][1]
    assert verdict.numbers["repairs"] == ["canary: requests of * fell: counted from zero"]
    assert verdict.numbers["exposure"] == {"requests": 76, "bad": 0, "step_requests": 76}


@pytest.mark.parametrize(
    "over",
    [{"bad": None}, {"bad": {"5xx": None}}, {"bad": {"5xx": "29"}}, {"bad": {"5xx": 1000}}],
    ids=["null", "null-class", "text", "more-than-all"],
)
def test_a_canary_whose_bad_answers_are_no_counts_is_no_canary_that_is_well(over: dict[str, Any]) -> None:
    lines = steady(8)
    for line in lines:
        line["arms"]["canary"]["pods"][0] |= over
    found = [verdict for _, verdict in verdicts(lines)]
    assert {verdict.action for verdict in found} == {"hold"}
    assert "no requests of the canary in this tick" in found[-1].reason


def test_a_latency_that_was_never_compared_is_not_called_harmless() -> None:
    lines = steady(60)
    for line in lines:
        line["arms"]["canary"]["pods"][0]["latency"] = None
    verdict = verdicts(lines)[-1][1]
    assert verdict.action == "continue"
    assert "latency not judged: one side answered nothing" in verdict.reason


def test_alone_and_without_a_guard_nothing_can_be_said() -> None:
    ours = Pod()
    lines = [tick(seq, [ours.serve(560, 300).sample()], [], split=1.0) for seq in range(4)]
    verdict = verdicts(lines, {**HEAD, "metrics": HEAD["metrics"][:2]})[-1][1]
    assert (verdict.action, verdict.numbers["cause"]) == ("hold", "no-data")
    assert verdict.reason.startswith("nothing to compare with, and no guard")


def test_a_version_that_is_twice_as_bad_in_every_pod_is_not_blamed_on_one() -> None:
    for seed in range(6):
        replaced = [verdict.numbers["replaced_pods"] for verdict in fleet(seed, worse=2.5, ticks=120)]
        assert replaced[-1] == []


def test_at_all_traffic_nothing_is_said_to_be_unjudged_since_nothing_is_left_to_compare_with() -> None:
    lines = steady(12)
    for line in lines[6:]:
        line["split"] = 1.0
        line["arms"]["baseline"] = {"pods": []}
    verdict = verdicts(lines)[-1][1]
    assert verdict.action == "continue"
    assert "nothing is left to compare 5xx, latency with: all requests are the canary's" in verdict.reason
    assert "not judged" not in verdict.reason
