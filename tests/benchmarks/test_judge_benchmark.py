"""The benchmark's own parts: what it draws, its bounds, what it writes, and the commands beside it."""

import json
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
import pytest
from benchmarks.judge import __main__ as command
from benchmarks.judge import aa, record
from benchmarks.judge.arrivals import azure, azure_nulls
from benchmarks.judge.bounds import information_bound, lower, upper
from benchmarks.judge.drawing import Mark, dots
from benchmarks.judge.families import Family, PodSpread
from benchmarks.judge.holds import held
from benchmarks.judge.measure import POLICY, Figures
from benchmarks.judge.real import evidence
from benchmarks.judge.scenarios import blocks, draw, stream

from pointsman.core.judge import recording


@pytest.mark.parametrize(
    ("found", "of", "expected"),
    [
        pytest.param(68, 20_000, 0.0045, id="68-of-20000"),
        pytest.param(12, 5_000, 0.0046, id="12-of-5000"),
        pytest.param(0, 10_000, 0.00046, id="none"),
        pytest.param(5, 5, 1.0, id="all"),
    ],
)
def test_the_upper_bound_is_clopper_and_pearsons(found: int, of: int, expected: float) -> None:
    assert upper(found, of) == pytest.approx(expected, rel=0.02)
    assert lower(found, of) <= found / of <= upper(found, of)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        pytest.param(Family("x2", errors=2.0), 2530, id="errors-x2"),
        pytest.param(Family("x5", errors=5.0), 248, id="errors-x5"),
        pytest.param(Family("broken", errors=inf), 1.263, id="broken"),
        pytest.param(Family("x5", errors=5.0, onset_s=900.0), 364, id="errors-x5-in-the-second-step"),
        pytest.param(Family("x1.5", slower=1.5), 62, id="latency-x1.5"),
        pytest.param(Family("tail", slower=10.0, slow_share=0.05), 181, id="one-in-twenty-x10"),
    ],
)
def test_the_information_bound_is_as_computed_by_hand(family: Family, expected: float) -> None:
    assert information_bound(family, 0.01) == pytest.approx(expected, rel=0.02)


def test_a_block_is_drawn_alike_again_and_unlike_its_neighbours() -> None:
    family = Family("plain")
    first, again, other = (draw(family, 3, stream(family, 1, block), {}) for block in (0, 0, 1))
    assert first.latency_c is not None
    assert again.latency_c is not None
    assert (first.n_c == again.n_c).all()
    assert (first.latency_c == again.latency_c).all()
    assert (first.n_c != other.n_c).any()


@pytest.mark.parametrize(
    "spread", [PodSpread(clusters=0.5), PodSpread(icc=0.02), PodSpread(bursts=0.5), PodSpread(cv=0.5)], ids=repr
)
def test_both_arms_of_a_healthy_rollout_have_the_same_share_of_bad_answers(spread: PodSpread) -> None:
    family = Family("pods", pods=spread, buckets="", base=0.01)
    n_c = n_b = k_c = k_b = 0
    for batch in blocks(family, 60, seed=4):
        compared = batch.split < 1.0
        n_c, n_b = n_c + int((batch.n_c * compared).sum()), n_b + int(batch.n_b.sum())
        k_c, k_b = k_c + int((batch.bad_c * compared).sum()), k_b + int(batch.bad_b.sum())
    assert k_c / n_c == pytest.approx(k_b / n_b, rel=0.15)
    assert k_b / n_b == pytest.approx(0.01 * (1.0 + spread.clusters + spread.bursts), rel=0.1)


def test_what_must_hold_says_ok_not_ok_or_that_too_few_were_run() -> None:
    def figures(family: Family, rollouts: int, found: int, mean: int) -> Figures:
        return Figures(family, rollouts, found, np.full(rollouts, mean), np.zeros(rollouts, np.int64))

    nulls = [figures(Family("plain"), 5000, 20, 0), figures(Family("few", rate=5.6), 100, 1, 0)]
    lines = {line.what: line.state for line in held(nulls, [figures(Family("errors x5", errors=5.0), 500, 500, 451)])}
    assert lines == {
        "false rollback, 56 req/s, 1 families: 99 % upper bound (plain)": "ok",
        "false rollback, 56 req/s, without pods: share (plain)": "ok",
        "false rollback, 5.6 req/s, 1 families: 99 % upper bound (few)": "open",
        "false rollback, 5.6 req/s, without pods: share (few)": "open",
        "errors x5, 56 req/s: mean canary requests": "NOT OK",
        "aim: errors x5, 56 req/s, over its bound": "open",
    }


class Least(command.Plan):
    def __init__(self, *, quick: bool) -> None:
        super().__init__(quick=quick)
        self.healthy, self.worse = 10, 10


