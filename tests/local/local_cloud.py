"""A whole local cloud, started as people start it, and everything that it started in turn."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from tests.local.cluster import until

__all__ = ["LocalCloud", "pointsman"]

START_S = 90.0


def pointsman(*arguments: str | Path, timeout_s: float = 60.0) -> "subprocess.CompletedProcess[str]":
    """The command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pointsman_cli", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class LocalCloud:
    """`pointsman local up` on a directory. `end` and `kill` wait until it and all that it started are gone."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._process: subprocess.Popen[str] | None = None
        self._seen: dict[tuple[int, float], psutil.Process] = {}
        self.took_s = 0.0

    def start(self) -> None:
        """Only start it; `up` waits until it is ready, too."""
        errors = (self.data.parent / "up.log").open("w")
        with errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pointsman_cli", "local", "up", "--data", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def up(self) -> None:
        begun = time.monotonic()
        self.start()
        until(lambda: self.ended() is not None or (self.data / "run" / "endpoints.json").exists(), START_S)
        assert self.ended() is None, self.said()
        self.took_s = time.monotonic() - begun

    def ended(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def said(self) -> str:
        return (self.data.parent / "up.log").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> Mapping[str, str]:
        found: Mapping[str, str] = json.loads((self.data / "run" / "endpoints.json").read_text())
        return found

    def processes(self) -> Mapping[str, Mapping[str, Any]]:
        """What `pointsman local status -o json` says, by name."""
        ran = pointsman("local", "status", "-o", "json", "--data", self.data)
        assert ran.returncode == 0, ran.stderr
        return {row["name"]: row for row in json.loads(ran.stdout)["processes"]}

    def look(self) -> None:
        """Remember every process that this cloud consists of now: descendants, and who mentions its directory."""
        found = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(str(self.data) in word for word in process.cmdline()):
                    found.append(process)
        self._seen |= {(process.pid, process.create_time()): process for process in found if process.pid != os.getpid()}

    def left(self) -> list[str]:
        """Of all processes that were seen and that mention the directory now, those that still run."""
        found = list(self._seen.values())
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(str(self.data) in word for word in process.cmdline()):
                    found.append(process)
        return sorted({f"{process.pid} {' '.join(_words(process))}" for process in found if _runs(process)})

    def end(self, how: Callable[[], object] | int, within_s: float = 20.0) -> int:
        """End it by a signal, or by calling `how`; its exit status, once nothing of it is left."""
        assert self._process is not None
        if self._process.poll() is None:
            self.look()
            if isinstance(how, int):
                os.kill(self.pid, how)
            else:
                how()
        status = self._process.wait(within_s)
        deadline = time.monotonic() + within_s
        while left := self.left():
            assert time.monotonic() < deadline, f"outlived it: {left}"
            time.sleep(0.05)
        return status

    def close(self) -> None:
        """For the end of a test that failed."""
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ["?"]
