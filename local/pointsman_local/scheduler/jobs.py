"""One job: when it is due, and one attempt at it."""

import asyncio
import time
from datetime import UTC, datetime

import aiohttp
from cronsim import CronSim

from pointsman_local.identity import Identity

__all__ = ["Job"]

DEADLINE_S = 180.0
"""The service's default attempt deadline of an HTTP target."""

# google.rpc.Code of what became of an attempt; https://cloud.google.com/scheduler/docs/reference/rest
_UNKNOWN, _DEADLINE_EXCEEDED, _UNAVAILABLE = 2, 4, 14
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 500: 13, 501: 12, 503: 14, 504: 4}


class Job:
    """A POST on a schedule (unix-cron, UTC), with an identity token of `email` for `url`."""

    def __init__(self, name: str, schedule: str, url: str, email: str, identity: Identity) -> None:
        self.name = name
        self.schedule = schedule
        self._url = url
        self._email = email
        self._identity = identity
        self._attempted: datetime | None = None
        self._status: dict[str, object] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Attempt the job at each of its times, until cancelled."""
        times = CronSim(self.schedule, datetime.now(UTC))
        for due in times:
            while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
                await asyncio.sleep(left)
            if left > -1.0:  # a machine that slept: what was missed stays missed
                self.start(session, due)

    def start(self, session: aiohttp.ClientSession, due: datetime) -> None:
        """Begin an attempt, also while another one runs."""
        self._attempted = datetime.now(UTC)
        task = asyncio.create_task(self._attempt(session, due))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def as_json(self) -> dict[str, object]:
        """The job as the API shows it."""
        token = {"serviceAccountEmail": self._email, "audience": self._url}
        job: dict[str, object] = {
            "name": self.name,
            "schedule": self.schedule,
            "timeZone": "Etc/UTC",
            "state": "ENABLED",
            "attemptDeadline": f"{DEADLINE_S:.0f}s",
            "httpTarget": {"uri": self._url, "httpMethod": "POST", "oidcToken": token},
            "scheduleTime": _text(next(CronSim(self.schedule, datetime.now(UTC)))),
            "status": self._status,
        }
        return job if self._attempted is None else {**job, "lastAttemptTime": _text(self._attempted)}

    async def _attempt(self, session: aiohttp.ClientSession, due: datetime) -> None:
        headers = {
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": self.name.rsplit("/", 1)[1],
            "X-CloudScheduler-ScheduleTime": _text(due),
            "Authorization": f"Bearer {self._identity.token(self._email, self._url, time.time())}",
        }
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        try:
            async with session.post(self._url, headers=headers, timeout=timeout, allow_redirects=False) as answer:
                taken = 200 <= answer.status < 300
                self._status = {} if taken else {"code": _CODES.get(answer.status, _UNKNOWN)}
        except TimeoutError:
            self._status = {"code": _DEADLINE_EXCEEDED}
        except aiohttp.ClientError:
            self._status = {"code": _UNAVAILABLE}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
