"""A local cloud with something on its dashboards: rollouts that go well and badly, an accelerator pool that runs out.

Alert policies are made by Google's own client, as Terraform makes them in the cloud.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.cloud.monitoring_v3 import AlertPolicy, AlertPolicyServiceClient

from pointsman.core.records import RolloutRecord
from pointsman.errors import Unavailable
from pointsman_cli.demo.alerting import told_to_the_bus
from pointsman_cli.demo.stage import NAMESPACE, Stage, host
from pointsman_local.site import Site

__all__ = ["play", "policy_of", "watch"]

RATE = 120.0
ENDS_S = 300.0
SWEEP_S = 10.0
PLATFORM = f"""\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {{name: demo}}
spec:
  clusters: [{{name: local, location: us-central1}}]
  gateway: {{name: models, namespace: gateway, domain: localhost}}
  namespaces: [{{name: {NAMESPACE}, paths: [teams/demo]}}]
  defaults:
    pool: l4
    requestTimeout: 1s
    rollout:
      steps: [{{weight: 5, hold: 10s}}, {{weight: 25, hold: 10s}}, {{weight: 50, hold: 10s}}]
      bake: {{duration: 12s}}
      judge: {{warmup: 0s, minRequestsPerStep: 20}}
"""
POOL = """\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata: {name: l4}
spec:
  nodes: {max: 6}
  candidates:
    - {machineType: g2-standard-4, provisioning: Reservation, reservation: l4-serving, zones: [us-central1-a]}
    - {machineType: g2-standard-4, deadline: 1m}
    - {machineType: g2-standard-4, provisioning: Spot}
"""
SERVICE = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata: {name: %(name)s}
spec:
  model: {uri: "file://%(models)s/%(version)s", version: %(version)s}
  replicas: %(replicas)d
  template:
    spec:
      containers:
        - name: server
          image: python:3.12-slim
          command: [python, -m, pointsman_local.models.server]
          ports: [{containerPort: 8080}]
          resources: {limits: {nvidia.com/gpu: 1}}
"""


def play(stage: Stage, say: Callable[[str], None]) -> None:
    """About six minutes of a platform's life: at the end the last ten are in the local Monitoring.

    Whole sweeps come every ten seconds, instead of every five minutes.
    """
    stop = threading.Event()
    sweeper = threading.Thread(target=_sweeps, args=(stage, stop))
    sweeper.start()
    try:
        _play(stage, say)
    finally:
        stop.set()
        sweeper.join()


def _sweeps(stage: Stage, stop: threading.Event) -> None:
    jobs = f"/v1/projects/{stage.site.project}/locations/{stage.site.location}/jobs"
    while not stop.wait(SWEEP_S):
        with suppress(Unavailable):
            stage.ask("POST", f"{stage.site.url('scheduler')}{jobs}/sweep:run", {"scope": "all"})


def _play(stage: Stage, say: Callable[[str], None]) -> None:
    assert stage.load is not None
    watch(stage.site, Path(__file__).parent / "alerts")
    say("digits v1 is served; the reservation has no machine")
    _roll(stage, "digits", "v1", {"platform.yaml": PLATFORM, "pools/l4.yaml": POOL})
    stage.load.rate(host("digits"), RATE)
    say("digits v2 goes out in steps")
    _roll(stage, "digits", "v2")
    say("digits v4 fails a few requests and goes back")
    _roll(stage, "digits", "v4")
    say("letters v1 is served")
    _roll(stage, "letters", "v1")
    stage.load.rate(host("letters"), RATE / 2)
    say("letters v3 answers slowly and goes back")
    _roll(stage, "letters", "v3")
    say("two instances end; a push whose webhook is lost is found by the sweep")
    functions = json.loads((stage.data / "run" / "functions.json").read_text())
    for name in ("on_repo_push", "notify"):
        os.kill(functions[name], signal.SIGKILL)
    stage.ask("PUT", f"{stage.site.url('git')}/local/v1/webhooks", {"drop": 1})
    _ended(stage, "digits", _push(stage, "digits", "v5"))
    say("no on-demand machine is left: letters finds Spot ones")
    stage.ask(
        "PUT",
        f"{stage.site.url('container-rest')}/local/v1/stock",
        {"machines": [{"machineType": "g2-standard-4", "provisioning": "OnDemand", "nodes": 0}]},
    )
    _ended(stage, "letters", _push(stage, "letters", "v2", replicas=2))
    time.sleep(20)


def watch(site: Site, folder: Path) -> None:
    """Make every alert policy of `folder`, told to the topic `alert-fired`."""
    project = f"projects/{site.project}"
    with grpc.insecure_channel(site.address("monitoring")) as link:
        channel = told_to_the_bus(link, project)
        policies = AlertPolicyServiceClient(
            transport=AlertPolicyServiceClient.get_transport_class("grpc")(channel=link)
        )
        for path in sorted(folder.glob("*.yaml")):
            policy = policy_of(yaml.safe_load(path.read_text()))
            policy.notification_channels.append(channel)
            policies.create_alert_policy(name=project, alert_policy=policy)


def policy_of(document: Mapping[str, Any]) -> AlertPolicy:
    """The policy of a document in `alerts/`, as Terraform makes it."""
    condition = AlertPolicy.Condition(
        display_name=document["display_name"],
        condition_prometheus_query_language={
            "query": document["query"],
            "duration": {"seconds": int(document["duration"].rstrip("s"))},
            "evaluation_interval": {"seconds": int(document["evaluation_interval"].rstrip("s"))},
        },
    )
    return AlertPolicy(
        display_name=document["display_name"],
        combiner="OR",
        severity=document["severity"],
        user_labels=document["user_labels"],
        conditions=[condition],
        documentation={
            "content": f"{document['summary']}\n\nWhat to do: {document['runbook']}",
            "mime_type": "text/markdown",
        },
        alert_strategy={"auto_close": {"seconds": int(document["auto_close"].rstrip("s"))}},
    )


def _roll(stage: Stage, name: str, version: str, more: Mapping[str, str] | None = None) -> RolloutRecord:
    return _ended(stage, name, _push(stage, name, version, more=more))


def _push(stage: Stage, name: str, version: str, *, replicas: int = 1, more: Mapping[str, str] | None = None) -> str:
    text = SERVICE % {"name": name, "models": stage.models, "version": version, "replicas": replicas}
    return stage.push({**(more or {}), f"teams/demo/{name}.yaml": text}, f"Serve {name} {version}")


def _ended(stage: Stage, name: str, commit: str) -> RolloutRecord:
    def ask() -> RolloutRecord | None:
        found = stage.rollout(name, commit)
        return found if found is not None and found.ended == "yes" else None

    return stage.until(ask, f"the rollout of {name} at {commit[:12]} ends", ENDS_S)
