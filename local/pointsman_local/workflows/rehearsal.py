"""One execution alone, in virtual time: sleeps, back-offs and timeouts cost nothing.

Only HTTP takes real time, and while a request is on its way the clock stands still. A request to a callback endpoint
of the execution itself is delivered here; a callback that nobody rings times out.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from pointsman_local.workflows.errors import Raised, http_error, unimplemented
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.requests import audience_of, perform, prepared, received
from pointsman_local.workflows.state import Outcome, Program, Wait
from pointsman_local.workflows.stdlib.strings import time_format
from pointsman_local.workflows.values import Value

__all__ = ["environment", "rehearse"]


def environment(workflow: str, project: str, location: str) -> dict[str, str]:
    """The built-in variables of one execution ("Use environment variables")."""
    return {
        "GOOGLE_CLOUD_PROJECT_ID": project,
        "GOOGLE_CLOUD_PROJECT_NUMBER": "0",
        "GOOGLE_CLOUD_LOCATION": location,
        "GOOGLE_CLOUD_SERVICE_ACCOUNT_NAME": f"{workflow}@{project}.iam.gserviceaccount.com",
        "GOOGLE_CLOUD_WORKFLOW_ID": workflow,
        "GOOGLE_CLOUD_WORKFLOW_REVISION_ID": "000001-000",
        "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": str(uuid.uuid4()),
    }


def rehearse(program: Program, argument: Value, env: Mapping[str, str], log: Callable[[str, Value], None]) -> Outcome:
    """Run to the end. `env` holds what `environment` gives."""
    return asyncio.run(_Rehearsal(program, env, log).outcome(argument))


class _Rehearsal:
    def __init__(self, program: Program, env: Mapping[str, str], log: Callable[[str, Value], None]) -> None:
        self._now = time.time()
        name = "projects/{}/locations/{}/workflows/{}/executions/{}".format(
            *(
                env[f"GOOGLE_CLOUD_{part}"]
                for part in ("PROJECT_ID", "LOCATION", "WORKFLOW_ID", "WORKFLOW_EXECUTION_ID")
            )
        )
        self._run = Run(program, name=name, env=env, clock=lambda: self._now, log=log)
        self._tasks: dict[asyncio.Task[Value], tuple[int, int]] = {}
        self._session: Any = None

    async def outcome(self, argument: Value) -> Outcome:
        run = self._run
        run.start(argument)
        async with AsyncExitStack() as stack:
            while True:
                run.advance()
                if run.outcome is not None:
                    for task in self._tasks:
                        task.cancel()
                    await asyncio.gather(*self._tasks, return_exceptions=True)
                    return run.outcome
                if not run.ready:
                    await self._serve(stack)

    async def _serve(self, stack: AsyncExitStack) -> None:
        """End at least one wait."""
        busy = {*self._tasks.values()}
        for thread, ticket, wait in [*self._run.waits()]:
            if wait["kind"] == "connector":
                self._run.fail(thread, ticket, unimplemented(wait["call"]))
            elif wait["kind"] == "http" and (thread, ticket) not in busy:
                await self._request(thread, ticket, wait, stack)
        if self._run.ready:
            return
        if self._tasks:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                thread, ticket = self._tasks.pop(task)
                error = task.exception()
                if error is None:
                    self._run.resume(thread, ticket, task.result())
                elif isinstance(error, Raised):
                    self._run.fail(thread, ticket, error)
                else:
                    raise error
            return
        deadline = self._run.deadline()
        assert deadline is not None, "an execution waits for nothing"
        self._now = max(self._now, deadline)
        self._run.expire(self._now)

    async def _request(self, thread: int, ticket: int, wait: Wait, stack: AsyncExitStack) -> None:
        try:
            audience_of(wait)
            own = f"{self._run.callback_origin}/v1/{self._run.name}/callbacks/"
            if wait["url"].startswith(own):
                self._run.resume(thread, ticket, self._ring(wait, wait["url"].removeprefix(own).partition("?")[0]))
                return
        except Raised as error:
            self._run.fail(thread, ticket, error)
            return
        if self._session is None:
            import aiohttp

            self._session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        task = asyncio.create_task(perform(self._session, wait, None))
        self._tasks[task] = (thread, ticket)

    def _ring(self, wait: Wait, number: str) -> Value:
        callback = self._run.callbacks.get(number)
        if callback is None:
            raise http_error(404, {}, None)
        if callback.method != wait["method"]:
            raise http_error(405, {}, None)
        url, headers, content = prepared(wait, None)
        content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        request = {
            "body": received(content_type, content or b""),
            "headers": headers,
            "method": wait["method"],
            "query": dict(url.query),
            "url": url.path,
        }
        payload = {"http_request": request, "received_time": time_format(self._now), "type": "HTTP"}
        if not self._run.deliver(number, payload):
            raise http_error(429, {}, None)
        return {"body": None, "code": 200, "headers": {}}
