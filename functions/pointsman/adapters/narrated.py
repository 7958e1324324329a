"""The ledger and Workflows, told: what was saved and what was started is written into the log, and only that."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pointsman.core import narration
from pointsman.core.log_lines import SEVERITIES
from pointsman.core.names import JSON
from pointsman.core.records import Record
from pointsman.ports import Execution, Ledger, Log, Saved, Workflows, Write

__all__ = ["NarratedLedger", "NarratedWorkflows", "narrated"]

R = TypeVar("R", bound=Record)


class NarratedLedger:
    """A ledger whose saves are logged (`core.narration`), once they have gone well."""

    def __init__(self, ledger: Ledger, log: Log) -> None:
        self._ledger = ledger
        self._log = log

    def read(self, kind: type[R], key: str) -> Saved[R] | None:
        return self._ledger.read(kind, key)

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        self._ledger.save(writes, unchanged)
        saved = [(write.record, write.over.record if write.over is not None else None) for write in writes]
        for event, fields in narration.narrated(saved):
            self._log(event, severity=SEVERITIES[event], **fields)

    def find(self, kind: type[R], where: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[Saved[R]]:
        return self._ledger.find(kind, where, limit)

    def delete(self, saved: Saved[Any]) -> None:
        self._ledger.delete(saved)


class NarratedWorkflows:
    """Workflows whose starts are logged."""

    def __init__(self, workflows: Workflows, log: Log) -> None:
        self._workflows = workflows
        self._log = log

    def start(self, workflow: str, argument: JSON) -> str:
        execution = self._workflows.start(workflow, argument)
        of, pool = argument.get("rollout"), argument.get("pool")
        self._log("execution-started", workflow=workflow, execution=execution, rollout=of, pool=pool)
        return execution

    def execution(self, name: str) -> Execution | None:
        return self._workflows.execution(name)

    def cancel(self, name: str) -> None:
        self._workflows.cancel(name)

    def ring(self, callback: str) -> bool:
        return self._workflows.ring(callback)


def narrated(name: str, port: Any, log: Log) -> Any:
    """The ledger or Workflows, by the adapter's name."""
    return NarratedLedger(port, log) if name == "ledger" else NarratedWorkflows(port, log)
