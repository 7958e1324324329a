"""Both APIs over gRPC, as Google's clients speak it, with the operations that their clients poll."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from pointsman_local.workflows.service.deployments import Deployments
from pointsman_local.workflows.service.executions import Executions
from pointsman_local.workflows.service.wire import CallRefused, execution_class, operation_class, workflow_class

__all__ = ["server"]

WORKFLOWS: Final = (
    "ListWorkflows",
    "GetWorkflow",
    "CreateWorkflow",
    "UpdateWorkflow",
    "DeleteWorkflow",
    "ListWorkflowRevisions",
)
EXECUTIONS: Final = ("ListExecutions", "CreateExecution", "GetExecution", "CancelExecution")
OPERATIONS: Final = ("ListOperations", "GetOperation", "DeleteOperation")


def server(deployments: Deployments, executions: Executions) -> grpc.aio.Server:
    """A server without a port yet."""
    handlers = {
        **_handlers("google.cloud.workflows.v1.Workflows", WORKFLOWS, deployments, workflow_class),
        **_handlers("google.cloud.workflows.executions.v1.Executions", EXECUTIONS, executions, execution_class),
        **_handlers("google.longrunning.Operations", OPERATIONS, deployments, operation_class),
    }
    made = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    made.add_generic_rpc_handlers((_Known(handlers),))
    return made


def _handlers(service: str, methods: tuple[str, ...], api: object, message: Callable[[str], Any]) -> dict[str, Any]:
    return {
        f"/{service}/{method}": grpc.unary_unary_rpc_method_handler(
            _unary(getattr(api, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())),
            request_deserializer=message(f"{method}Request").FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for method in methods
    }


def _unary(method: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await method(request)
        except CallRefused as refused:
            await context.abort(refused.code, refused.message)

    return answer


class _Known(grpc.GenericRpcHandler):
    """Serves what is known, and says the name of what is not."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        name = handler_call_details.method

        async def unserved(request: Any) -> Any:
            raise CallRefused.unserved(name)

        return self._handlers.get(name) or grpc.unary_unary_rpc_method_handler(
            _unary(unserved),
            request_deserializer=lambda raw: raw,
            response_serializer=lambda answer: answer,
        )
