"""Executions that survive: run until they wait, save, then begin what they wait for.

Saving comes first, so that a process that is killed repeats at most the requests that were on their way. What a
connector creates gets its name before it is saved, so that it is created once. All runs in one thread.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import grpc

from pointsman_local.counting import Counters, Resource
from pointsman_local.workflows.errors import Raised, Refused, system_error, type_error
from pointsman_local.workflows.machine import Run, too_deep
from pointsman_local.workflows.requests import audience_of, perform
from pointsman_local.workflows.service.connectors import Connectors
from pointsman_local.workflows.service.deployments import Deployments
from pointsman_local.workflows.service.store import KeptExecution, Store
from pointsman_local.workflows.service.views import Execution, created, ended
from pointsman_local.workflows.service.wire import EXECUTION, CallRefused
from pointsman_local.workflows.snapshots import OtherCode, restore, save
from pointsman_local.workflows.state import Wait
from pointsman_local.workflows.values import Value, decode_json

__all__ = ["Engine", "Live"]

SLICE_STEPS: Final = 5000
"""Steps that one execution makes before others get a turn."""
ARGUMENT_BYTES_MAX: Final = 32 * 1024
STARTED: Final = "workflows.googleapis.com/started_execution_count"
FINISHED: Final = "workflows.googleapis.com/finished_execution_count"
log = logging.getLogger("pointsman.workflows")


@dataclass(eq=False)
class Live:
    """An execution in memory."""

    name: str
    workflow: str
    message: Any
    run: Run
    timer: asyncio.TimerHandle | None = None
    tasks: dict[asyncio.Task[Value], tuple[int, int]] = field(default_factory=dict)
    over: list[Callable[[Any], None]] = field(default_factory=list)
    """Told of the end: executions that wait for this one."""


class Engine:
    """`token` gives the identity token of a workflow (its id) for an audience."""

    def __init__(
        self,
        store: Store,
        deployments: Deployments,
        *,
        session: aiohttp.ClientSession,
        callback_origin: str,
        token: Callable[[str, str], str],
    ) -> None:
        self._store = store
        self._deployments = deployments
        self._session = session
        self._callback_origin = callback_origin
        self._token = token
        self._live: dict[str, Live] = {}
        self.counters = Counters(time.time())
        self._connectors = Connectors(self)
        deployments.deleted = self._forget

    def resume(self) -> None:
        """Go on with every execution that had not ended."""
        for kept in self._store.running():
            try:
                live = self._restored(kept)
            except (CallRefused, Refused, OtherCode) as error:
                message = Execution.FromString(kept.body)
                failure = system_error(f"the execution cannot go on: {error}")
                final = ended(message, "FAILED", time.time(), result=None, error=failure, steps=0)
                self._store.end_execution(kept.name, final.SerializeToString())
                self._count(FINISHED, kept.name, {"status": "FAILED"})
                continue
            self._live[kept.name] = live
        for live in [*self._live.values()]:
            self._drive(live)

    async def close(self) -> None:
        """Stop without ending anything."""
        tasks = [task for live in self._live.values() for task in live.tasks]
        for live in self._live.values():
            if live.timer is not None:
                live.timer.cancel()
            live.tasks.clear()
        self._live.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _count(self, metric: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        _, project, _, location, _, workflow, *_ = name.split("/")
        own = {"project_id": project, "location": location, "workflow_id": workflow}
        self.counters.add(metric, Resource("workflows.googleapis.com/Workflow", own), labels)

    # What the API asks for

    def live(self, name: str) -> Live | None:
        return self._live.get(name)

    def create(
        self, workflow: str, argument: str, labels: Mapping[str, str], call_log_level: int = 0, name: str | None = None
    ) -> Any:
        """Start an execution and give its message. Known by `name` already, it is left alone. Raises CallRefused."""
        current = self._deployments.current(workflow)
        if len(argument.encode()) > ARGUMENT_BYTES_MAX:
            raise CallRefused.invalid("the argument is larger than 32 KB")
        try:
            value = decode_json(argument) if argument else None
        except Raised:
            raise CallRefused.invalid("the argument is not valid JSON") from None
        name = name or f"{workflow}/executions/{uuid.uuid4()}"
        now = time.time()
        merged = {**current.labels, **labels}
        message = created(name, current.revision_id, argument or "null", merged, call_log_level, now)
        if self._store.add_execution(name, workflow, now, message.SerializeToString()):
            self._count(STARTED, name)
            live = self._live[name] = self._fresh(name, message)
            live.run.start(value)
            asyncio.get_running_loop().call_soon(self._drive, live)
        return message

    def cancel(self, name: str) -> Any:
        """Raises CallRefused."""
        live = self._live.get(name)
        if live is None:
            kept = self._store.execution(name)
            if kept is None:
                raise CallRefused.absent("Execution", name)
            state = Execution.State.Name(Execution.FromString(kept.body).state)
            raise CallRefused(grpc.StatusCode.FAILED_PRECONDITION, f"execution '{name}' is not active: {state}")
        return self._end(live, "CANCELLED", result=None, error=None)

    def deliver(self, name: str, number: str, payload: dict[str, Any]) -> bool | None:
        """A request has reached a callback. None: there is no such endpoint; False: the one before waits still."""
        live = self._live.get(name)
        if live is None or number not in live.run.callbacks:
            return None
        if not live.run.deliver(number, payload):
            return False
        self._store.put_snapshot(name, save(live.run))  # before the caller is told that it was received
        asyncio.get_running_loop().call_soon(self._drive, live)
        return True

    def await_end(self, name: str, then: Callable[[Any], None]) -> None:
        """Call `then` with the message once the execution has ended, at once if it has. Raises CallRefused."""
        live = self._live.get(name)
        if live is not None:
            live.over.append(then)
            return
        kept = self._store.execution(name)
        if kept is None:
            raise CallRefused.absent("Execution", name)
        then(Execution.FromString(kept.body))

    # Life of one execution

    def _fresh(self, name: str, message: Any) -> Live:
        workflow, run = self._program(name, message)
        return Live(name, workflow, message, run)

    def _program(self, name: str, message: Any, snapshot: str | None = None) -> tuple[str, Run]:
        match = EXECUTION.fullmatch(name)
        assert match is not None
        workflow, project, location, number = match[1], match[3], match[4], match[6]
        revision, program = self._deployments.program(workflow, message.workflow_revision_id)
        env = {
            "GOOGLE_CLOUD_PROJECT_ID": project,
            "GOOGLE_CLOUD_PROJECT_NUMBER": "0",
            "GOOGLE_CLOUD_LOCATION": location,
            "GOOGLE_CLOUD_SERVICE_ACCOUNT_NAME": revision.service_account,
            "GOOGLE_CLOUD_WORKFLOW_ID": match[5],
            "GOOGLE_CLOUD_WORKFLOW_REVISION_ID": message.workflow_revision_id,
            "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": number,
            **revision.user_env_vars,
        }

        def logged(severity: str, payload: Value) -> None:
            entry = {"severity": severity, "execution": number, "workflow": match[5], "payload": payload}
            log.info(json.dumps(entry, ensure_ascii=False))

        options: dict[str, Any] = {
            "name": name,
            "env": env,
            "clock": time.time,
            "log": logged,
            "callback_origin": self._callback_origin,
        }
        if snapshot is None:
            return workflow, Run(program, **options)
        return workflow, restore(snapshot, program, **options)

    def _restored(self, kept: KeptExecution) -> Live:
        message = Execution.FromString(kept.body)
        if kept.snapshot is not None:
            workflow, run = self._program(kept.name, message, kept.snapshot)
            return Live(kept.name, workflow, message, run)
        live = self._fresh(kept.name, message)
        live.run.start(decode_json(message.argument))
        return live

    def _drive(self, live: Live) -> None:
        """Run it until it waits, save it, and begin what it waits for."""
        if self._live.get(live.name) is not live:
            return
        try:
            more = live.run.advance(SLICE_STEPS)
        except Exception as error:
            # A fault of the interpreter ends one execution, not all of them.
            log.exception("execution %s", live.name)
            self._end(live, "FAILED", result=None, error=system_error(f"internal error: {error}"))
            return
        outcome = live.run.outcome
        if outcome is not None:
            self._end(live, "FAILED" if outcome.error else "SUCCEEDED", result=outcome.result, error=outcome.error)
            return
        if more or live.run.ready:
            asyncio.get_running_loop().call_soon(self._drive, live)
            return
        begun = {*live.tasks.values()}
        waits = [(thread, ticket, wait) for thread, ticket, wait in live.run.waits() if (thread, ticket) not in begun]
        for _, _, wait in waits:
            self._connectors.prepare(live, wait)
        try:
            self._store.put_snapshot(live.name, save(live.run))
        except RecursionError:
            self._end(live, "FAILED", result=None, error=too_deep())
            return
        for thread, ticket, wait in waits:
            if wait["kind"] in ("http", "connector"):
                self._begin(live, thread, ticket, wait)
        self._arm(live)

    def _begin(self, live: Live, thread: int, ticket: int, wait: Wait) -> None:
        work = self._request(live, wait) if wait["kind"] == "http" else self._connectors.perform(live, wait)
        task = asyncio.get_running_loop().create_task(work)
        live.tasks[task] = (thread, ticket)
        task.add_done_callback(lambda done: self._performed(live, done))

    async def _request(self, live: Live, wait: Wait) -> Value:
        audience = audience_of(wait)
        token = None if audience is None else self._token(live.workflow.rpartition("/")[2], audience)
        return await perform(self._session, wait, token)

    def _performed(self, live: Live, task: asyncio.Task[Value]) -> None:
        ticket = live.tasks.pop(task, None)
        if ticket is None or task.cancelled():
            return
        error = task.exception()
        if error is None:
            live.run.resume(*ticket, task.result())
        elif isinstance(error, Raised):
            live.run.fail(*ticket, error)
        else:
            log.error("execution %s", live.name, exc_info=error)
            live.run.fail(*ticket, system_error(f"internal error: {error}"))
        self._drive(live)

    def _arm(self, live: Live) -> None:
        """Wake it when the next sleep or timeout is over."""
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        deadline = live.run.deadline()
        if deadline is not None:
            delay = max(deadline - time.time(), 0.0)
            live.timer = asyncio.get_running_loop().call_later(delay, self._woken, live)

    def _woken(self, live: Live) -> None:
        live.timer = None
        live.run.expire(time.time())
        self._drive(live)

    def _end(self, live: Live, state: str, *, result: str | None, error: Raised | None) -> Any:
        del self._live[live.name]
        self._stop(live)
        steps = live.run.billed_steps
        message = ended(live.message, state, time.time(), result=result, error=error, steps=steps)
        self._store.end_execution(live.name, message.SerializeToString())
        self._count(FINISHED, live.name, {"status": state})
        for then in live.over:
            then(message)
        return message

    def _stop(self, live: Live) -> None:
        if live.timer is not None:
            live.timer.cancel()
        for task in [*live.tasks]:
            live.tasks.pop(task)
            task.cancel()

    def _forget(self, workflow: str) -> None:
        """Its executions are cancelled and deleted with it."""
        for live in [*self._of(workflow)]:
            self._end(live, "CANCELLED", result=None, error=None)

    def _of(self, workflow: str) -> Iterator[Live]:
        for live in self._live.values():
            if live.workflow == workflow:
                yield live

    def in_location(self, live: Live, project: Value, location: Value) -> str:
        """`projects/P/locations/L` of a connector's arguments; the execution's own by default. Raises Raised."""
        match = EXECUTION.fullmatch(live.name)
        assert match is not None
        if not isinstance(project, str | None) or not isinstance(location, str | None):
            raise type_error("project_id and location must be strings")
        return f"projects/{project or match[3]}/locations/{location or match[4]}"
