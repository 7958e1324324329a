"""Evidence, lengths and latencies as people say them."""

import pytest

from pointsman.core.judge.verdict import odds
from pointsman_cli.judging.lengths import length_text, milliseconds
from pointsman_cli.judging.strength import strength


@pytest.mark.parametrize(
    ("nats", "expected"),
    [
        (0.0, "1 to 1"),
        (4.6051702, "100 to 1"),
        (2.302585, "10 to 1"),
        (7.6, "1,998 to 1"),
        (-2.0794, "1 to 8"),
        (40.0, "10^17 to 1"),
        (-40.0, "1 to 10^17"),
        (0.9, "2.5 to 1"),
    ],
)
def test_evidence_is_said_as_odds(nats: float, expected: str) -> None:
    assert odds(nats) == expected


@pytest.mark.parametrize(
    ("nats", "expected"),
    [
        (-3.0, "none"),
        (1.2, "a hint at most"),
        (2.5, "a suspicion, not enough to act on"),
        (4.0, "strong, and just short of enough"),
        (4.7, "decisive"),
    ],
)
def test_its_strength_is_said_in_words(nats: float, expected: str) -> None:
    assert strength(nats, 4.6051702) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(45, "45 s"), (60, "1 min"), (150, "2 min 30"), (3600, "1 h"), (4200, "1 h 10"), (200_000, "2 d 7 h")],
)
def test_lengths_are_said_in_two_units(seconds: float, expected: str) -> None:
    assert length_text(seconds) == expected


def test_milliseconds_become_seconds_where_they_are_many() -> None:
    assert [milliseconds(value) for value in (0.52, 12.34, 999.0, 1234.0)] == ["0.52 ms", "12.3 ms", "999 ms", "1.23 s"]
