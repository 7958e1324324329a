"""`pointsman plan` names what documents ask for and this release does not carry out."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pointsman_cli.main import cli

DOCUMENTS = """\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: acme}
spec:
  clusters: [{name: serving, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: models.example.com}
  namespaces: [{name: nlp, paths: [teams/nlp]}]
---
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata: {name: own}
spec:
  steps: [{weight: 10}]
  capacity: {strategy: Step}
  judge: {metrics: [{name: refusals, type: Ratio, bad: chat_refusals_total, total: chat_answers_total}]}
"""
SERVICE = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata: {name: chat, namespace: nlp}
spec:
  model: {uri: "gs://models/chat/1"}
  policy: own
  template: {spec: {containers: [{name: server, image: "server:1", ports: [{containerPort: 8000}]}]}}
---
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: stale, namespace: nlp}
spec: {alert: {name: drift}, actions: [{startPipeline: {workflow: {name: retrain}}}]}
---
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: slow, namespace: nlp}
spec: {alert: {name: slow}, actions: [{pause: {service: chat}}]}
"""
STEP = "capacity.strategy Step is not carried out yet: the rollout would be refused"
PIPELINE = "startPipeline is not carried out yet: the alert's event will say so, and no pipeline runs"


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`pointsman plan` of the documents above, against an empty ledger."""
    folder = tmp_path / "config"
    (folder / "teams/nlp").mkdir(parents=True)
    (folder / "platform.yaml").write_text(DOCUMENTS)
    (folder / "teams/nlp/chat.yaml").write_text(SERVICE)
    for name, value in {
        "GOOGLE_CLOUD_PROJECT": "lab",
        "POINTSMAN_LOCATION": "us-central1",
        "POINTSMAN_CLUSTER": "serving",
        "POINTSMAN_LEDGER": f"sqlite:///{tmp_path}/ledger.db",
    }.items():
        monkeypatch.setenv(name, value)

    def run(*options: str) -> str:
        result = CliRunner().invoke(cli, ["plan", str(folder), *options], standalone_mode=False)
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.stdout

    return run


def test_what_is_not_carried_out_yet_is_said_of_the_document_that_asks_for_it(planned: Any) -> None:
    documents = {item["name"]: item for item in json.loads(planned("-o", "json"))["documents"]}
    assert {STEP} <= set(documents["chat"]["warnings"])
    assert documents["stale"]["warnings"] == [PIPELINE]
    assert documents["slow"]["warnings"] == []
    assert documents["acme"]["warnings"] == []


def test_people_read_it_under_the_change_and_under_the_rule(planned: Any) -> None:
    lines = planned().splitlines()
    assert f"  warning    {STEP}" in lines
    assert lines[-2:] == ["AlertRule nlp/stale", f"  warning    {PIPELINE}"]
