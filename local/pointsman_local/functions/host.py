"""`python -m pointsman_local.functions.host SITE`: one process for each function of the topology.

On Linux a parent imports the libraries once, makes no client, channel or thread, and forks a process for each
function, with its own environment, port and module state; elsewhere each is started afresh, since forking
after frameworks have been loaded is not safe there. A function that dies is started again. All are in the
host's process group, with which they end.
"""

import gc
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pointsman_local.environment import for_functions
from pointsman_local.functions.guard import Application, Guard
from pointsman_local.published import publish
from pointsman_local.site import Site
from pointsman_local.topology import Function, deployed, load

__all__ = ["main"]

# What functions import when they are wired. Only code is shared: no client is made before the fork.
PRELOADED = (
    "functions_framework",
    "flask",
    "werkzeug.serving",
    "cloudevents.http",
    "pydantic",
    "yaml",
    "urllib3",
    "dulwich.client",
    "google.cloud.pubsub_v1",
    "google.cloud.workflows.executions_v1",
    "google.cloud.container_v1",
    "google.cloud.monitoring_v3",
    "google.cloud.secretmanager_v1",
    "kubernetes.config",
    "kubernetes.client.api_client",
)
POLL_S = 0.05
BACKOFF_S = 1.0
FORKS = sys.platform.startswith("linux")


def main() -> None:
    site = Site.load(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        _serve(site, load(deployed()).functions[sys.argv[2]])
    else:
        _Host(site, Path(sys.argv[1])).run()


class _Host:
    """Keeps one process a function running until it is told to stop or its supervisor is gone."""

    def __init__(self, site: Site, file: Path) -> None:
        self._site = site
        self._file = file
        self._functions = load(deployed()).functions
        self._running: dict[str, int] = {}
        self._wanted_at = dict.fromkeys(self._functions, 0.0)
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if FORKS:
            for name in PRELOADED:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()
        while not self._stopping:
            self._start_missing()
            time.sleep(POLL_S)
            self._reap()
        for pid in self._running.values():
            os.kill(pid, signal.SIGTERM)
        for pid in self._running.values():
            os.waitpid(pid, 0)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _start_missing(self) -> None:
        missing = [
            name for name in self._functions if name not in self._running and time.monotonic() >= self._wanted_at[name]
        ]
        for name in missing:
            self._running[name] = self._fork(name) if FORKS else self._spawn(name)
        if missing:
            publish(self._site.data / "run" / "functions.json", self._running)

    def _reap(self) -> None:
        for name, pid in list(self._running.items()):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._running[name]
                self._wanted_at[name] = time.monotonic() + BACKOFF_S

    def _fork(self, name: str) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            _serve(self._site, self._functions[name])
        finally:
            # Never back into the parent's loop, whatever happened; the log shows what did.
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            os._exit(1)

    def _spawn(self, name: str) -> int:
        command = [sys.executable, "-m", "pointsman_local.functions.host", str(self._file), name]
        return subprocess.Popen(command).pid


KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "POINTSMAN_TRACES")
"""What a function has of the shell that the local cloud was started from."""


def _environment(site: Site, function: Function) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    return {
        **kept,
        **for_functions(site),
        "FUNCTION_TARGET": function.name,
        "K_SERVICE": function.name.replace("_", "-"),
        "K_REVISION": "local",
        "GCE_METADATA_HOST": site.address(f"functions/{function.name}"),
        "PORT": str(site.ports[f"functions/{function.name}"]),
        "OPENBLAS_NUM_THREADS": "1",
    }


def _serve(site: Site, function: Function) -> None:
    begun = time.perf_counter()
    environment = _environment(site, function)
    os.environ.clear()
    os.environ.update(environment)
    from functions_framework import create_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if not str(code).startswith("2"):
                super().log_request(code, size)

    source = deployed() / "functions" / "main.py"
    make: Callable[[str, str], Application] = create_app
    application = make(function.name, str(source))
    port = site.ports[f"functions/{function.name}"]
    guard = Guard(application, function, site, 1000 * (time.perf_counter() - begun))
    make_server("127.0.0.1", port, guard, threaded=True, request_handler=Handler).serve_forever()


if __name__ == "__main__":
    main()
