"""Cloud Workflows: the language, one execution in virtual time, and the service whose executions survive."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman_local.site import Site

__all__ = ["serve"]


async def serve(site: "Site", stop: asyncio.Event) -> None:
    """Serve Workflows and Executions (gRPC on `workflows`, REST and callbacks on `workflows-rest`) until `stop`."""
    from pointsman_local.workflows.service import server  # the language alone needs none of it

    await server.serve(site, stop)
