"""The formulas of the judge's page are what the code computes."""

from math import log
from pathlib import Path

import pytest

from pointsman.core.judge.block import log_block
from pointsman.core.judge.ratio import bad_rate, log_evidence

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "judge.md").read_text()


def test_the_block_e_value() -> None:
    assert "log e = Σⱼ [ kⱼ · ln rⱼ − mⱼ · ln(1 + π · (rⱼ − 1)) ]" in PAGE
    canary, baseline, r = (93, 5, 2), (1890, 8, 2), (0.9, 1.5, 4.0)
    share = sum(canary) / (sum(canary) + sum(baseline))
    terms = zip(canary, baseline, r, strict=True)
    expected = sum(k * log(ratio) - (k + b) * log(1 + share * (ratio - 1)) for k, b, ratio in terms)
    assert log_block(canary, baseline, r) == pytest.approx(expected)


def test_the_bet_on_a_ratio() -> None:
    assert "p = (bad + 0.5) / (requests + 100)" in PAGE
    assert "p₁ = ψp / (1 − p + ψp)" in PAGE
    assert bad_rate(9.5, 900) == pytest.approx(10 / 1000)
    p, odds = 0.01, 5.0
    worse = odds * p / (1 - p + odds * p)
    expected = log_block((95, 5), (990, 10), ((1 - worse) / (1 - p), worse / p))
    assert log_evidence((5, 100), (10, 1000), rate=p, odds=odds) == pytest.approx(expected)


def test_the_ratio_with_a_margin() -> None:
    assert "log e = k · ln a − (k + k₀) · ln(1 + π′ · (a − 1))" in PAGE
    assert "π′ = ρn / (ρn + n₀)" in PAGE
    margin, a = 1.2, 2.0
    share = margin * 100 / (margin * 100 + 1000)
    expected = 5 * log(a) - 15 * log(1 + share * (a - 1))
    evidence = log_evidence((5, 100), (10, 1000), rate=0.01, odds=a * margin, margin=margin)
    assert evidence == pytest.approx(expected)
