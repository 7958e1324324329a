"""The local cloud as one thing: starts what it is made of, keeps it running, and leaves nothing behind.

In the data directory: `run/site.json` (who listens where), `run/endpoints.json` (written once everything has
answered a real request: the cloud is ready), `run/status.json` (its processes), `logs/` and each service's state.
"""

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pointsman.errors import Unavailable
from pointsman_local.children import Child, Children
from pointsman_local.environment import for_people, kubeconfig
from pointsman_local.identity import Identity
from pointsman_local.lock import held
from pointsman_local.ports import free_ports
from pointsman_local.published import publish
from pointsman_local.readiness import answers, checks
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import Topology, deployed, load

__all__ = ["PROCESSES", "up"]

# Process → the services in it. Those that speak gRPC share the 60 MiB of its libraries; the Kubernetes API and
# Workflows stand alone, so that the crash of one is a test of the others.
PROCESSES: Mapping[str, tuple[str, ...]] = {
    "cloud": ("pubsub", "secretmanager", "mlflow", "gke", "scheduler", "git"),
    "workflows": ("workflows",),
    "monitoring": ("monitoring",),
    "kubernetes": ("kubernetes",),
    "gateway": ("gateway",),
}
# Whose port stands for a process in `local status`.
FRONT: Mapping[str, str] = {
    "cloud": "pubsub",
    "workflows": "workflows-rest",
    "monitoring": "monitoring",
    "kubernetes": "kubernetes",
    "gateway": "gateway",
}
# Endpoints that are not named after their service.
SERVICE_OF: Mapping[str, str] = {"container": "gke", "container-rest": "gke", "envoy-admin": "gateway"}
READY_S = 60.0
RESTARTS_MAX = 3
POLL_S = 0.05
ASK_S = 0.1  # asking all of them takes 5 ms of a processor that those who start need, too
GRACE_S = 15.0
BACKOFF_S = (0.2, 5.0)
WEBHOOK_SOURCES = ("github", "gitlab", "mlflow", "alertmanager", "grafana")


async def up(data: Path, stop: asyncio.Event, told: Callable[[Site, float], None]) -> None:
    """Run a local cloud on `data` until `stop`; `told` is called once it is ready, with the seconds it took.

    Raises Unavailable when another one runs on the same data, or when a service does not come up.
    """
    data = data.resolve()
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True)
    started_at = time.monotonic()
    with held(run / "lock") as mine:
        if not mine:
            raise Unavailable(
                "a local cloud runs here already", where=str(data), remedy=f"pointsman local down --data {data}"
            )
        topology = load(deployed())
        site = _settle(data, topology)
        cloud = _Cloud(site)
        try:
            keepers = cloud.start()
            await _until_ready(site, len(topology.topics), cloud, stop)
            if not stop.is_set():
                publish(run / "endpoints.json", dict(for_people(site, time.time())))
                told(site, time.monotonic() - started_at)
            await _stopped(stop, keepers)
        finally:
            (run / "endpoints.json").unlink(missing_ok=True)
            await cloud.end()
            (run / "status.json").unlink(missing_ok=True)


@dataclass(slots=True)
class _Process:
    name: str
    command: list[str]
    log: Path
    child: Child | None = None
    restarts: int = 0


