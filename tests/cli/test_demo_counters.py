"""The demo's own arithmetic: what Envoy counted against what was decided."""

import pytest

from pointsman_cli.demo.counters import within


@pytest.mark.parametrize(
    ("canary", "total", "share", "expected"),
    [
        pytest.param(45, 900, 0.05, True, id="exactly-the-share"),
        pytest.param(25, 900, 0.05, True, id="low-but-likely"),
        pytest.param(22, 900, 0.05, False, id="lower-than-999-of-1000"),
        pytest.param(67, 900, 0.05, True, id="high-but-likely"),
        pytest.param(72, 900, 0.05, False, id="higher-than-999-of-1000"),
        pytest.param(0, 900, 0.0, True, id="nothing-at-weight-zero"),
        pytest.param(1, 900, 0.0, False, id="one-too-many-at-weight-zero"),
        pytest.param(900, 900, 1.0, True, id="all-at-weight-hundred"),
        pytest.param(899, 900, 1.0, False, id="one-missing-at-weight-hundred"),
    ],
)
def test_a_count_is_within_the_binomial_bounds_or_not(canary: int, total: int, share: float, expected: bool) -> None:
    assert within(canary, total, share) is expected
