"""What holds for every history of counters, not only for those one thinks of."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as some

from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, judge, latency
from pointsman.core.judge.block import isotonic, log_block
from pointsman.core.judge.counters import Counters
from pointsman.core.judge.onset import Stakes, log_sum
from pointsman.core.judge.policy import SETS

START = datetime(2026, 11, 22, tzinfo=UTC)
EDGES = (10.0, 20.0, 40.0)
POLICY = JudgePolicy.of({"warmup": "0s"})

counts = some.integers(0, 60)
cells = some.lists(counts, min_size=4, max_size=4)
served = some.tuples(cells, some.integers(0, 30))
shares = some.lists(some.floats(0.001, 1.0), min_size=2, max_size=12)


@given(shares, shares)
def test_fitted_ratios_never_fall_and_lie_on_both_sides_of_one(first: list[float], second: list[float]) -> None:
    size = min(len(first), len(second))
    p1, p0 = ([p / sum(arm[:size]) for p in arm[:size]] for arm in (first, second))
    ratios = isotonic(p1, p0)
    assert all(a <= b for a, b in pairwise(ratios))
    assert ratios[0] <= 1.0 + 1e-9
    assert ratios[-1] >= 1.0 - 1e-9


@given(cells, cells)
def test_moving_a_request_to_a_worse_bucket_never_lowers_the_evidence(canary: list[int], baseline: list[int]) -> None:
    ratios = (0.4, 0.9, 1.5, 6.0)
    for bucket in range(3):
        if canary[bucket]:
            worse = list(canary)
            worse[bucket] -= 1
            worse[bucket + 1] += 1
            assert log_block(worse, baseline, ratios) >= log_block(canary, baseline, ratios) - 1e-9


@given(some.lists(some.integers(0, 3000), min_size=20, max_size=40))
def test_bets_can_be_made_from_any_histogram(history: list[int]) -> None:
    edges = [1.1**step for step in range(len(history) - 1)]
    staked = latency.bets(edges, history)
    assert (staked is None) is (sum(history) < latency.HISTORY_MIN)
    for ratios in staked or ():
        assert all(0.0 < a <= b < inf for a, b in pairwise(ratios))
        assert ratios[0] <= 1.0 <= ratios[-1]


@given(
    some.floats(0.02, 3.0),
    some.floats(0.0, 30.0),
    some.floats(1.05, 1.3),
    some.floats(0.5, 4000.0),
    some.floats(0.0, 1.0),
)
def test_a_slowdown_within_the_margin_is_forgiven_for_certain(
    margin: float, margin_ms: float, factor: float, baseline_ms: float, part: float
) -> None:
    edges = [factor**step for step in range(1, 60)]
    targets = latency.forgiving(edges, margin, margin_ms)
    assert all(a <= b for a, b in pairwise(targets))
    assert all(target <= bucket for bucket, target in enumerate(targets))
    if targets == list(range(len(edges) + 1)):
        return  # the buckets are wider than the margin: nothing is forgiven
    # A hair inside the margin: edges are taken to be rounded to a few digits, by two in a hundred.
    slowdown = max(baseline_ms * margin, margin_ms) * part
    slow_ms = (baseline_ms + slowdown) * 0.98
    assert targets[bisect_left(edges, slow_ms)] <= bisect_left(edges, baseline_ms)


def test_margins_of_the_gateway_by_hand() -> None:
    tens = [float(f"{1.1**step:.4g}") for step in range(1, 91)]
    targets = latency.forgiving(tens, 0.10)
    assert targets == [0, *range(90)]
    assert latency.forgiving(tens, 0.21)[50] == 48
    in_ms = latency.forgiving(tens, 0.10, margin_ms=2.0)
    assert in_ms[:12] == [0] * 12  # up to 3.1 ms nothing is told from the fastest
    assert (in_ms[12], in_ms[24], in_ms[40]) == (1, 21, 39)  # at 3, 10 and 45 ms: the greater of 2 ms and 10 %
    wide = (5.0, 10.0, 25.0, 50.0, 100.0)
    assert latency.forgiving(wide, 0.10, margin_ms=2.0) == [0, 1, 2, 3, 4, 5]
    assert latency.moved([1, 2, 3, 4], [0, 0, 1, 2]) == [3, 3, 4, 0]


@given(some.lists(some.tuples(served, some.booleans(), some.booleans()), max_size=12))
def test_differences_add_up_to_what_was_served_whatever_is_lost_or_restarted(
    ticks: list[tuple[tuple[list[int], int], bool, bool]],
) -> None:
    """A pod that restarts begins at zero; a reading that is lost is made up by the next one."""
    counters = Counters()
    pod = PodCounters("a", START, START, 0, {}, EDGES, (0,) * 4)
    total, seen, unread = 0, 0, 0
    for number, ((latencies, bad), restarted, lost) in enumerate(ticks):
        since, until = START + timedelta(seconds=number), START + timedelta(seconds=number + 1)
        if restarted:
            total -= unread  # what nobody read before the restart is gone
            pod = PodCounters("a", since, until, 0, {}, EDGES, (0,) * 4)
            unread = 0
        pod = pod._replace(
            sampled_at=until,
            requests=pod.requests + sum(latencies),
            bad={"5xx": pod.bad.get("5xx", 0) + bad},
            latency=tuple(a + b for a, b in zip(pod.latency, latencies, strict=True)),
        )
        total += sum(latencies)
        unread += sum(latencies)
        if lost and number:
            continue
        inside, before = counters.take(Arm((pod,)), seq=number, since=since, warmup=timedelta())
        counters = Counters.of(counters.as_json())
        assert not before
        here = inside["Gateway"]
        assert here.requests == sum(here.latency) >= 0
        assert all(count >= 0 for count in (*here.latency, *here.bad.values()))
        seen += here.requests
        unread = 0
    assert seen == total - unread


@given(some.lists(some.tuples(served, served, some.sampled_from([0.05, 0.25, 1.0])), max_size=8))
def test_a_replay_decides_alike_and_what_was_rejected_stays_so(
    ticks: list[tuple[tuple[list[int], int], tuple[list[int], int], float]],
) -> None:
    runs = []
    for _ in range(2):
        state, verdicts = None, []
        pods = {name: PodCounters("*", START, START, 0, {}, EDGES, (0,) * 4) for name in ("canary", "stable")}
        for number, (canary, stable, split) in enumerate(ticks):
            since, until = START + timedelta(seconds=2 * number), START + timedelta(seconds=2 * number + 2)
            for name, (latencies, bad) in (("canary", canary), ("stable", stable)):
                pods[name] = pods[name]._replace(
                    sampled_at=until,
                    requests=pods[name].requests + sum(latencies),
                    bad={"5xx": pods[name].bad.get("5xx", 0) + bad},
                    latency=tuple(a + b for a, b in zip(pods[name].latency, latencies, strict=True)),
                )
            tick = Tick(number, since, until, split, Arm((pods["canary"],)), Arm((pods["stable"],), 19))
            state, verdict = judge(state, tick, POLICY)
            verdicts.append(verdict)
        runs.append((state, verdicts))
    assert runs[0] == runs[1]
    actions = [verdict.action for verdict in runs[0][1]]
    if "roll_back" in actions:
        assert set(actions[actions.index("roll_back") :]) == {"roll_back"}
    for verdict in runs[0][1]:
        assert verdict.reason


@given(some.lists(some.lists(some.floats(-5.0, 5.0), min_size=3, max_size=3), max_size=30))
def test_evidence_without_bets_is_conserved(evidence: list[list[float]]) -> None:
    """With e-values that average to one, stakes and reserve together never grow: nothing comes from nowhere."""
    weights = (0.5, 0.3, 0.2)
    stakes = Stakes(weights)
    for number, _ in enumerate(evidence):
        stakes.take((0.0, 0.0, 0.0), split=0.05, seq=number, length_s=10.0)
        assert abs(stakes.value) < 1e-9
    for number, nats in enumerate(evidence):
        before, after = stakes.value, Stakes.of(stakes.as_json(), weights)
        after.take(nats, split=0.05, seq=number, length_s=10.0)
        assert after.value <= before + max(0.0, *nats) + 1e-9
        spared = Stakes.of(after.as_json(), weights)
        spared.forget_last_gain()
        assert spared.value <= max(after.value, before) + 1e-9


@given(some.lists(some.floats(-700.0, 700.0), min_size=1))
def test_sums_of_logs_lie_between_the_greatest_and_all_being_equal_to_it(logs: list[float]) -> None:
    assert max(logs) <= log_sum(logs) <= max(logs) + len(logs)


@given(
    some.lists(some.sampled_from(sorted(SETS)), min_size=1, max_size=5, unique=True),
    some.integers(0, 20),
    some.sampled_from(["Default", "Safe", "Sensitive"]),
)
def test_weights_of_what_is_enforced_share_the_error_rate_out(sets: list[str], own: int, profile: str) -> None:
    metrics = [{"name": f"own-{i}", "type": "Ratio", "bad": "b", "total": "t"} for i in range(own)]
    policy = JudgePolicy.of({"metricSets": sets, "metrics": metrics, "profile": profile})
    enforced = [metric.weight for metric in policy.metrics if metric.enforced]
    assert abs(sum(enforced) - 1.0) < 1e-9
    assert min(enforced) >= 0.02 - 1e-9
    for metric in policy.metrics:
        assert abs(sum(policy.weights(metric)) - 1.0) < 1e-9
