"""google.container.v1.ClusterManager over gRPC, by generic handlers: the client ships no server's code."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from pointsman_local.gke.engine import Engine, Refused
from pointsman_local.gke.methods import METHODS, Method

__all__ = ["server"]

SERVICE = "google.container.v1.ClusterManager"


def server(engine: Engine, address: str) -> grpc.aio.Server:
    """A server on `address`, not started."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _handler(engine, request, method),
            request_deserializer=request.deserialize,
            response_serializer=response.serialize,
        )
        for name, (request, response, method) in METHODS.items()
    }
    found = grpc.aio.server()
    found.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers), _Unserved()))
    if not found.add_insecure_port(address):
        raise OSError(f"cannot listen on {address}")
    return found


def _handler(engine: Engine, request: Any, method: Method) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(message: Any, context: Any) -> Any:
        try:
            return method(engine, message, time.time())
        except Refused as refused:
            await context.abort(grpc.StatusCode[refused.code], refused.message)

    return handle


class _Unserved(grpc.GenericRpcHandler):
    """Whatever no handler before this one knows."""

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.lstrip("/")

        async def refuse(message: bytes, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not served by the local cloud")

        return grpc.unary_unary_rpc_method_handler(refuse)
