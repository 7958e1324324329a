"""`validate` of a repository of 500 documents, beside reading the same YAML by PyYAML alone."""

import statistics
import time
from collections.abc import Iterator

import yaml

from benchmarks.row import Row
from pointsman.documents import load

__all__ = ["rows"]

COUNT = 500
RUNS = 5

PLATFORM = b"""\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: bench}
spec:
  clusters: [{name: serving, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: models.example.com}
  namespaces: [{name: team, paths: [team]}]
"""

SERVICE = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata:
  name: model-{number}
  labels: {{tier: "{number}"}}
spec:
  model:
    uri: gs://models/model-{number}/v1
  replicas: 2
  route: {{requestTimeout: 30s}}
  template:
    spec:
      containers:
        - name: server
          image: example.com/server:1.{number}
          command: [serve, "--port", "8080"]
          env:
            - {{name: A, value: "one"}}
            - {{name: B, value: "two"}}
          ports: [{{name: http, containerPort: 8080}}]
          resources: {{requests: {{cpu: "2", memory: 4Gi}}, limits: {{memory: 4Gi}}}}
          volumeMounts: [{{name: shm, mountPath: /dev/shm}}]
      volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: 1Gi}}}}]
"""


def rows() -> Iterator[Row]:
    files = {"platform.yaml": PLATFORM}
    files |= {f"team/model-{number}.yaml": SERVICE.format(number=number).encode() for number in range(COUNT)}
    ours, plain = [], []
    for _ in range(RUNS):
        begun = time.perf_counter()
        loaded = load(files)
        ours.append(time.perf_counter() - begun)
        assert loaded.config is not None, loaded.faults
        begun = time.perf_counter()
        for data in files.values():
            yaml.safe_load(data)
        plain.append(time.perf_counter() - begun)
    figure, yardstick = statistics.median(ours), statistics.median(plain)
    yield Row(
        f"validate {COUNT} documents, {sum(map(len, files.values())) // 1024} KiB",
        f"{figure * 1000:,.0f} ms",
        f"yaml.safe_load alone {yardstick * 1000:,.0f} ms",
        f"{figure / yardstick:.2f} x its time",
    )
