"""The connectors that are carried out here: executions of workflows, in this process.

Others are answered with an HttpError 501 that names the call.
"""

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import grpc

from pointsman_local.workflows.errors import Raised, http_error, type_error, unimplemented
from pointsman_local.workflows.service.views import Execution, as_map
from pointsman_local.workflows.service.wire import EXECUTION, WORKFLOW, CallRefused
from pointsman_local.workflows.state import Wait
from pointsman_local.workflows.values import Value, encode_json

if TYPE_CHECKING:
    from pointsman_local.workflows.service.engine import Engine, Live

__all__ = ["Connectors"]

PREFIX: Final = "googleapis.workflowexecutions.v1.projects.locations.workflows.executions."
CREATE, RUN, GET, CANCEL = (PREFIX + name for name in ("create", "run", "get", "cancel"))
HTTP_CODES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 501,
}


class Connectors:
    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def prepare(self, live: "Live", wait: Wait) -> None:
        """Name what will be created, once: the name is saved with the wait."""
        if wait["kind"] == "connector" and wait["call"] in (CREATE, RUN):
            wait.setdefault("child", str(uuid.uuid4()))

    async def perform(self, live: "Live", wait: Wait) -> Value:
        """Raises Raised."""
        arguments: dict[str, Any] = wait["arguments"]
        try:
            match wait["call"]:
                case call if call == CREATE:
                    return as_map(self._create(arguments, wait["child"]))
                case call if call == RUN:
                    return await self._run(live, arguments, wait["child"])
                case call if call == GET:
                    return as_map(self._known(_text(arguments, "name", EXECUTION)))
                case call if call == CANCEL:
                    return as_map(self._engine.cancel(_text(arguments, "name", EXECUTION)))
                case call:
                    raise unimplemented(call)
        except CallRefused as refused:
            code = HTTP_CODES.get(refused.code, 500)
            body = {"error": {"code": code, "message": refused.message, "status": refused.code.name}}
            raise http_error(code, {}, body) from None

    def _create(self, arguments: dict[str, Any], child: str) -> Any:
        parent = _text(arguments, "parent", WORKFLOW)
        body = arguments.get("body") or {}
        argument = body.get("argument") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(argument, str | None):
            raise type_error("body.argument of executions.create must be a string")
        labels = body.get("labels") or {}
        return self._engine.create(parent, argument or "", labels, name=f"{parent}/executions/{child}")

    async def _run(self, live: "Live", arguments: dict[str, Any], child: str) -> Value:
        """Start a workflow and wait for its result ("Workflow Executions API Connector", run)."""
        workflow = arguments.get("workflow_id")
        if not isinstance(workflow, str):
            raise type_error("workflow_id of executions.run must be a string")
        parent = self._engine.in_location(live, arguments.get("project_id"), arguments.get("location"))
        name = f"{parent}/workflows/{workflow}"
        argument = encode_json(arguments["argument"]) if "argument" in arguments else ""
        execution = f"{name}/executions/{child}"
        self._engine.create(name, argument, {}, name=execution)
        over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def told(message: Any) -> None:
            if not over.done():
                over.set_result(message)

        self._engine.await_end(execution, told)
        message = await over
        if message.state == Execution.State.Value("SUCCEEDED"):
            result: Value = json.loads(message.result)
            return result
        raise Raised(
            {"message": "Execution failed or cancelled.", "tags": ["OperationError"], "operation": as_map(message)}
        )

    def _known(self, name: str) -> Any:
        live = self._engine.live(name)
        if live is not None:
            return live.message
        ended: list[Any] = []
        self._engine.await_end(name, ended.append)
        return ended[0]


def _text(arguments: dict[str, Any], name: str, form: Any) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise type_error(f"{name} must be a string")
    if form.fullmatch(value) is None:
        raise CallRefused.invalid(f"invalid {name} '{value}'")
    return value
