"""The command as a shell runs it, in this process, against a ledger that a test has prepared."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pointsman.adapters.ledger_sqlite import SQLiteLedger
from pointsman.ports import Write
from pointsman_cli.main import main

NO_CLUSTER = """
apiVersion: v1
kind: Config
clusters: [{name: c1, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: c1, context: {cluster: c1, user: u}}]
users: [{name: u, user: {}}]
current-context: c1
"""


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Prepared(SQLiteLedger):
    """A ledger that tests write to as they please."""

    def put(self, *records: Any) -> None:
        self.save([Write(record, self.read(type(record), record.key)) for record in records])


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """An empty ledger, and the environment that names it. Neither a cluster nor Monitoring answers."""
    for name in ("NO_COLOR", "POINTSMAN_COMMAND_URL", "POINTSMAN_GATEWAY_URL", "POINTSMAN_POOLS"):
        monkeypatch.delenv(name, raising=False)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(NO_CLUSTER)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("POINTSMAN_MONITORING_ENDPOINT", "127.0.0.1:1")
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "lab")
    monkeypatch.setenv("POINTSMAN_LOCATION", "us-central1")
    monkeypatch.setenv("POINTSMAN_CLUSTER", "c1")
    monkeypatch.setenv("POINTSMAN_LEDGER", f"sqlite://{path}")
    return Prepared(path)


@pytest.fixture
def pointsman(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`pointsman("status", "-o", "json")`: its exit status and what it printed on which stream."""

    def run(*words: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["pointsman", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens while `--watch` waits, one call each time; when no more is to happen, somebody types Ctrl-C."""

    def set_up(*happenings: Callable[[], object]) -> None:
        waiting = iter(happenings)

        def sleep(seconds: float) -> None:
            happening = next(waiting, None)
            if happening is None:
                raise KeyboardInterrupt
            happening()

        monkeypatch.setattr("time.sleep", sleep)

    return set_up
