"""The formulas of the judge's page are what the code computes."""

from math import exp, log, sqrt
from pathlib import Path

import pytest

from pointsman.core.judge.block import log_block
from pointsman.core.judge.dispersion import Dispersion
from pointsman.core.judge.mean import log_bounded
from pointsman.core.judge.ratio import bad_rate, log_beyond, log_evidence

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
    evidence = log_beyond((5, 100), (10, 1000), beyond=a, margin=margin)
    assert evidence == pytest.approx(expected)


def test_the_bet_on_a_bounded_mean() -> None:
    assert "ψ(λ) = −ln(1 − λ) − λ" in PAGE
    assert "exp(λ(y − μ) − ψ(λ)(y − ŷ)²)" in PAGE
    rate, centre = 0.4, 0.3
    ours, theirs = (2.0, 1.2, 0.8), (6.0, 1.5, 0.7)  # n, Σy, Σy²
    of_canary, of_stable = rate * 6 / 8, rate * 2 / 8
    paid = [
        (-log(1 - λ) - λ) * (yy - 2 * centre * y + n * centre**2)
        for λ, (n, y, yy) in ((of_canary, ours), (of_stable, theirs))
    ]
    expected = of_canary * 1.2 - of_stable * 1.5 - sum(paid)
    assert log_bounded(ours, theirs, rate=rate, centre=centre) == pytest.approx(expected)


def test_the_margin_for_pods() -> None:
    assert "exp(1.96·τ·√(1/P + 1/P₀))" in PAGE
    assert Dispersion.seed([1.0], 0.2).margin(1, 19) == pytest.approx(exp(1.96 * 0.2 * sqrt(1 + 1 / 19)))
