"""The whole plane on a local cloud: from an event to its workflow, from an abort to Envoy."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import urllib3

from benchmarks.row import Row
from pointsman.core.records import EventRecord, RolloutRecord
from pointsman_cli.demo import documents
from pointsman_cli.demo.stage import NAMESPACE, RATE, Stage, host

__all__ = ["rows"]

ROUNDS = 3
SERVICE = "digits"


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        stage = Stage(Path(folder))
        try:
            yield from _rows(stage)
        finally:
            stage.close()


def _rows(stage: Stage) -> Iterator[Row]:
    assert stage.load
    assert stage.counters
    commit = stage.push(documents.first(stage.models, stage.environment["POINTSMAN_MLFLOW_URL"]), "first")
    _ended(stage, stage.until(lambda: stage.rollout(SERVICE, commit), "the first rollout", 30))
    stage.until(lambda: stage.serving(SERVICE), "it serves", 30)
    stage.load.rate(host(SERVICE), RATE)
    started, zero, answered = [], [], []
    for version in ("v2", "v5", "v2")[:ROUNDS]:
        commit = stage.push(documents.served(stage.models, version), version)
        rollout = stage.until(partial(stage.rollout, SERVICE, commit), "a rollout", 30)
        event = next(event for event in stage.events() if event.subject.endswith(commit))
        started.append(_claimed(stage, rollout, event))
        _weighed(stage, rollout)
        begun = datetime.now(UTC)
        clock = time.perf_counter()
        _abort(stage)
        answered.append(time.perf_counter() - clock)
        ended = _ended(stage, rollout)
        assert ended.state == "aborted", ended
        last = stage.counters.last_request(f"{NAMESPACE}/{rollout.to_revision}")
        zero.append(max(0.0, (last - begun).total_seconds()) if last else 0.0)
        _unblock(stage)
    yield Row(
        "event received → execution claimed",
        f"{statistics.median(started) * 1000:,.0f} ms",
        "one request a rollout",
        "",
    )
    ring = f"the command was answered in {statistics.median(answered) * 1000:,.0f} ms"
    yield Row("abort → last request to the canary at Envoy", f"{statistics.median(zero) * 1000:,.0f} ms", ring, "")


def _claimed(stage: Stage, rollout: RolloutRecord, event: EventRecord) -> float:
    def ask() -> datetime | None:
        decisions = stage.decisions(rollout.id)
        return decisions[0].at if decisions else None

    return (stage.until(ask, "it is claimed", 30) - event.received_at).total_seconds()


def _weighed(stage: Stage, rollout: RolloutRecord) -> None:
    stage.until(lambda: True if stage.read(rollout.id).seen > 0 else None, "a weight is seen", 60)


def _ended(stage: Stage, rollout: RolloutRecord) -> RolloutRecord:
    def ask() -> RolloutRecord | None:
        now = stage.read(rollout.id)
        return now if now.ended == "yes" else None

    return stage.until(ask, "the rollout ends", 90)


def _abort(stage: Stage) -> None:
    _command(stage, "abort")


def _unblock(stage: Stage) -> None:
    _command(stage, "unblock")


def _command(stage: Stage, verb: str) -> None:
    answer = urllib3.request(
        "POST",
        f"{stage.environment['POINTSMAN_COMMAND_URL']}/{verb}",
        json={"service": f"{NAMESPACE}/{SERVICE}", "rollout": None, "why": "measuring"},
        headers={"Authorization": f"Bearer {stage.environment['POINTSMAN_IDENTITY_TOKEN']}"},
    )
    assert answer.status == 200, answer.data
