"""After a promotion: what speaks for the release being to blame, and what excludes it."""

from datetime import UTC, datetime, timedelta

import pytest

from pointsman.core.attribution import attribute

PROMOTED = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGUN = PROMOTED - timedelta(minutes=40)


@pytest.mark.parametrize(
    ("minutes", "others", "harm", "blame", "why"),
    [
        pytest.param(9, [], 0.2, "release", "9 min after 100 %, and the bake had not excluded it", id="time"),
        pytest.param(
            9,
            [],
            0.004,
            "release",
            "9 min after 100 %, although the bake had excluded more than 0.4 % extra bad answers",
            id="dose",
        ),
        pytest.param(-5, [], None, "release", "before all traffic had moved, and the bake had not", id="in-the-bake"),
        pytest.param(
            -41, [], 0.2, "elsewhere", "it began at 11:19:00 UTC, before the rollout did", id="cause-before-effect"
        ),
        pytest.param(9, ["growth/churn"], 0.2, "release", "9 min after", id="one-other-may-depend-on-it"),
        pytest.param(
            9,
            ["nlp/sum", "growth/churn"],
            0.2,
            "elsewhere",
            "2 other services alerted within 10 min (growth/churn, nlp/sum)",
            id="scope",
        ),
    ],
)
def test_who_is_to_blame(minutes: int, others: list[str], harm: float | None, blame: str, why: str) -> None:
    found = attribute(
        alert_since=PROMOTED + timedelta(minutes=minutes),
        rollout_since=BEGUN,
        promoted_at=PROMOTED,
        others=others,
        numbers={"harm_at_most": harm},
    )
    assert found.blame == blame
    assert found.why.startswith(why)
