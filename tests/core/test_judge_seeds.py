"""What a recorder knew of stable's pods before the first tick, and how long the judge goes by it."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from tests.core.judge_lines import HEAD, Pod, recording, steady, tick, verdicts

from pointsman.core.judge import Judge
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.recording import begin


@pytest.mark.parametrize(
    ("phi", "clean", "divisors"),
    [
        pytest.param([1.0] * 4, True, None, id="four-caps"),
        pytest.param([1.0] * 4 + [1.0, 1.0, 1.0, 2.0], False, None, id="four-caps-twice"),
        pytest.param([[1.0, 1.0]] * 4 + [[1.0, 2.0]], False, None, id="a-pair-for-each-cap"),
        pytest.param([1.0] * 5, True, None, id="clean"),
        pytest.param([1.0, 1.5, 3.0, 4.0, 4.0], False, [1.0, 2.0, 5.0, 7.0], id="bursts"),
        pytest.param([1.0] * 5 + [1.0, 1.0, 1.0, 1.0, 2.0], False, None, id="bursts-that-outlast-a-tick"),
        pytest.param([[1.0] * 5, [1.0] * 5], True, None, id="two-lists"),
        pytest.param("much", False, None, id="no-numbers-are-no-knowledge"),
    ],
)
def test_what_a_recorder_knew_of_the_pods_is_known_from_the_first_tick(
    phi: Any, clean: bool, divisors: list[float] | None
) -> None:
    history = {**HEAD["seed_history"], "phi": phi, "tau": 0.1}
    process = begin(recording([], {**HEAD, "seed_history": history}).head).processes["5xx"]
    assert isinstance(process, RatioProcess)
    assert process.dispersion.is_clean is clean
    if divisors is not None:
        assert process.dispersion.divisors() == pytest.approx(divisors, abs=0.1)


@pytest.mark.parametrize(
    ("known", "named"),
    [
        pytest.param({"phi": [1.0]}, "phi is not for caps 1, 3, 10, 30 and none", id="one-cap"),
        pytest.param({"phi": [[1.0] * 5] * 3}, "phi is not for caps", id="three-scales"),
        pytest.param({"phi": {"1": 1.0}}, "phi is not for caps", id="phi-by-name"),
        pytest.param({"phi": [10**400] * 5}, "phi is not for caps", id="phi-that-no-float-holds"),
        pytest.param({"phi": [-1.0] * 5}, "phi is not for caps", id="negative-phi"),
        pytest.param({"phi": [1.0] * 5, "tau": -1}, "tau is no number from 0 on", id="negative-tau"),
        pytest.param({"phi": [1.0] * 5, "tau": 10**400}, "tau is no number from 0 on", id="tau-that-no-float-holds"),
        pytest.param({"phi": [1.0] * 5, "tau": 9}, "tau is 9: it counts as 0.5", id="tau-of-no-one-revision"),
        pytest.param({"tau": 0.1}, "tau says nothing without phi", id="tau-alone"),
        pytest.param({"latency": [1, 2, 3]}, "latency does not have the head's 6 buckets", id="other-buckets"),
        pytest.param({"latency": [10**400] * 6}, "latency does not have", id="buckets-that-no-float-holds"),
        pytest.param({"requests": -1}, "has no counts of requests and bad answers", id="negative-requests"),
        pytest.param({"bad": {"5xx": 5000}}, "bad.5xx is no count of some of its 2000 answers", id="more-bad-than-all"),
    ],
)
def test_what_a_recorder_cannot_have_known_is_left_out_and_named(known: Mapping[str, Any], named: str) -> None:
    history = {**HEAD["seed_history"], **known}
    found = verdicts(steady(4), {**HEAD, "seed_history": history})
    said = cast("list[str]", found[0][1].numbers["repairs"])
    assert [what for what in said if named in what] == said
    assert len(said) == 1
    assert found[-1][1].action in ("continue", "advance")


def test_a_state_of_another_release_is_named_and_what_is_told_of_stable_counts() -> None:
    lines = steady(4, canary=(28, 2))
    (_, first), *_, (_, last) = verdicts(lines, {**HEAD, "carried": {"v": 1, "packed": "x"}})
    assert first.numbers["repairs"] == ["carried is no state of this release"]
    assert last.log_e == verdicts(lines)[-1][1].log_e


@pytest.mark.parametrize(
    ("known", "spread"),
    [
        pytest.param({"phi": [1.0] * 5, "tau": 0.1}, 0.1, id="measured-of-more-answers-than-these"),
        pytest.param({"phi": [1.0] * 5}, 0.4, id="not-measured"),
        pytest.param({}, 0.4, id="nothing-known"),
    ],
)
def test_what_a_recorder_measured_of_lasting_differences_holds_until_more_is_seen(
    known: Mapping[str, Any], spread: float
) -> None:
    """Twenty pods, half of them with three times the errors of the others: 160 bad answers are few to say so."""
    pods = [Pod(f"p{number:02}") for number in range(20)]
    lines = []
    for seq in range(4):
        for number, pod in enumerate(pods):
            pod.serve(100, 1 if number % 2 else 3)
        lines.append(tick(seq, [Pod("canary").serve(100).sample()], [pod.sample() for pod in pods]))
    given = recording(lines, {**HEAD, "seed_history": {**HEAD["seed_history"], **known}})
    judging = Judge(given.head.policy, begin(given.head))
    for entry in given.ticks:
        judging.take(entry)
    process = Memory.of(json.loads(json.dumps(judging.memory.as_json())), given.head.policy).processes["5xx"]
    assert isinstance(process, RatioProcess)
    assert process.dispersion.is_known
    assert process.dispersion.spread() == pytest.approx(spread, abs=0.05)


def test_ticks_of_stable_alone_teach_how_unequal_its_pods_are() -> None:
    """Twenty pods, every fifth of which has five bad answers in its tick, in turn: nothing else is known of them."""
    pods = [Pod(f"p{number:02}") for number in range(20)]
    lines = []
    for seq in range(40):
        for number, pod in enumerate(pods):
            pod.serve(28, 5 if (number + seq) % 5 == 0 else 0)
        lines.append({**tick(seq, [], [pod.sample() for pod in pods]), "split": 0.0})
    given = recording(lines, {**HEAD, "seed_history": {}})
    judging = Judge(given.head.policy, begin(given.head))
    for entry in given.ticks:
        judging.take(entry)
    process = judging.memory.processes["5xx"]
    assert isinstance(process, RatioProcess)
    assert judging.action == "hold"
    assert judging.log_e == pytest.approx(0.0)
    assert process.dispersion.is_known
    assert process.dispersion.short.phi(2) > 3.0