class _Cloud:
    """The processes of one local cloud."""

    def __init__(self, site: Site) -> None:
        self._site = site
        file = str(site.data / "run" / "site.json")
        logs = site.data / "logs"
        commands = {
            name: [sys.executable, "-m", "pointsman_local.run", file, *services] for name, services in PROCESSES.items()
        }
        commands["functions"] = [sys.executable, "-m", "pointsman_local.functions.host", file]
        self._processes = [_Process(name, command, logs / f"{name}.log") for name, command in commands.items()]
        self._keepers: list[asyncio.Task[None]] = []
        self._children = Children()

    def start(self) -> Iterable[asyncio.Task[None]]:
        """Start everything; what keeps it running ends with an error only."""
        self._keepers = [asyncio.create_task(self._keep(process)) for process in self._processes]
        self._keepers.append(asyncio.create_task(self._tell()))
        return self._keepers

    async def _tell(self) -> None:
        """Write `status.json` when anything changed, until cancelled."""
        written: object = None
        while True:
            now = self.processes()
            if now != written:
                publish(self._site.data / "run" / "status.json", {"processes": now})
                written = now
            await asyncio.sleep(POLL_S)

    def processes(self) -> list[dict[str, object]]:
        """Name, process id and port of each process, the functions' own among them."""
        rows: list[dict[str, object]] = [
            {"name": entry.name, "pid": entry.child.pid, "port": self._site.ports[FRONT[entry.name]]}
            for entry in self._processes
            if entry.child and entry.name in FRONT
        ]
        try:
            functions = json.loads((self._site.data / "run" / "functions.json").read_text())
        except FileNotFoundError:
            functions = {}
        return rows + [
            {"name": name, "pid": pid, "port": self._site.ports[f"functions/{name}"]} for name, pid in functions.items()
        ]

    def check(self) -> None:
        """Raises Unavailable, with its last words and where the others are, for a process that ends again and again."""
        for entry in self._processes:
            if entry.restarts >= RESTARTS_MAX:
                raise Unavailable(f"{entry.name} does not start: {_last_line(entry.log)}", remedy=f"see {entry.log}")

    async def end(self) -> None:
        """SIGTERM to all at once, a grace, SIGKILL: pods belong to `kubernetes` and end with it."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._children.close(GRACE_S)

    async def _keep(self, entry: _Process) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        pause = BACKOFF_S[0]
        with entry.log.open("ab", buffering=0) as log:
            while True:
                entry.child = await self._children.start(
                    entry.command, env=environment, folder=self._site.data, output=log.fileno()
                )
                since = time.monotonic()
                await entry.child.wait()
                entry.restarts += 1
                pause = BACKOFF_S[0] if time.monotonic() - since > 10 else min(pause * 2, BACKOFF_S[1])
                await asyncio.sleep(pause)


async def _until_ready(site: Site, topics: int, cloud: _Cloud, stop: asyncio.Event) -> None:
    waiting = checks(site, topics)
    deadline = time.monotonic() + READY_S
    while waiting and not stop.is_set():
        names = list(waiting)
        answered = await asyncio.gather(*(answers(waiting[name]) for name in names))
        for name, ready in zip(names, answered, strict=True):
            if ready:
                del waiting[name]
        cloud.check()
        if waiting and time.monotonic() > deadline:
            logs = sorted({str(site.data / "logs" / f"{process_of(name)}.log") for name in waiting})
            raise Unavailable(f"no answer in {READY_S:.0f} s: {', '.join(waiting)}", remedy=f"see {', '.join(logs)}")
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_S):
                await stop.wait()


async def _stopped(stop: asyncio.Event, keepers: Iterable[asyncio.Task[None]]) -> None:
    """Return once `stop` is set; what a keeper could not bear is raised."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        task.result()


def process_of(endpoint: str) -> str:
    """The process that an endpoint belongs to."""
    if endpoint.startswith("functions/"):
        return "functions"
    service = SERVICE_OF.get(endpoint, endpoint.removesuffix("-rest"))
    return next(name for name, services in PROCESSES.items() if service in services)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _settle(data: Path, topology: Topology) -> Site:
    """Decide who listens where (as last time, where that is free) and write what everybody reads."""
    run = data / "run"
    before = Site.load(run / "site.json").ports if (run / "site.json").exists() else {}
    names = [*ENDPOINTS, *(f"functions/{name}" for name in topology.functions)]
    site = Site(data, "local", "us-central1", "local", free_ports(names, before))
    site.write(run / "site.json")
    Identity(data)  # its key is drawn here, or every process that signs or checks would draw one
    if not (run / "webhook_secrets.json").exists():
        publish(run / "webhook_secrets.json", {source: [secrets.token_hex(16)] for source in WEBHOOK_SOURCES})
    publish(run / "kubeconfig", kubeconfig(site))
    for stale in ("endpoints.json", "functions.json", "status.json"):
        (run / stale).unlink(missing_ok=True)
    shutil.rmtree(data / "logs", ignore_errors=True)
    (data / "logs").mkdir()
    return site
