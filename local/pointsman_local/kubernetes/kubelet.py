"""The one machine behind every node: it runs each pod that was bound, wherever it was bound to."""

import asyncio
import shutil
from pathlib import Path

import aiohttp

from pointsman_local.children import Children
from pointsman_local.kubernetes import controller
from pointsman_local.kubernetes.events import Recorder
from pointsman_local.kubernetes.kinds import named
from pointsman_local.kubernetes.logs import log_folder, prune_logs
from pointsman_local.kubernetes.objects import Objects
from pointsman_local.kubernetes.pods import Pod

__all__ = ["Kubelet"]

_POD = named("Pod")


class Kubelet:
    """Runs pods as processes until it is stopped, which ends them; the pods stay, and run again next time."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self.objects = objects
        self.events = Recorder(objects, "kubelet")
        self.logs = folder / "logs"
        self.folders = folder / "pods"
        self.ports: set[int] = set()
        self._running: dict[str, Pod] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._unpruned = True

    async def run(self, stop: asyncio.Event) -> None:
        for folder in (self.logs, self.folders):
            folder.mkdir(parents=True, exist_ok=True)
        self.children = Children()
        try:
            # A connection for each probe, as a kubelet's: a probe on a kept one would say little of the server.
            connector = aiohttp.TCPConnector(force_close=True)
            async with aiohttp.ClientSession(connector=connector) as self.session, asyncio.TaskGroup() as self._tasks:
                await controller.run(self.objects.store, (_POD,), self._reconcile, stop)
                for task in tuple(self._runs):
                    task.cancel()
        finally:
            await self.children.close()

    def _reconcile(self) -> None:
        assert self._tasks is not None
        pods = {pod["metadata"]["uid"]: pod for pod in self.objects.store.list(_POD)}
        for uid, pod in pods.items():
            if uid in self._running:
                self._running[uid].see(pod)
            elif pod["spec"].get("nodeName") and pod["status"]["phase"] not in ("Succeeded", "Failed"):
                self._running[uid] = one = Pod(self, pod)
                self._unpruned = True
                one.see(pod)
                self._start(uid, one)
        for uid in self._running.keys() - pods.keys():
            self._running[uid].see(None)
        if self._unpruned:
            self._unpruned = False
            prune_logs(self.logs, {log_folder(self.logs, pod) for pod in pods.values()})
            for folder in self.folders.iterdir():
                if folder.name not in pods and folder.name not in self._running:
                    shutil.rmtree(folder, ignore_errors=True)

    def _start(self, uid: str, pod: Pod) -> None:
        assert self._tasks is not None
        task = self._tasks.create_task(pod.run())
        self._runs.add(task)

        def ended(_: object) -> None:
            self._runs.discard(task)
            self._running.pop(uid, None)

        task.add_done_callback(ended)
