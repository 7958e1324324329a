"""The service: one job for each function of the topology that has a schedule."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from pointsman_local import topology
from pointsman_local.identity import Identity, account
from pointsman_local.scheduler.jobs import Job
from pointsman_local.site import Site

__all__ = ["serve"]


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Run the jobs on their schedules until `stop`. Attempts under way then are broken off."""
    identity = Identity(site.data)
    folder = f"projects/{site.project}/locations/{site.location}/jobs"
    declared = topology.load(topology.deployed())
    email = account(declared.scheduler, site.project)
    jobs = {
        f"{folder}/{name}": Job(f"{folder}/{name}", function.schedule, site.url(f"functions/{name}"), email, identity)
        for name, function in declared.functions.items()
        if function.schedule is not None
    }
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        clocks = [asyncio.create_task(job.run(session)) for job in jobs.values()]
        runner = web.AppRunner(_application(folder, jobs, session), access_log=None)
        stopping = asyncio.create_task(stop.wait())
        try:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", site.ports["scheduler"], shutdown_timeout=0.5).start()
            done, _ = await asyncio.wait([stopping, *clocks], return_when=asyncio.FIRST_COMPLETED)
            for clock in done & set(clocks):
                clock.result()
        finally:
            for task in (stopping, *clocks):
                task.cancel()
            await asyncio.gather(*clocks, return_exceptions=True)
            for job in jobs.values():
                await job.end()
            await runner.cleanup()


def _application(folder: str, jobs: Mapping[str, Job], session: aiohttp.ClientSession) -> web.Application:
    async def show_all(request: web.Request) -> web.Response:
        return web.json_response({"jobs": [job.as_json() for job in jobs.values()]})

    async def show(request: web.Request) -> web.Response:
        return await _found(request, _as_json)

    async def run(request: web.Request) -> web.Response:
        async def start(job: Job) -> web.Response:
            job.start(session, datetime.now(UTC))
            return await _as_json(job)

        return await _found(request, start)

    async def _found(request: web.Request, answer: Callable[[Job], Awaitable[web.Response]]) -> web.Response:
        job = jobs.get(f"{folder}/{request.match_info['job']}")
        return _problem(404, "NOT_FOUND", f"Job {request.path} not found.") if job is None else await answer(job)

    async def _as_json(job: Job) -> web.Response:
        return web.json_response(job.as_json())

    async def unserved(request: web.Request) -> web.Response:
        what = f"{request.method} {request.path} is not imitated by the local Cloud Scheduler"
        return _problem(501, "UNIMPLEMENTED", what)

    app = web.Application()
    app.router.add_get(f"/v1/{folder}", show_all)
    app.router.add_get(f"/v1/{folder}/{{job:[^/:]+}}", show)
    app.router.add_post(f"/v1/{folder}/{{job:[^/:]+}}:run", run)
    app.router.add_route("*", "/{path:.*}", unserved)
    return app


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message, "status": code}}, status=status)
