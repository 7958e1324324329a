"""AccessSecretVersion over gRPC."""

import asyncio
import re
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.cloud.secretmanager_v1.types import AccessSecretVersionRequest, AccessSecretVersionResponse

from pointsman_local.site import Site

__all__ = ["serve"]

ACCESS = "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion"
STOP_GRACE_S = 0.5
# Also what keeps a name from leaving the folder.
_NAME = re.compile(r"projects/([^/]+)/secrets/([A-Za-z0-9_-]{1,255})/versions/(latest|[1-9][0-9]*)")


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve the secrets in `DATA/secrets`, read anew at each call, until `stop`."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Handlers(site.folder("secrets"), site.project),))
    server.add_insecure_port(site.address("secretmanager"))
    try:
        await server.start()
        await stop.wait()
    finally:
        await server.stop(STOP_GRACE_S)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, folder: Path, project: str) -> None:
        self._folder = folder
        self._project = project

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method != ACCESS:
            return grpc.unary_unary_rpc_method_handler(_unserved(method))
        return grpc.unary_unary_rpc_method_handler(
            self._access,
            request_deserializer=AccessSecretVersionRequest.deserialize,
            response_serializer=AccessSecretVersionResponse.serialize,
        )

    async def _access(self, request: Any, context: Any) -> Any:
        match = _NAME.fullmatch(request.name)
        if match is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid resource name: {request.name}")
        assert match is not None  # `abort` raises
        project, secret, version = match.groups()
        path = self._folder / secret
        if project != self._project or not path.is_file():
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"Secret [projects/{project}/secrets/{secret}] not found or has no versions."
            )
        if version not in ("latest", "1"):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Secret Version [{request.name}] not found.")
        name = f"projects/{project}/secrets/{secret}/versions/1"
        return AccessSecretVersionResponse(name=name, payload={"data": path.read_bytes()})


def _unserved(method: str) -> Any:
    async def handle(request: bytes, context: Any) -> None:
        message = f"{method.removeprefix('/')} is not imitated by the local Secret Manager"
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, message)

    return handle
