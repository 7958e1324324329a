"""What the SQLite ledger does by itself, where Firestore has a policy for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pointsman.adapters.ledger_sqlite import SQLiteLedger
from pointsman.core.records import EventRecord
from pointsman.ports import Write

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEPT = timedelta(days=30)


def event(name: str, received_at: datetime) -> EventRecord:
    return EventRecord(
        event=name,
        id=name,
        source="//github.com/acme/config",
        type="dev.pointsman.repo.pushed.v1",
        subject="refs/heads/main",
        received_at=received_at,
        payload_sha256="0" * 64,
        state="done",
        lease_until=received_at,
        expires_at=received_at + KEPT,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> SQLiteLedger:
    return SQLiteLedger(tmp_path / "ledger.db")


def names(ledger: SQLiteLedger) -> list[str]:
    return [saved.record.id for saved in ledger.find(EventRecord)]


def test_an_event_is_forgotten_when_one_comes_after_its_thirty_days(ledger: SQLiteLedger) -> None:
    ledger.save([Write(event("old", NOON))])
    ledger.save([Write(event("young", NOON + timedelta(days=1)))])
    ledger.save([Write(event("in-time", NOON + KEPT))])
    assert names(ledger) == ["in-time", "young", "old"]
    ledger.save([Write(event("late", NOON + KEPT + timedelta(seconds=1)))])
    assert names(ledger) == ["late", "in-time", "young"]


def test_writing_over_an_event_forgets_nothing(ledger: SQLiteLedger) -> None:
    ledger.save([Write(event("old", NOON))])
    ledger.save([Write(event("late", NOON + KEPT))])
    saved = ledger.read(EventRecord, "late")
    assert saved is not None
    ledger.save([Write(event("late", NOON + 2 * KEPT), saved)])
    assert names(ledger) == ["late", "old"]
