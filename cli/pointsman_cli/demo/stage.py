"""Where the demo's stories play: a local cloud of its own, traffic, a config repository, and the ledger to look at."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pointsman.adapters.ledger_sqlite import SQLiteLedger
from pointsman.core.records import DecisionRecord, EventRecord, RolloutRecord, ServiceRecord
from pointsman.errors import Unavailable
from pointsman_cli.demo.config import Config
from pointsman_cli.demo.counters import Counters
from pointsman_cli.demo.load import Load
from pointsman_local.site import Site

__all__ = ["NAMESPACE", "RATE", "Stage", "host"]

T = TypeVar("T")

NAMESPACE = "demo"
RATE = 150.0
POLL_S = 0.05
READY_S = 60.0
STOP_S = 30.0


def host(service: str) -> str:
    """The host name that a service gets from the platform's domain."""
    return f"{service}-{NAMESPACE}.localhost"


class Stage:
    """A running local cloud and what the stories need of it. Close it: nothing it started stays."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.models = data / "models"
        self.pushed: list[str] = []
        self.webhooks = 0
        self._children: list[subprocess.Popen[bytes]] = []
        self.load: Load | None = None
        self.counters: Counters | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._cloud = self._start(
            [sys.executable, "-m", "pointsman_cli", "local", "up", "--until-eof", "--data", str(self.data)], "cloud"
        )
        begun = time.monotonic()
        self.environment: Mapping[str, str] = self.until(self._endpoints, "the local cloud is ready", READY_S)
        self.ready_s = time.monotonic() - begun
        training = self._start([sys.executable, "-m", "pointsman_local.models.train", str(self.models)], "train")
        if training.wait(timeout=120) != 0:
            raise Unavailable("the models could not be trained", where=str(self.data / "train.log"))
        self.site = Site.load(self.data / "run" / "site.json")
        self.ledger = SQLiteLedger(self.data / "ledger" / "ledger.db")
        self._misdeliver()
        self.config = Config(self.data / "config", self.environment["POINTSMAN_GIT_URL"])
        self.load = Load(self.environment["POINTSMAN_GATEWAY_URL"], self.models / "images.json")
        self.counters = Counters(self.site.url("envoy-admin"))

    def close(self) -> None:
        """End what was started: traffic first, then the cloud."""
        if self.load:
            self.load.close()
        if self.counters:
            self.counters.close()
        for child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=STOP_S)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            if child.stdin:
                child.stdin.close()

    # --- what stories ask -------------------------------------------------------------------------------------

    def until(self, ask: Callable[[], T | None], what: str, seconds: float) -> T:
        """Ask again and again until there is an answer. Raises Unavailable, saying what was waited for."""
        deadline = time.monotonic() + seconds
        while (answer := ask()) is None:
            if self._cloud.poll() is not None:
                raise Unavailable("the local cloud ended", where=str(self.data / "logs"))
            if time.monotonic() > deadline:
                raise Unavailable(f"waited {seconds:.0f} s in vain: {what}", where=str(self.data / "logs"))
            time.sleep(POLL_S)
        return answer

    def push(self, files: Mapping[str, str], message: str) -> str:
        """Push a commit to the config repository."""
        commit = self.config.push(files, message)
        self.pushed.append(commit)
        return commit

    def service(self, name: str) -> ServiceRecord | None:
        saved = self.ledger.read(ServiceRecord, f"{self.site.cluster}/{NAMESPACE}/{name}")
        return saved.record if saved else None

    def rollouts(self, name: str) -> list[RolloutRecord]:
        """A service's rollouts, oldest first."""
        found = self.ledger.find(RolloutRecord, {"service": f"{self.site.cluster}/{NAMESPACE}/{name}"}, limit=1000)
        return sorted((saved.record for saved in found), key=lambda record: record.started_at)

    def rollout(self, name: str, commit: str) -> RolloutRecord | None:
        """The service's rollout that a commit led to."""
        return next((record for record in self.rollouts(name) if record.commit == commit), None)

    def read(self, rollout: str) -> RolloutRecord:
        saved = self.ledger.read(RolloutRecord, rollout)
        assert saved is not None
        return saved.record

    def decisions(self, rollout: str) -> list[DecisionRecord]:
        found = self.ledger.find(DecisionRecord, {"rollout": rollout}, limit=10_000)
        return sorted((saved.record for saved in found), key=lambda record: record.number)

    def events(self) -> list[EventRecord]:
        return [saved.record for saved in self.ledger.find(EventRecord, limit=100_000)]

    def serving(self, name: str) -> bool | None:
        """True once a request through the gateway is answered; None before, for `until`."""
        request = urllib.request.Request(f"{self.environment['POINTSMAN_GATEWAY_URL']}/health")
        request.add_header("Host", host(name))
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return True if answer.status == 200 else None
        except OSError:
            return None

    def ask(self, method: str, url: str, body: object) -> Mapping[str, object]:
        """A JSON request to the local cloud's own services. Raises Unavailable when it is refused."""
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content = answer.read()
        except OSError as error:
            raise Unavailable(f"{method} {url}: {error}") from error
        found: Mapping[str, object] = json.loads(content) if content else {}
        return found

    def _misdeliver(self) -> None:
        """Have every event delivered three times, as Pub/Sub may."""
        for subscription in (
            "repo-pushed-on-repo-push",
            "model-registered-on-model-registered",
            "alert-fired-on-alert",
        ):
            faults = f"{self.site.url('pubsub-rest')}/local/v1/subscriptions/{subscription}/faults"
            self.ask("PUT", faults, {"duplicate": 3})

    # --- processes --------------------------------------------------------------------------------------------

    def _start(self, command: list[str], name: str) -> "subprocess.Popen[bytes]":
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / f"{name}.log").open("wb") as log:
            # The pipe is held open here alone: its end tells the cloud that the demo is gone, however it went.
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        self._children.append(child)
        return child

    def _endpoints(self) -> Mapping[str, str] | None:
        try:
            found: Mapping[str, str] = json.loads((self.data / "run" / "endpoints.json").read_text())
        except FileNotFoundError:
            return None
        return found
