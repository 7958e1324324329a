"""Both APIs over HTTP and JSON, as gcloud speaks them, and the callback endpoints of executions."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
from aiohttp import web
from google.protobuf import json_format

from pointsman_local.counting import PATH
from pointsman_local.workflows.requests import received
from pointsman_local.workflows.service.deployments import Deployments
from pointsman_local.workflows.service.engine import Engine
from pointsman_local.workflows.service.executions import Executions
from pointsman_local.workflows.service.wire import CallRefused, execution_class, operation_class, workflow_class
from pointsman_local.workflows.stdlib.strings import time_format

__all__ = ["application"]

HTTP_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNIMPLEMENTED: 501,
}
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
LOCATION: Final = "/v1/{parent:projects/[^/]+/locations/[^/]+}"
WORKFLOW: Final = "/v1/{name:projects/[^/]+/locations/[^/]+/workflows/[^/:]+}"
EXECUTION: Final = "/v1/{name:projects/[^/]+/locations/[^/]+/workflows/[^/]+/executions/[^/:]+}"
OPERATION: Final = "/v1/{name:projects/[^/]+/locations/[^/]+/operations/[^/:]+}"
Call = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Route:
    """One call: the class of its request, the field that the path names, and the field that the body is."""

    method: str
    path: str
    request: str
    field: str = "name"
    body: str = ""


WORKFLOW_ROUTES: Final = (
    _Route("GET", f"{LOCATION}/workflows", "ListWorkflows", "parent"),
    _Route("POST", f"{LOCATION}/workflows", "CreateWorkflow", "parent", "workflow"),
    _Route("GET", WORKFLOW, "GetWorkflow"),
    _Route("PATCH", WORKFLOW, "UpdateWorkflow", "", "workflow"),
    _Route("DELETE", WORKFLOW, "DeleteWorkflow"),
    _Route("GET", f"{WORKFLOW}:listRevisions", "ListWorkflowRevisions"),
)
OPERATION_ROUTES: Final = (
    _Route("GET", f"{LOCATION}/operations", "ListOperations"),
    _Route("GET", OPERATION, "GetOperation"),
    _Route("DELETE", OPERATION, "DeleteOperation"),
)
EXECUTION_ROUTES: Final = (
    _Route("GET", f"{WORKFLOW}/executions", "ListExecutions", "parent"),
    _Route("POST", f"{WORKFLOW}/executions", "CreateExecution", "parent", "execution"),
    _Route("GET", EXECUTION, "GetExecution"),
    _Route("POST", f"{EXECUTION}:cancel", "CancelExecution"),
)


def application(deployments: Deployments, executions: Executions, engine: Engine) -> web.Application:
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    for routes, api, classes in (
        (WORKFLOW_ROUTES, deployments, workflow_class),
        (OPERATION_ROUTES, deployments, operation_class),
        (EXECUTION_ROUTES, executions, execution_class),
    ):
        for route in routes:
            call = getattr(api, re.sub(r"(?<!^)(?=[A-Z])", "_", route.request).lower())
            app.router.add_route(route.method, route.path, _handler(route, call, classes(f"{route.request}Request")))
    own = _Own(executions, engine)
    app.router.add_get(PATH, _answering(own.series))
    app.router.add_get("/v1/projects/{project}/locations", _answering(own.locations))
    app.router.add_get("/v1/projects/{project}/locations/{location}", _answering(own.location))
    app.router.add_post(f"{WORKFLOW}:triggerPubsubExecution", _answering(own.trigger))
    app.router.add_get(f"{EXECUTION}/callbacks", _answering(own.callbacks))
    app.router.add_route("*", f"{EXECUTION}/callbacks/{{number}}", _answering(own.ring))
    app.router.add_route("*", "/{path:.*}", _answering(_unserved))
    return app


class _Own:
    """Calls that have no request message of their own."""

    def __init__(self, executions: Executions, engine: Engine) -> None:
        self._executions = executions
        self._engine = engine

    async def series(self, request: web.Request) -> Any:
        """What is counted of executions, for the local Monitoring."""
        return self._engine.counters.as_json()

    async def locations(self, request: web.Request) -> Any:
        raise CallRefused.unserved("ListLocations")

    async def location(self, request: web.Request) -> Any:
        location = request.match_info["location"]
        return {"name": f"projects/{request.match_info['project']}/locations/{location}", "locationId": location}

    async def trigger(self, request: web.Request) -> Any:
        """A direct Pub/Sub push: the message is the argument, wrapped as Eventarc wraps it."""
        body = _json(await request.text())
        fields = {key: body[key] for key in ("message", "subscription", "deliveryAttempt") if key in body}
        asked = execution_class("CreateExecutionRequest")(parent=request.match_info["name"])
        asked.execution.argument = json.dumps({"data": fields}, separators=(",", ":"))
        return await self._executions.create_execution(asked)

    async def callbacks(self, request: web.Request) -> Any:
        """ListCallbacks: of an active execution, by id."""
        name = request.match_info["name"]
        live = self._engine.live(name)
        if live is None:
            await self._executions.get_execution(execution_class("GetExecutionRequest")(name=name))
            return {}
        waiting = [wait["callback"] for _, _, wait in live.run.waits() if wait["kind"] == "callback"]
        listed = [
            {
                "name": f"{name}/callback/{number}",
                "method": callback.method,
                **({"availablePayloads": ["1"]} if callback.payload is not None else {}),
                **({"waiters": str(waiting.count(number))} if number in waiting else {}),
            }
            for number, callback in sorted(live.run.callbacks.items())
        ]
        return {"callbacks": listed} if listed else {}

    async def ring(self, request: web.Request) -> Any:
        """A request to a callback endpoint ("Wait using callbacks"): 200, 429 while one before it waits, 404."""
        name, number = request.match_info["name"], request.match_info["number"]
        live = self._engine.live(name)
        callback = None if live is None else live.run.callbacks.get(number)
        if callback is None:
            raise CallRefused.absent("Callback", f"{name}/callbacks/{number}")
        if callback.method != request.method:
            return _refusal(405, f"the callback expects {callback.method}", "INVALID_ARGUMENT")
        payload = {
            "http_request": {
                "body": received(request.content_type, await request.read()),
                "headers": {name: value for name, value in request.headers.items() if name.lower() != "authorization"},
                "method": request.method,
                "query": dict(request.query),
                "url": request.path,
            },
            "received_time": time_format(time.time()),
            "type": "HTTP",
        }
        taken = self._engine.deliver(name, number, payload)
        if taken is None:
            raise CallRefused.absent("Callback", f"{name}/callbacks/{number}")
        if not taken:
            return _refusal(429, "a request to the callback has not been processed yet", "RESOURCE_EXHAUSTED")
        return {}


def _handler(route: _Route, call: Call, message: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> Any:
        given = _json(await request.text())
        fields: dict[str, Any] = {key: value for key, value in request.query.items() if _is_field(key)}
        name = request.match_info.get("name", request.match_info.get("parent"))
        if route.body:
            fields[route.body] = given
        if route.field:
            fields[route.field] = name
        else:
            fields[route.body]["name"] = name
        try:
            asked = json_format.ParseDict(fields, message(), ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise CallRefused.invalid(str(error)) from None
        return await call(asked)

    return _answering(handle)


def _is_field(parameter: str) -> bool:
    """Whether a query parameter is one of the request, not of the protocol."""
    return not parameter.startswith("$") and parameter not in ("alt", "prettyPrint")


def _answering(handle: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            found = await handle(request)
        except CallRefused as refused:
            return _refusal(HTTP_STATUS.get(refused.code, 500), refused.message, refused.code.name)
        if isinstance(found, web.Response):
            return found
        if isinstance(found, dict):
            return web.json_response(found)
        return web.json_response(_fields(found))

    return answer


def _fields(message: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json_format.MessageToDict(message)
    for execution in [fields, *fields.get("executions", ())]:
        if "startTime" in execution and "/executions/" in execution.get("name", ""):
            execution["createTime"] = execution["startTime"]  # which the client's message does not have yet
    return fields


def _refusal(status: int, message: str, name: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message, "status": name}}, status=status)


def _json(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CallRefused.invalid(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CallRefused.invalid("the body must be a JSON object")
    return found


async def _unserved(request: web.Request) -> Any:
    path = re.sub(r"/(projects|locations|workflows|executions)/[^/:]+", r"/\1/*", request.path)
    raise CallRefused.unserved(f"{request.method} {path}")
