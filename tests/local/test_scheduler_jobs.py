"""The local Cloud Scheduler: the topology's jobs, run on demand, and on the clock."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pointsman_local.identity import Identity
from pointsman_local.scheduler.jobs import Job
from pointsman_local.site import Site

ACCOUNT = "pointsman-scheduler@lab.iam.gserviceaccount.com"


class Target:
    """Stands where the function is."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.status = 200
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with outer.arrived:
                    outer.requests.append(dict(self.headers))
                    outer.arrived.notify_all()
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def wait(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, 20), self.requests


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def site(local_process: Callable[..., Any], target: Target) -> Site:
    process = local_process("scheduler", ports={"functions/sweep": target.server.server_port})
    process.start(f"{process.site.url('scheduler')}/v1/projects/lab/locations/us-central1/jobs")
    site: Site = process.site
    return site


def call(site: Site, method: str, path: str) -> Any:
    url = f"{site.url('scheduler')}/v1/projects/lab/locations/us-central1/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.load(answer)


def test_the_jobs_are_the_functions_that_have_a_schedule(site: Site) -> None:
    (job,) = call(site, "GET", "jobs")["jobs"]
    assert job["name"] == "projects/lab/locations/us-central1/jobs/sweep"
    assert job["schedule"] == "* * * * *"
    assert job["httpTarget"]["uri"] == site.url("functions/sweep")
    assert job["httpTarget"]["oidcToken"] == {"serviceAccountEmail": ACCOUNT, "audience": site.url("functions/sweep")}


def test_a_job_that_is_run_now_posts_with_a_token(site: Site, target: Target) -> None:
    before = len(target.requests)
    job = call(site, "POST", "jobs/sweep:run")
    target.wait(before + 1)
    headers = target.requests[-1]
    assert datetime.fromisoformat(job["lastAttemptTime"]).tzinfo is not None
    assert headers["X-CloudScheduler-JobName"] == "sweep"
    assert headers["X-CloudScheduler-ScheduleTime"].endswith("Z")
    token = headers["Authorization"].removeprefix("Bearer ")
    assert Identity(site.data).email(token, site.url("functions/sweep"), time.time()) == ACCOUNT


def test_the_last_attempts_failure_is_told(site: Site, target: Target) -> None:
    target.status = 503
    call(site, "POST", "jobs/sweep:run")
    end = time.monotonic() + 20
    while (job := call(site, "GET", "jobs/sweep"))["status"] != {"code": 14}:
        assert time.monotonic() < end, job
    target.status = 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("POST", "jobs/none:run", 404, id="no-such-job"),
        pytest.param("POST", "jobs/sweep:pause", 501, id="no-such-call"),
        pytest.param("DELETE", "jobs/sweep", 501, id="no-such-method"),
    ],
)
def test_other_calls_are_refused(site: Site, method: str, path: str, expected: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(site, method, path)
    with refused.value:
        assert refused.value.code == expected


def test_a_job_runs_at_each_of_its_times(tmp_path: Path, target: Target) -> None:
    """CronSim takes a sixth field, seconds, which unix-cron does not have: a test need not wait a minute."""
    before = len(target.requests)
    url = f"http://127.0.0.1:{target.server.server_port}/"

    async def run() -> None:
        job = Job("projects/p/locations/l/jobs/often", "* * * * * *", url, ACCOUNT, Identity(tmp_path))
        async with aiohttp.ClientSession() as session:
            clock = asyncio.create_task(job.run(session))
            await asyncio.to_thread(target.wait, before + 2)
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
            await job.end()

    asyncio.run(run())
    first, second, *_ = target.requests[before:]
    times = [datetime.fromisoformat(item["X-CloudScheduler-ScheduleTime"]) for item in (first, second)]
    assert all(moment.microsecond == 0 and moment.tzinfo == UTC for moment in times)
    assert times[0] < times[1]