def test_the_command_writes_tables_figures_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "Plan", Least)
    command.main(["--quick", "--families", "base rate 30 %,sigma 0.5", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| base rate 30 % |" in printed
    assert (tmp_path / "tables.txt").read_text() in printed
    found = json.loads((tmp_path / "figures.json").read_text())
    assert {each["family"] for each in found["regressions"]} >= {"latency x1.5, sigma 0.5", "latency x2, sigma 0.5"}
    assert (tmp_path / "detection.svg").read_text().startswith("<svg")


def test_a_dot_lies_where_its_value_is() -> None:
    plot = dots("title", "requests", [("a < b", [Mark("ours", 10.0)]), ("none", [])], least=1.0, most=100.0)
    assert 'cx="590.0"' in plot
    assert "a &lt; b" in plot


@pytest.mark.parametrize("family", ["plain", "errors x5, pods clusters +50 %"])
def test_a_recording_is_judged_as_the_rollout_was(family: str, tmp_path: Path) -> None:
    record.main([str(tmp_path), "--family", family, "--rollouts", "1", "--seed", "9"])
    recorded = recording.read((tmp_path / "rollout-00000.jsonl").read_text().splitlines())
    wanted = record.found(family, 56.0)
    assert wanted is not None
    [batch] = blocks(wanted, 1, 9)
    ticks = list(recorded.ticks)
    assert len(ticks) == 240
    assert sum(pod.requests for pod in ticks[-1].canary.pods) == int(batch.n_c.sum())
    if batch.pods is None:  # a head holds less of what pods did before than the rollout's own judge knew
        log_e = [verdict.log_e for _, verdict in recording.replay(recorded)]
        assert log_e == pytest.approx(evidence(batch, 0, POLICY)[0].tolist(), abs=1e-9)


LOG_LINES = 4000


def log(path: Path) -> Path:
    random = np.random.Generator(np.random.PCG64(2))
    times, latencies = np.cumsum(random.exponential(0.05, LOG_LINES)), random.lognormal(5.3, 1.0, LOG_LINES)
    bad = random.random(LOG_LINES) < 0.01
    lines = [
        f"{time:.3f},{ms:.1f},{int(bad[number])},pod-{number % 10},user-{number % 700}"
        for number, (time, ms) in enumerate(zip(times, latencies, strict=True))
    ]
    path.write_text("\n".join(["time,latency_ms,bad,pod,user", *lines]))
    return path


@pytest.mark.parametrize("by", ["request", "user", "pod"])
def test_a_log_of_one_version_is_left_alone(by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aa.main([str(log(tmp_path / "log.csv")), "--by", by, "--rollouts", "30"])
    assert "0 of 30 were rolled back: 0.00 %, at most 14.23 % with 99 % confidence" in capsys.readouterr().out


def test_an_effect_that_is_put_in_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aa.main([str(log(tmp_path / "log.csv")), "--slower", "4", "--rollouts", "20"])
    found = "20 of 20 of the worse canaries were found: 100.00 %, at least 79.43 % with 99 % confidence"
    assert found in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("time,latency_ms\n1,2\n", "needs the columns", id="no-ok"),
        pytest.param("time,latency_ms,ok\n1,2,perhaps\n", "line 2: 'perhaps' is neither true nor false", id="no-flag"),
        pytest.param("time,latency_ms,ok\n1,2\n", "line 2: has no ok", id="no-cell"),
        pytest.param("time,latency_ms,ok\n1,nan,1\n", "line 2: 1 and nan are no time and no latency", id="no-number"),
        pytest.param("time,latency_ms,ok\n1,-2,1\n", "line 2: 1 and -2 are no time and no latency", id="negative"),
        pytest.param("time,latency_ms,ok\n1,2,1\n", "1 requests are too few", id="too-few"),
    ],
)
def test_a_log_that_is_none_is_told_so(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(SystemExit, match=told):
        aa.main([str(tmp_path / "log.csv")])


@pytest.mark.parametrize("words", [("--rollouts", "0"), ("--tick", "0")])
def test_nothing_is_counted_in_no_rollouts_and_no_ticks(
    words: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        aa.main([str(log(tmp_path / "log.csv")), *words])
    assert "--rollouts and --tick are more than 0" in capsys.readouterr().err


def test_the_traces_arrivals_are_read_from_the_public_files(tmp_path: Path) -> None:
    rows = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    rows += [f"2023-11-16 18:17:{second:02}.9799600,4808,10" for second in (3, 3, 4, 6)]
    for name in ("conv", "code"):
        (tmp_path / f"AzureLLMInferenceTrace_{name}.csv").write_text("\n".join(rows))
    traces = azure(tmp_path)
    assert traces["conv"].tolist() == [2, 1, 0, 1]
    batch = draw(azure_nulls(traces)[0], 2, stream(Family("a"), 1, 0), traces)
    assert int((batch.n_c + batch.n_b)[0].sum()) == 2400
    assert all(a < b for a, b in pairwise(batch.edges_ms.tolist()))


def test_a_trace_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no AzureLLMInferenceTrace_conv\.csv"):
        azure(tmp_path)
