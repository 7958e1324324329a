"""What tests of several folders share."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pointsman_local.ports import free_ports
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import deployed, load

# How long an example takes says how busy the machine is.
settings.register_profile("pointsman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pointsman")

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts; tests send it to some of that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port on 127.0.0.1 that nobody listens on; each call gives another."""
    given: set[int] = set()

    def free() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return free


class LocalProcess:
    """Services of the local cloud in a process of their own, as the supervisor runs them; `kill` is `kill -9`."""

    def __init__(self, site: Site, services: tuple[str, ...]) -> None:
        self.site = site
        self._services = services
        self._path = site.data / "site.json"
        site.write(self._path)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: str) -> None:
        """Start, and wait until the URL `ready` answers with a success."""
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "local")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pointsman_local.run", str(self._path), *self._services],
            stdin=subprocess.PIPE,
            env=environ,
        )
        for _ in range(1500):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(ready, timeout=5).close()
                return
            assert self._process.poll() is None, f"{self._services} ended with {self._process.returncode}"
            time.sleep(0.02)
        raise AssertionError(f"{ready} never answered")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._reap()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._reap()

    def _reap(self) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        status = self._process.wait(timeout=20)
        self._process.stdin.close()
        self._process = None
        return status

    def end(self) -> None:
        if self._process is not None:
            self.kill()


@pytest.fixture(scope="module")
def local_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalProcess]]:
    """`local_process("pubsub", …, ports={…})` makes a site with a port for every endpoint and function; not started."""
    made: list[LocalProcess] = []

    def make(*services: str, ports: Mapping[str, int] | None = None) -> LocalProcess:
        names = (*ENDPOINTS, *(f"functions/{name}" for name in load(deployed()).functions))
        given = free_ports(names, {}) | dict(ports or {})
        site = Site(tmp_path_factory.mktemp("cloud"), "lab", "us-central1", "c1", given)
        made.append(LocalProcess(site, services))
        return made[-1]

    yield make
    for process in made:
        process.end()
