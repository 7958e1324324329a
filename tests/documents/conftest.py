"""One small repository that holds, and a way to break it: what the tests of documents begin with."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pointsman.documents import Loaded, load

PLATFORM = """\
apiVersion: pointsman.dev/v1
kind: Platform
metadata:
  name: acme
spec:
  branch: main
  clusters:
    - name: eu
      location: europe-west4
    - name: us
      location: us-central1
  gateway:
    name: models
    namespace: gateway
    domain: models.example.com
  namespaces:
    - name: nlp
      paths: [teams/nlp]
      channels: [oncall]
      policy: standard
      serviceAccounts: [default, serving]
    - name: vision
      paths: [teams/vision, teams/video]
      allowedPolicies: [careful, standard]
    - name: far
      paths: [teams/far]
      cluster: us
  registries:
    - name: mlflow
      type: MLflow
      url: https://mlflow.example.com
  channels:
    - name: oncall
      type: Slack
      secret: slack-oncall
  freezeWindows:
    - name: weekends
      schedule: 0 16 * * FRI
      duration: 64h
      timeZone: Europe/Berlin
      namespaces: [nlp]
  spendingCap:
    perHour: 120
  defaults:
    requestTimeout: 5m
"""

POOLS = """\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata:
  name: l4
spec:
  cluster: eu
  nodes:
    max: 12
    min: 2
  candidates:
    - machineType: g2-standard-8
      accelerator: nvidia-l4
      provisioning: Reservation
      reservation: l4-serving
      zones: [europe-west4-a]
    - machineType: g2-standard-8
    - machineType: g2-standard-24
      provisioning: FlexStart
      maxRunDuration: 72h
---
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata:
  name: v6e
spec:
  nodes:
    max: 4
  candidates:
    - machineType: ct6e-standard-4t
      accelerator: tpu-v6e-slice
      topology: 2x2
---
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata:
  name: cpu-us
spec:
  cluster: us
  nodes:
    max: 6
  candidates:
    - machineType: e2-standard-4
"""

POLICIES = """\
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata:
  name: standard
spec:
  steps:
    - weight: 5
      hold: 10m
    - weight: 25
      hold: 10m
    - weight: 50
      hold: 10m
  bake:
    duration: 30m
    baselineWeight: 2
  judge:
    metrics:
      - name: refusals
        type: Ratio
        bad: chat_refusals_total{code=~"4.."}
        total: chat_answers_total
---
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata:
  name: careful
spec:
  steps:
    - mirrorPercent: 20
      hold: 2h
    - cohort:
        headers:
          - name: x-user-group
            value: staff
      weight: 50
      hold: 1h
      approval:
        count: 2
        expiresAfter: 12h
    - weight: 5
      hold: 1h
  deadlines:
    rollout: 48h
"""

CHAT = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata:
  name: chat
  namespace: nlp
spec:
  model:
    name: chat
    alias: champion
  pool: l4
  policy: standard
  replicas: 4
  route:
    hostnames: [chat.example.com]
    path: /
  template:
    metadata:
      labels:
        app: chat
    spec:
      serviceAccountName: serving
      containers:
        - name: server
          image: vllm/vllm-openai:v0.11.0
          ports:
            - containerPort: 8000
          resources:
            limits:
              nvidia.com/gpu: 1
      volumes:
        - name: shm
          emptyDir: {}
  experiment:
    model:
      name: chat
      alias: challenger
    start: 2026-12-01T09:00:00Z
    end: 2026-12-15T09:00:00Z
"""

DIGITS = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata:
  name: digits
spec:
  model:
    uri: gs://models/digits/v1
  template:
    spec:
      containers:
        - name: server
          image: digits:1.0
          ports:
            - containerPort: 8080
"""

ALERTS = """\
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata:
  name: saturated
spec:
  alert:
    name: queue over 20
  actions:
    - scalePool:
        pool: l4
        addNodes: 2
    - notify:
        channels: [oncall]
    - rollBack:
        service: chat
  cooldown: 30m
"""

REPOSITORY = {
    "platform.yaml": PLATFORM,
    "pools.yaml": POOLS,
    "policies.yaml": POLICIES,
    "teams/nlp/chat.yaml": CHAT,
    "teams/nlp/alerts.yaml": ALERTS,
    "teams/vision/digits.yaml": DIGITS,
}

Break = Callable[..., list[str]]


@pytest.fixture
def repository() -> dict[str, bytes]:
    """The repository's files, without fault."""
    return {name: text.encode() for name, text in REPOSITORY.items()}


def told(loaded: Loaded) -> list[str]:
    """Faults as `code file:line:column path`."""
    return [f"{fault.code} {fault.file}:{fault.line}:{fault.column} {fault.path}" for fault in loaded.faults]


@pytest.fixture
def breaking(repository: dict[str, bytes]) -> Break:
    """Load the repository with texts replaced in it, and files added or (None) removed; gives the faults."""

    def load_broken(
        edits: Mapping[str, tuple[str, str]], files: Mapping[str, str | None] | None = None, **options: Any
    ) -> list[str]:
        changed = dict(repository)
        for name, text in (files or {}).items():
            if text is None:
                del changed[name]
            else:
                changed[name] = text.encode()
        for key, (old, new) in edits.items():
            name = key.partition("#")[0]
            before = changed[name].decode()
            assert before.count(old) >= 1, f"{old!r} is not in {name}"
            changed[name] = before.replace(old, new, 1).encode()
        return told(load(changed, **options))

    return load_broken
