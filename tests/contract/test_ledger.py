"""One contract for every ledger: SQLite always, Firestore where its emulator is at hand."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pointsman.core.records import CommandRecord, DecisionRecord, ServiceRecord
from pointsman.errors import Conflict
from pointsman.ports import Ledger, Write

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of the official emulator: one that runs, or one started here where it is installed."""
    if address := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield address
        return
    gcloud = shutil.which("gcloud")
    program = (
        Path(gcloud or "/-/-/-").resolve().parents[1] / "platform/cloud-firestore-emulator/cloud_firestore_emulator"
    )
    if not program.exists() or not shutil.which("java"):
        pytest.skip("the Firestore emulator is not installed: gcloud components install cloud-firestore-emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("firestore") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(program), "start", "--host=127.0.0.1", f"--port={port}"],
            start_new_session=True,
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + 60
        while "is now running" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture(params=["sqlite", "firestore-emulator"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    if request.param == "sqlite":
        from pointsman.adapters.ledger_sqlite import SQLiteLedger

        return SQLiteLedger(tmp_path / "ledger.db")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", request.getfixturevalue("firestore_emulator"))
    from pointsman.adapters.ledger_firestore import FirestoreLedger

    return FirestoreLedger(f"test-{uuid4().hex[:8]}", "(default)")


def service(name: str = "digits", **changes: Any) -> ServiceRecord:
    return replace(ServiceRecord("local", "demo", name), **changes)


def command(number: int, rollout: str = "r1", taken: str = "no") -> CommandRecord:
    return CommandRecord(rollout, f"c{number}", "abort", "user@example.com", NOW, taken=taken)


def test_what_is_saved_is_read_as_it_was(ledger: Ledger) -> None:
    ledger.save([Write(service(token=3))])
    saved = ledger.read(ServiceRecord, "local/demo/digits")
    assert saved is not None
    assert saved.record == service(token=3)


def test_what_was_never_saved_is_none(ledger: Ledger) -> None:
    assert ledger.read(ServiceRecord, "local/demo/absent") is None


def test_creating_what_exists_is_a_conflict_that_names_it(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    with pytest.raises(Conflict, match="services/local/demo/digits"):
        ledger.save([Write(service(token=9))])


def test_of_two_writers_over_one_reading_the_second_loses(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    first = ledger.read(ServiceRecord, "local/demo/digits")
    assert first is not None
    ledger.save([Write(service(token=1), first)])
    with pytest.raises(Conflict):
        ledger.save([Write(service(token=2), first)])
    now = ledger.read(ServiceRecord, "local/demo/digits")
    assert now is not None
    assert now.record.token == 1


def test_a_save_that_loses_one_record_writes_none(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    with pytest.raises(Conflict):
        ledger.save([Write(command(1)), Write(service())])
    assert ledger.read(CommandRecord, "r1/c1") is None


def test_a_record_held_unchanged_that_moved_is_a_conflict(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    held = ledger.read(ServiceRecord, "local/demo/digits")
    assert held is not None
    ledger.save([Write(service(token=1), held)])
    with pytest.raises(Conflict):
        ledger.save([Write(command(1))], unchanged=[held])
    assert ledger.read(CommandRecord, "r1/c1") is None


def test_a_record_held_unchanged_that_was_deleted_is_a_conflict(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    held = ledger.read(ServiceRecord, "local/demo/digits")
    assert held is not None
    ledger.delete(held)
    with pytest.raises(Conflict):
        ledger.save([Write(command(1))], unchanged=[held])


def test_a_record_made_again_is_not_the_one_that_was_read_before(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    old = ledger.read(ServiceRecord, "local/demo/digits")
    assert old is not None
    ledger.delete(old)
    ledger.save([Write(service())])
    with pytest.raises(Conflict):
        ledger.save([Write(service(token=1), old)])


def test_deleting_what_moved_is_a_conflict_and_what_is_gone_is_fine(ledger: Ledger) -> None:
    ledger.save([Write(service())])
    first = ledger.read(ServiceRecord, "local/demo/digits")
    assert first is not None
    ledger.save([Write(service(token=1), first)])
    with pytest.raises(Conflict):
        ledger.delete(first)
    second = ledger.read(ServiceRecord, "local/demo/digits")
    assert second is not None
    ledger.delete(second)
    ledger.delete(second)
    assert ledger.read(ServiceRecord, "local/demo/digits") is None


def test_records_are_found_by_their_indexed_fields_last_written_first(ledger: Ledger) -> None:
    for number in range(3):
        ledger.save([Write(command(number))])
    ledger.save([Write(command(3, taken="7"))])
    ledger.save([Write(command(4, rollout="r2"))])
    found = ledger.find(CommandRecord, {"rollout": "r1", "taken": "no"})
    assert [saved.record.id for saved in found] == ["c2", "c1", "c0"]
    assert [saved.record.id for saved in ledger.find(CommandRecord, {"rollout": "r1"}, limit=2)] == ["c3", "c2"]


def test_a_key_may_hold_slashes_and_signs(ledger: Ledger) -> None:
    record = DecisionRecord("r/1#ü", 12, NOW, "state", {"a": [[1], [2]]}, {}, {}, "why")
    ledger.save([Write(record)])
    saved = ledger.read(DecisionRecord, record.key)
    assert saved is not None
    assert saved.record == replace(record, inputs={"a": [[1], [2]]})


def test_of_many_writers_at_once_every_one_that_won_is_counted(ledger: Ledger) -> None:
    ledger.save([Write(service())])

    def add() -> None:
        won = 0
        while won < 2:
            saved = ledger.read(ServiceRecord, "local/demo/digits")
            assert saved is not None
            try:
                ledger.save([Write(replace(saved.record, token=saved.record.token + 1), saved)])
            except Conflict:
                continue
            won += 1

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = ledger.read(ServiceRecord, "local/demo/digits")
    assert saved is not None
    assert saved.record.token == 6
