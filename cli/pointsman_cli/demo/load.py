"""The demo's traffic: the load generator as a process, and what became of each of its requests."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "Request", "Window"]

SLOW_S = 0.05
"""Longer than this is a bad answer to the demo's users: a good version takes a tenth of it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `begun` is Unix time; status 0 is an error of the connection."""

    begun: float
    seconds: float
    status: int
    host: str
    version: str


@dataclass(frozen=True, slots=True)
class Window:
    """The requests begun in some time."""

    requests: Sequence[Request]

    @property
    def failed(self) -> int:
        return sum(request.status != 200 for request in self.requests)

    @property
    def bad(self) -> int:
        return sum(request.status != 200 or request.seconds > SLOW_S for request in self.requests)

    def by(self, version: str) -> int:
        return sum(request.version == version for request in self.requests)


class Load:
    """Sends to `url` until closed. Nothing is sent to a host name before `rate` was called for it."""

    def __init__(self, url: str, images: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pointsman_local.models.load", url, str(images)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._requests: list[Request] = []
        self._reader = threading.Thread(target=self._read, name="load", daemon=True)
        self._reader.start()

    def rate(self, host: str, per_second: float) -> None:
        """From now on, so many requests a second to `host`."""
        assert self._process.stdin
        self._process.stdin.write(f"{host} {per_second}\n")
        self._process.stdin.flush()

    def window(self, since: float, until: float, host: str | None = None) -> Window:
        """The requests begun from `since` to `until` (Unix times) that have been answered."""
        found = [request for request in self._requests if since <= request.begun <= until]
        return Window([request for request in found if host in (None, request.host)])

    def recent(self, seconds: float) -> Window:
        """The requests of the last `seconds`."""
        since, found = time.time() - seconds, []
        for request in reversed(self._requests):
            if request.begun < since - 1:
                break
            if request.begun >= since:
                found.append(request)
        return Window(found)

    def close(self) -> None:
        """Send no more; wait for what is under way."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            begun, seconds, status, host, version = line.split()
            self._requests.append(Request(float(begun), float(seconds), int(status), host, version))
