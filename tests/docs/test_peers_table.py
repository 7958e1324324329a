"""What the judge's page says of peers is what the benchmark's page has of them."""

import pytest

from pointsman_cli.reference_peers import WAYS, beside

HEAD = "| regression | ours | Argo Rollouts | Flagger | z-test | best controller / ours |\n|---|---|---|---|---|---|\n"


def page(row: str) -> str:
    """Three tables of this row, each behind a title and some words."""
    return "".join(f"\n{title} and so on\n\n{HEAD}{row}\n\n| another | table |\n" for title in WAYS)


def test_the_best_controller_is_told_with_its_requests_and_the_best_other_test_apart() -> None:
    *_, row = beside(page("| errors x5 | 400 (100 %) | 12000 (70 %) | 800 (99 %) | 200 (100 %) | 2.0 |")).splitlines()
    told = "Flagger 800, in 99 % of rollouts: 2.0 ×"
    assert row == f"| errors x5 | 400 | {told} | {told} | {told} | z-test 200: 0.5 × |"


def test_a_peer_without_a_setting_within_the_limit_is_not_told_and_neither_is_none() -> None:
    *_, row = beside(page("| broken | 28 (100 %) | - | 56 (100 %) | - | 2.0 |")).splitlines()
    assert row.endswith("| Flagger 56: 2.0 × | none stays within the limit |")


def test_a_page_without_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="has no table 'Oracle:'"):
        beside("nothing")
