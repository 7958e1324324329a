"""What the demo pushes: the example of the README, service by service."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["BROKEN", "RULE", "first", "follower", "served"]

PLATFORM = """\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: demo, annotations: {config.kubernetes.io/local-config: "true"}}
spec:
  clusters: [{name: local, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: localhost}
  namespaces: [{name: demo, paths: [teams/demo]}]
  registries: [{name: mlflow, type: MLflow, url: "%(mlflow)s"}]
  defaults:
    pool: cpu
    requestTimeout: 1s           # also the drain time
    rollout:
      steps: [{weight: 5, hold: 6s}, {weight: 25, hold: 6s}, {weight: 50, hold: 6s}]
      bake: {duration: 8s}
      judge: {warmup: 0s, minRequestsPerStep: 20}
"""

POOLS = """\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool              # a CPU stand-in; the first candidate is out of stock
metadata: {name: cpu}
spec:
  nodes: {max: 6}
  candidates:
    - {machineType: e2-standard-4, provisioning: Reservation, reservation: demo, zones: [us-central1-a]}
    - {machineType: e2-standard-4}
"""

SERVICE = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata:
  name: %(name)s
spec:
  model:
    %(model)s
  template:
    spec:
      containers:
        - name: server
          image: python:3.12-slim
          command: [python, -m, pointsman_local.models.server]
          ports: [{containerPort: 8080}]
"""

RULE = """\
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: digits-busy}
spec:
  alert: {name: digits is busy}
  actions: [{scalePool: {pool: cpu, addNodes: 1}}]
"""

BROKEN = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata:
  name: digits
spec:
  replica: 2
  model:
    uri: file:///models/digits/v9
    version: 1.10
  template: {spec: {containers: [{name: server, image: "python:3.12-slim", ports: [{containerPort: 8080}]}]}}
"""

PATH = "teams/demo/digits.yaml"


def first(models: Path, mlflow: str) -> Mapping[str, str]:
    """The first push to an empty repository."""
    return {"platform.yaml": PLATFORM % {"mlflow": mlflow}, "pools.yaml": POOLS, **served(models, "v1")}


def served(models: Path, version: str) -> Mapping[str, str]:
    """The service `digits` with one version of its model."""
    return {PATH: SERVICE % {"name": "digits", "model": f"uri: file://{models}/{version}"}}


def follower() -> Mapping[str, str]:
    """A second service, which follows an alias in the registry."""
    model = "{registry: mlflow, name: digits, alias: champion}"
    text = SERVICE.replace("  model:\n    %(model)s\n", "  model: %(model)s\n")
    return {"teams/demo/champion.yaml": text % {"name": "champion", "model": model}}
