"""One pod as a process: started, probed, started again when it ends, drained and stopped.

It differs from a kubelet in time only: until it succeeds for the first time a readiness or startup probe is asked
every 100 ms, whatever its period, and the back-off of a crashing container is a twentieth of Kubernetes'.
A pod that is deleted gets SIGTERM as soon as the gateway says that it has drained it (annotation
`pointsman.local/drained`), or after 2 s; that is what a `preStop` sleep is for, so that hook is not run. What
is left of the grace period then counts.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

import aiohttp

from pointsman_local.children import Child, Children
from pointsman_local.kubernetes import probes
from pointsman_local.kubernetes.containers import CannotStart, free_port, program
from pointsman_local.kubernetes.events import Recorder
from pointsman_local.kubernetes.kinds import Object, named
from pointsman_local.kubernetes.logs import log_file
from pointsman_local.kubernetes.objects import Objects, timestamp
from pointsman_local.kubernetes.scheduler import set_condition

__all__ = ["DRAINED", "PORT", "Machine", "Pod"]

PORT = "pointsman.local/port"
DRAINED = "pointsman.local/drained"

DRAIN_MAX_S = 2.0
PROBE_FIRST_S = 0.1
# A kubelet: at once, then 10 s doubling to 300 s, forgotten after 600 s of running. A twentieth of each.
BACK_OFF_FIRST_S, BACK_OFF_MAX_S, BACK_OFF_FORGOTTEN_S = 0.5, 15.0, 30.0

_POD = named("Pod")


class Machine(Protocol):
    """What pods share."""

    objects: Objects
    events: Recorder
    children: Children
    session: aiohttp.ClientSession
    logs: Path
    folders: Path
    ports: set[int]


class Pod:
    """Runs one pod until it is deleted or has ended for good; a cancelled `run` leaves the process to `children`."""

    def __init__(self, machine: Machine, pod: Object) -> None:
        self._machine = machine
        self._pod = pod
        self._container = pod["spec"]["containers"][0]
        self._ending = asyncio.Event()
        self._drained = asyncio.Event()
        self._grace_s = 0.0
        self._port: int | None = int(pod["metadata"].get("annotations", {}).get(PORT, 0)) or None
        self._restarts = 0
        self._state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self._last_state: Object = {}
        self._ready = False
        self._was_ready = False
        self._started = False
        self._phase = "Pending"
        self._take_over(pod)

    def see(self, pod: Object | None) -> None:
        """The pod as it is in the store now; None when it is gone (deleted without grace)."""
        if pod is None:
            self._grace_s = 0.0
            self._drained.set()
            self._ending.set()
            return
        self._pod = pod
        if DRAINED in (pod["metadata"].get("annotations") or {}):
            self._drained.set()
        if pod["metadata"].get("deletionTimestamp"):
            self._grace_s = float(pod["metadata"]["deletionGracePeriodSeconds"])
            self._ending.set()

    async def run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._last_state:
            self._write()  # no request may go where its process was before this server started
        try:
            await self._live()
        finally:
            if self._port:
                self._machine.ports.discard(self._port)
        if self._ending.is_set():
            self._remove()

    @property
    def _folder(self) -> Path:
        return self._machine.folders / str(self._pod["metadata"]["uid"])

    def _take_over(self, pod: Object) -> None:
        """Of a pod that ran before this server started: its process ended with that server."""
        before = next(iter(pod["status"].get("containerStatuses") or []), None)
        if before is None:
            return
        self._restarts, self._last_state = before["restartCount"], before.get("lastState") or {}
        if running := before["state"].get("running"):
            self._restarts += 1
            self._last_state = {"terminated": _terminated(137, running["startedAt"])}
        self._phase = pod["status"]["phase"]

    async def _live(self) -> None:
        failures = 0
        while not self._ending.is_set():
            began = time.monotonic()
            status = await self._once()
            if self._ending.is_set() or (status is not None and not self._again(status)):
                return
            failures = 1 if time.monotonic() - began > BACK_OFF_FORGOTTEN_S else failures + 1
            if status is not None and failures == 1:
                self._restarts += 1
                continue
            delay_s = min(BACK_OFF_FIRST_S * 2.0 ** max(0, failures - 2), BACK_OFF_MAX_S)
            if status is not None:
                self._back_off(delay_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._ending.wait()
            self._restarts += status is not None

    def _again(self, status: int) -> bool:
        """Whether the restart policy starts it again; if not, its phase says how it ended."""
        policy = self._pod["spec"]["restartPolicy"]
        if policy == "Always" or (policy == "OnFailure" and status != 0):
            return True
        self._phase = "Succeeded" if status == 0 else "Failed"
        self._write()
        return False

    def _back_off(self, delay_s: float) -> None:
        metadata = self._pod["metadata"]
        where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        text = f"restarting failed container={self._container['name']} pod={where}"
        self._state = {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {delay_s:g}s {text}"}}
        self._write()
        self._event("Warning", "BackOff", f"Back-off {text}")

    async def _once(self) -> int | None:
        """One start: the exit status, or None when it could not be started."""
        try:
            child = await self._start()
        except CannotStart as error:
            self._state = {"waiting": {"reason": error.reason, "message": str(error)}}
            self._write()
            self._event("Warning", "Failed", f"Error: {error}")
            return None
        began = timestamp()
        exited = asyncio.create_task(child.wait())
        others = [asyncio.create_task(wait) for wait in (self._ending.wait(), self._doomed(), self._keep_ready())]
        try:
            done, _ = await asyncio.wait((exited, *others), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a mistake of ours must not pass for a failed probe
            if not exited.done():
                await self._stop(child)
            status = await exited
        finally:
            for task in (exited, *others):
                task.cancel()
        self._ready = self._started = False
        self._state = {"terminated": _terminated(status, began)}
        self._last_state = self._state
        self._write()
        return status

    async def _start(self) -> Child:
        """Raises CannotStart."""
        machine = self._machine
        port = self._port = free_port(machine.ports - {self._port}, self._port)
        machine.ports.add(port)
        what = program(self._pod, port, self._folder)
        log = log_file(machine.logs, self._pod, self._container["name"], self._restarts)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            child = await machine.children.start(what.command, env=what.env, folder=what.folder, output=output)
        except OSError as error:
            raise CannotStart("RunContainerError", str(error)) from error
        finally:
            os.close(output)
        self._state = {"running": {"startedAt": timestamp()}}
        self._started = "startupProbe" not in self._container
        self._phase = "Running"
        self._write()
        self._event("Normal", "Started", f"Started container {self._container['name']}")
        return child

    async def _stop(self, child: Child) -> None:
        """End a running process: of a pod that is deleted, after its traffic has gone elsewhere."""
        name = self._container["name"]
        if not self._ending.is_set():
            self._event("Normal", "Killing", f"Container {name} failed a probe, will be restarted")
            await child.end(float(self._pod["spec"]["terminationGracePeriodSeconds"]))
            return
        self._event("Normal", "Killing", f"Stopping container {name}")
        begun = time.monotonic()
        if self._was_ready:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(DRAIN_MAX_S, self._grace_s)):
                    await self._drained.wait()
        child.signal(signal.SIGTERM)
        # Short waits, since a second deletion may shorten the grace.
        while not child.ended and time.monotonic() - begun < self._grace_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await child.wait()
        await child.end(0)

    async def _doomed(self) -> None:
        """Return when the process must be killed for its startup or liveness probe's sake; never, without these."""
        if (probe := self._container.get("startupProbe")) and not await self._asked_to_start(probe):
            return
        self._started = True
        if probe := self._container.get("livenessProbe"):
            await self._ask_liveness(probe)
            return
        await asyncio.Event().wait()

    async def _keep_ready(self) -> None:
        """Follow the readiness probe, once started; never returns."""
        while not self._started:
            await asyncio.sleep(PROBE_FIRST_S)
        if probe := self._container.get("readinessProbe"):
            await self._ask_readiness(probe)
        self._ready = True
        self._write()
        await asyncio.Event().wait()

    async def _asked_to_start(self, probe: Object) -> bool:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        deadline = time.monotonic() + probe["failureThreshold"] * probe["periodSeconds"]
        while (problem := await self._ask(probe)) is not None:
            if time.monotonic() > deadline:
                self._event("Warning", "Unhealthy", f"Startup probe failed: {problem}")
                return False
            await asyncio.sleep(PROBE_FIRST_S)
        return True

    async def _ask_readiness(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        count, ever, said = 0, False, time.monotonic()
        while True:
            problem = await self._ask(probe)
            count = 0 if (problem is None) == self._ready else count + 1
            if count >= (probe["successThreshold"] if problem is None else probe["failureThreshold"]):
                self._ready, count = problem is None, 0
                ever = ever or self._ready
                self._write()
            if problem is not None and time.monotonic() - said >= probe["periodSeconds"]:
                said = time.monotonic()
                self._event("Warning", "Unhealthy", f"Readiness probe failed: {problem}")
            await asyncio.sleep(probe["periodSeconds"] if ever else min(PROBE_FIRST_S, probe["periodSeconds"]))

    async def _ask_liveness(self, probe: Object) -> None:
        """Returns when the probe has failed too often."""
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while failures < probe["failureThreshold"]:
            problem = await self._ask(probe)
            failures = 0 if problem is None else failures + 1
            if problem is not None:
                self._event("Warning", "Unhealthy", f"Liveness probe failed: {problem}")
            await asyncio.sleep(probe["periodSeconds"])

    async def _ask(self, probe: Object) -> str | None:
        assert self._port is not None
        return await probes.ask(self._machine.session, probe, self._port)

    def _write(self) -> None:
        """The status, as it is now."""
        self._was_ready = self._was_ready or self._ready
        container = {
            "name": self._container["name"],
            "image": self._container["image"],
            "imageID": "",
            "ready": self._ready,
            "started": self._started,
            "restartCount": self._restarts,
            "state": self._state,
            "lastState": self._last_state,
        }

        def change(item: Object) -> None:
            status = item["status"]
            status.setdefault("startTime", timestamp())
            status |= {
                "phase": self._phase,
                "hostIP": "127.0.0.1",
                "podIP": "127.0.0.1",
                "podIPs": [{"ip": "127.0.0.1"}],
            }
            status["containerStatuses"] = [container]
            set_condition(item, "Initialized", "True")
            reason = "" if self._ready else "ContainersNotReady"
            text = "" if self._ready else f"containers with unready status: [{self._container['name']}]"
            for type_ in ("ContainersReady", "Ready"):
                set_condition(item, type_, "True" if self._ready else "False", reason, text)
            if self._port:
                item["metadata"].setdefault("annotations", {})[PORT] = str(self._port)

        metadata = self._pod["metadata"]
        self._machine.objects.modify(_POD, metadata["namespace"], metadata["name"], change)

    def _event(self, type_: str, reason: str, message: str) -> None:
        self._machine.events.record(self._pod, type_, reason, message)

    def _remove(self) -> None:
        """Take the pod out of the store, unless another of its name is there already."""
        metadata = self._pod["metadata"]
        there = self._machine.objects.store.get(_POD, metadata["namespace"], metadata["name"])
        if there and there["metadata"]["uid"] == metadata["uid"]:
            self._machine.objects.remove(_POD, there)
        shutil.rmtree(self._folder, ignore_errors=True)


def _terminated(status: int, began: str) -> Object:
    """An exit status as Kubernetes writes it; uvicorn and others end by the signal that they were sent."""
    code = status if status >= 0 else 128 - status
    end = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": began,
        "finishedAt": timestamp(),
    }
    return end | ({"signal": -status} if status < 0 else {})
