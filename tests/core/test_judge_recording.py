"""Recordings: what is read, what is mended and what is left out; and that every verdict can be made again."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.core.judge_lines import BEFORE, EDGES, HEAD, START, Pod, recording, steady, tick, verdicts

from pointsman.core.judge import Arm, Judge, JudgePolicy, PodCounters, Tick, judge
from pointsman.core.judge.fold import learned
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.recording import Marked, begin, read, replay, with_judge
from pointsman.core.judge.recording_lines import head_line, kept, tick_line, tick_of
from pointsman.errors import Invalid


def repairs(lines: list[Any]) -> list[str]:
    found: list[str] = []
    for _, verdict in verdicts(lines):
        named = verdict.numbers["repairs"]
        assert isinstance(named, list)
        found += named
    return found


def test_a_failing_canary_is_rolled_back_from_its_file() -> None:
    found = verdicts(steady(8, canary=(28, 3)))
    actions = [verdict.action for _, verdict in found]
    assert actions == ["continue"] + ["roll_back"] * 7
    assert found[-1][1].metric == "5xx"


def test_the_three_ticks_of_reference_give_the_reference_evidence_from_a_file() -> None:
    """The same numbers as `test_judge_reference`, on their way through JSON."""
    edges = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0]
    from tests.core.test_judge_reference import log_normal_histogram

    head = json.loads(json.dumps(HEAD))
    head["metrics"][1]["edges_ms"] = edges
    head["seed_history"]["latency"] = log_normal_histogram(2000.0)
    totals = {"canary": [0, 0, *[0] * 12], "baseline": [0, 0, *[0] * 12]}
    lines = []
    for seq, (n_c, k_c, n_b, k_b) in enumerate([(28, 1, 532, 3), (30, 2, 540, 2), (27, 4, 520, 3)]):
        added = {
            "canary": (n_c, k_c, 0, 0, 1, 2, 4, 9, 6, 3, n_c - 25, 0, 0, 0),
            "baseline": (n_b, k_b, 0, 1, 9, 34, 81, 183, 121, 68, n_b - 507, 9, 1, 0),
        }
        samples = {}
        for arm, counts in added.items():
            totals[arm] = [a + b for a, b in zip(totals[arm], counts, strict=True)]
            requests, bad, *latency = totals[arm]
            samples[arm] = Pod().sample(requests=requests, bad={"5xx": bad}, latency=latency)
        lines.append(tick(seq, [samples["canary"]], [samples["baseline"]]))
    found = [verdict.log_e for _, verdict in verdicts(lines, head)]
    assert found == pytest.approx([0.0284, 1.8842, 8.2760], abs=5e-5)  # ln of 1.0288, 6.5813, 3928.2531


def good() -> dict[str, Any]:
    return Pod().serve(28).sample()


@pytest.mark.parametrize(
    ("sample", "named"),
    [
        pytest.param({"requests": -5}, "has no count of requests", id="negative-requests"),
        pytest.param({"requests": 10**400}, "has no count of requests", id="requests-that-no-float-holds"),
        pytest.param({"requests": 2**63}, "has no count of requests", id="requests-that-no-float-counts"),
        pytest.param({"requests": 1.5}, "has no count of requests", id="half-a-request"),
        pytest.param({"requests": float("nan")}, "has no count of requests", id="nan-requests"),
        pytest.param({"requests": "28"}, "has no count of requests", id="requests-as-text"),
        pytest.param({"bad": {"5xx": -1}}, "5xx of * is no count of some of its 28 answers", id="negative-class"),
        pytest.param({"bad": {"5xx": float("inf")}}, "5xx of * is no count", id="infinite-class"),
        pytest.param({"bad": {"4xx": 1}}, "counts '4xx', which the head does not name", id="unknown-metric"),
        pytest.param({"latency": [1, 2, 3]}, "latency of * does not have the head's 6 buckets", id="other-buckets"),
        pytest.param({"latency": [1, 2, 3, -4, 5, 6]}, "latency of * does not have", id="negative-bucket"),
        pytest.param({"latency": {"a": 1}}, "latency of * does not have", id="no-list"),
        pytest.param({"start": "yesterday"}, "has no start before its sample", id="no-time"),
        pytest.param({"id": 7}, "a pod is there twice, or has no id", id="no-name"),
    ],
)
def test_what_is_no_count_is_left_out_and_named(sample: dict[str, Any], named: str) -> None:
    lines = [tick(0, [{**good(), **sample}], [Pod().serve(532, 3).sample()])]
    assert any(named in what for what in repairs(lines)), repairs(lines)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param("{", "line 4 is no JSON object", id="no-json"),
        pytest.param("[1]", "line 4 is no JSON object", id="no-object"),
        pytest.param({"kind": "tick", "seq": 2}, "line 4 is a tick without seq, t0, t1 or arms", id="no-arms"),
        pytest.param({"kind": "tick", "seq": "x"}, "line 4 is a tick without", id="no-number"),
        pytest.param(
            {"kind": "tick", "seq": 2, "t0": "noon", "t1": "2026-01-01T12:00", "arms": {}},
            "line 4 is a tick whose t0 or t1 is no time with a zone",
            id="no-times",
        ),
        pytest.param({**HEAD, "metrics": []}, "line 4 is a second head", id="second-head"),
    ],
)
def test_a_line_that_is_none_is_a_lost_tick_and_nothing_is_lost_with_it(line: Any, named: str) -> None:
    """Counters are cumulative: the tick after a lost one has what it had."""
    whole, broken = steady(6, canary=(28, 1)), steady(6, canary=(28, 1))
    broken[2] = line
    assert any(named in what for what in repairs(broken))
    exposed = [verdict.numbers["exposure"] for _, verdict in (verdicts(whole)[-1], verdicts(broken)[-1])]
    assert exposed[0] == exposed[1]


def test_a_repeated_tick_is_ignored_and_a_gap_is_allowed() -> None:
    lines = steady(9, canary=(28, 1))
    doubled = [line for line in lines for _ in range(2)]
    assert [v.log_e for _, v in verdicts(doubled)] == [v.log_e for _, v in verdicts(lines)]
    assert verdicts([*lines[:3], *lines[6:]])[-1][1].action in ("continue", "advance", "roll_back")


def test_a_clock_that_goes_back_is_no_tick() -> None:
    lines = steady(4)
    lines[3]["t0"], lines[3]["t1"] = lines[1]["t0"], lines[1]["t1"]
    verdict = verdicts(lines)[-1][1]
    assert (verdict.action, verdict.numbers["cause"]) == ("hold", "source-down")
    assert "its time lies before the last tick's end" in verdict.reason


@pytest.mark.parametrize(
    ("head", "what"),
    [
        pytest.param({"metrics": []}, "no metrics", id="no-metrics"),
        pytest.param({"metrics": [{"name": "x", "type": "rate"}]}, "needs a name and a type", id="unknown-type"),
        pytest.param({"metrics": [{"name": "x", "type": []}]}, "needs a name and a type", id="a-list-as-type"),
        pytest.param({"metrics": [{"name": "x\x1b[2J", "type": "ratio"}]}, "needs a name", id="an-escape-as-name"),
        pytest.param({"metrics": [{"name": "x", "type": "latency"}]}, "edges_ms", id="no-edges"),
        pytest.param({"metrics": [{"name": "x", "type": "latency", "edges_ms": [2, 1]}]}, "rise", id="falling-edges"),
        pytest.param({"metrics": [{"name": "x", "type": "mean", "bounds": [1, 0]}]}, "lower one", id="turned-bounds"),
        pytest.param({"metrics": [{"name": "x", "type": "mean", "bounds": [0, 10**400]}]}, "numbers", id="no-float"),
        pytest.param({"metrics": [{"name": "x", "type": "latency", "edges_ms": [10**400]}]}, "edges", id="no-edge"),
        pytest.param({"metrics": [{"name": "x", "type": "ratio"}] * 2}, "twice", id="one-name-twice"),
        pytest.param(
            {"metrics": [{"name": f"x{number}", "type": "ratio"} for number in range(60)]}, "60 metrics", id="too-many"
        ),
        pytest.param({"profile": "brave"}, "is none of default, safe, sensitive", id="unknown-profile"),
        pytest.param({"alpha": 2}, "alpha: must be a number from 1e-06 to 0.5", id="no-error-rate"),
        pytest.param({"mode": "off", "alpha": 2}, "alpha: must be a number from 1e-06 to 0.5; mode: 'off'", id="both"),
        pytest.param({"v": 9}, "v: 9 is no version of the form", id="another-form"),
        pytest.param({"seed_history": [2000]}, "seed_history: must be an object", id="no-history"),
        pytest.param({"carried": "much"}, "carried: must be an object", id="no-state"),
        pytest.param(
            {"metrics": [{"name": "x", "type": "ratio", "mode": "off"}]}, "none of Enforce, Observe", id="no-mode"
        ),
        pytest.param(
            {"metrics": [{"name": "x", "type": "mean", "worse": "less"}]}, "none of Higher, Lower", id="no-end"
        ),
    ],
)
def test_a_head_that_is_none_is_refused_with_its_line(head: dict[str, Any], what: str) -> None:
    with pytest.raises(Invalid) as refused:
        read([json.dumps({**HEAD, **head})])
    assert what in str(refused.value)
    assert refused.value.where == "line 1"


def test_a_mode_is_read_in_any_case() -> None:
    assert recording([], {**HEAD, "mode": "enforce"}).head.policy.enforced
    assert not recording([], {**HEAD, "mode": "observe"}).head.policy.enforced


@pytest.mark.parametrize("lines", [[], ["", "  "], ["not json"], ['{"kind": "tick"}']])
def test_a_file_without_a_head_is_refused(lines: list[str]) -> None:
    with pytest.raises(Invalid):
        read(lines)


def test_a_state_to_begin_with_that_is_none_is_refused() -> None:
    for carried in ({"v": 2}, {"v": 2, "packed": "x"}, {"v": 2, "packed": 7}):
        with pytest.raises(Invalid, match="what was known at the beginning cannot be read"):
            read([json.dumps({**HEAD, "carried": carried})])


def test_what_pods_count_in_several_metric_sets_is_read_back_as_it_was() -> None:
    own = {"name": "wait", "type": "Latency", "histogram": "wait_seconds"}
    policy = JudgePolicy.of({"metricSets": ["Gateway", "VLLM"], "metrics": [own]})

    def pods(side: str, seq: int) -> tuple[PodCounters, ...]:
        until, latency = START + timedelta(seconds=10 * seq), (1, 2 * seq)
        counted = [("Gateway", "*"), ("VLLM", side), ("VLLM inter-token", side), ("wait", "b")]
        return tuple(
            PodCounters(
                pod, START, until, sum(latency), {"5xx": seq} if of in ("Gateway", "VLLM") else {}, (9.0,), latency, of
            )
            for of, pod in counted
        )

    written = [
        head_line(
            policy, rollout="r", model="m", stable="a", canary="b", edges={m.name: (9.0,) for m in policy.metrics}
        )
    ]
    ticks = []
    for seq in range(1, 4):
        until, canary, stable = START + timedelta(seconds=10 * seq), Arm(pods("c", seq)), Arm(pods("s", seq))
        ticks.append(Tick(seq, until - timedelta(seconds=10), until, 0.1, canary, stable))
    again = read(json.dumps(line) for line in [*written, *(tick_line(one, policy) for one in ticks)])
    assert again.head.policy == policy
    for one, other in zip(ticks, again.ticks, strict=True):
        for before, after in ((one.canary, other.canary), (one.baseline, other.baseline)):
            found = [pod._replace(age_s=None) for pod in sorted(after.pods, key=_place)]  # which the file says
            assert found == sorted(before.pods, key=_place)


def _place(pod: PodCounters) -> tuple[str, str]:
    return pod.metric_set, pod.pod


def test_other_lines_are_kept_in_their_order() -> None:
    split = {"kind": "split", "seq": 1, "from": 0.05, "to": 0.25, "why": "dwell"}
    found = recording([*steady(1), split, {"kind": "weather", "sun": True}])
    kinds = [entry.kind if isinstance(entry, Marked) else "tick" for entry in found.entries]
    assert kinds == ["tick", "split", "weather"]


def test_a_safer_policy_may_be_tried_on_a_recording() -> None:
    lines = steady(8, canary=(28, 2))
    found = recording(lines)
    default = [verdict.action for _, verdict in replay(found)]
    safe = [verdict.action for _, verdict in replay(found, with_judge(found.head, {"profile": "Safe", "warmup": "0s"}))]
    assert default.index("roll_back") < safe.index("roll_back")
    observed = with_judge(found.head, {"mode": "Observe", "warmup": "0s"})
    assert {verdict.action for _, verdict in replay(found, observed)} == {"continue"}


def test_a_live_tick_survives_its_decision_and_its_line() -> None:
    lines = steady(12, canary=(28, 1))
    found = recording(lines)
    written = [head_line(found.head.policy, rollout="r", model="m", stable="a", canary="b", edges={"latency": EDGES})]
    written += [tick_line(entry, found.head.policy) for entry in found.ticks]
    again = read(json.dumps(line) for line in written)
    assert list(again.ticks) == list(found.ticks)
    assert [tick_of(json.loads(json.dumps(kept(entry)))) for entry in found.ticks] == list(found.ticks)


anything = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-5, 10**6)
    | some.just(10**400)
    | some.floats()
    | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@given(some.data())
def test_no_record_makes_the_judge_fail(data: some.DataObject) -> None:
    lines: list[Any] = steady(5, canary=(28, 1))
    for _ in range(data.draw(some.integers(1, 4))):
        line = lines[data.draw(some.integers(0, 4))]
        where = data.draw(some.sampled_from(["t0", "t1", "seq", "split", "arms", "pod", "class", "source_down"]))
        if where == "pod" and isinstance(line.get("arms"), dict):
            pod = line["arms"]["canary"]["pods"][0]
            pod[data.draw(some.sampled_from(["id", "start", "requests", "bad", "latency", "age_s", "started"]))] = (
                data.draw(anything)
            )
        elif where == "class" and isinstance(line.get("arms"), dict):
            line["arms"]["baseline"]["pods"][0]["bad"] = {"5xx": data.draw(anything)}
        elif where not in ("pod", "class"):
            line[where] = data.draw(anything)
            if where == "arms":
                break
    for _, verdict in verdicts(lines):
        assert verdict.action in ("advance", "continue", "hold", "roll_back")
        assert verdict.reason


served = some.tuples(some.integers(0, 60), some.integers(0, 6), some.integers(0, 400), some.integers(0, 6))


@given(some.lists(served, min_size=1, max_size=12), some.integers(0, 11))
def test_a_prefix_judged_again_in_one_go_or_tick_by_tick_gives_the_same_verdicts(
    counts: list[tuple[int, int, int, int]], upto: int
) -> None:
    ours, theirs = Pod(), Pod()
    lines = []
    for seq, (n_c, k_c, n_b, k_b) in enumerate(counts):
        ours.serve(n_c, min(k_c, n_c))
        theirs.serve(n_b, min(k_b, n_b))
        lines.append(tick(seq, [ours.sample()], [theirs.sample()]))
    whole = recording(lines)
    expected = [verdict for _, verdict in replay(whole)]
    assert [verdict for _, verdict in replay(recording(lines[: upto + 1]))] == expected[: upto + 1]
    state: Mapping[str, object] = begin(whole.head).as_json()
    found = []
    for entry in whole.ticks:
        state, verdict = judge(json.loads(json.dumps(state)), entry, whole.head.policy)
        found.append(verdict)
    assert found == expected
    judging = Judge(whole.head.policy, begin(whole.head))
    assert [judging.take(entry) and judging.log_e for entry in whole.ticks] == [v.log_e for v in expected]


def test_bursts_of_a_source_that_knows_no_pods_are_learned_tick_by_tick_as_well_as_in_one_go() -> None:
    """What only two ticks together show has to be kept before the first pair is there."""
    ours, theirs = Pod(), Pod()
    lines = []
    for seq in range(30):
        ours.serve(28, 6 if seq == 29 else 0)
        theirs.serve(532, 0 if seq % 2 else 40)
        lines.append(tick(seq, [ours.sample()], [theirs.sample()]))
    whole = recording(lines)
    state: Mapping[str, object] = begin(whole.head).as_json()
    for entry in whole.ticks:
        state, verdict = judge(json.loads(json.dumps(state)), entry, whole.head.policy)
    at_once = list(replay(whole))[-1][1]
    process = Memory.of(state, whole.head.policy).processes["5xx"]
    assert isinstance(process, RatioProcess)
    assert process.wobble.divisor() > 10.0
    assert verdict == at_once


def test_what_stables_past_teaches_is_all_between_the_first_reading_and_the_last() -> None:
    policy = recording([]).head.policy
    pods = [Pod(f"p{number}", BEFORE).serve(10_000) for number in range(3)]
    readings = []
    for seq in range(3):
        (entry,) = recording([tick(seq, [], [pod.serve(50, 1).sample() for pod in pods])]).ticks
        readings.append((entry.until, entry.baseline.pods))
    known = Memory.of(learned(readings, policy), policy).history["requests"]
    assert (known.requests, known.bad) == (300.0, {"5xx": 6.0})
    assert learned(readings[:1], policy) == {}


@given(some.integers(1, 60), some.integers(0, 20), some.integers(50, 600), some.integers(0, 20), some.integers(0, 8))
def test_more_bad_canary_answers_never_lower_the_evidence(n_c: int, k_c: int, n_b: int, k_b: int, more: int) -> None:
    """In the last of some ticks, everything else alike."""
    found = []
    for bad in (min(k_c, n_c), min(k_c + more, n_c)):
        ours, theirs = Pod(), Pod()
        lines = []
        for seq in range(3):
            ours.serve(28)
            theirs.serve(532, 3)
            lines.append(tick(seq, [ours.sample()], [theirs.sample()]))
        ours.serve(n_c, bad)
        theirs.serve(n_b, min(k_b, n_b))
        lines.append(tick(3, [ours.sample()], [theirs.sample()]))
        found.append(verdicts(lines)[-1][1].log_e)
    assert found[1] >= found[0] - 1e-9


def test_a_share_that_is_not_said_is_the_last_split_or_what_was_counted() -> None:
    lines: list[Any] = steady(4, canary=(28, 0))
    for line in lines:
        del line["split"]
    lines.insert(2, {"kind": "split", "seq": 1, "from": 0.05, "to": 0.25, "why": "dwell"})
    found = verdicts(lines)
    assert [entry.split for entry, _ in found] == [0.05, 0.05, 0.25, 0.25]
    assert found[0][1].numbers["repairs"] == ["it has no split, and there was none before"]


def test_a_decisions_tick_of_many_pods_is_kept_in_little_room() -> None:
    """Four hundred pods: as they lie they would pass the 256 KiB of a ledger's record."""
    pods = [Pod(f"digits-00000001-{number:05}").serve(28, 1) for number in range(400)]
    (entry,) = recording([tick(0, [pod.sample() for pod in pods[:40]], [pod.sample() for pod in pods[40:]])]).ticks
    text = json.dumps(kept(entry))
    assert len(text) < 64 * 1024
    assert tick_of(json.loads(text)) == entry
