"""What the local cloud reads of `bootstrap/topology.yaml`, the single source of what is deployed."""

import ast
from pathlib import Path

import pytest
import yaml

from pointsman_local.topology import Push, deployed, load

ROOT = Path(__file__).parents[2]
TOPOLOGY = load(deployed())


def test_it_is_the_checkouts_own() -> None:
    assert deployed() == ROOT


def test_topics_push_and_functions_are_read() -> None:
    assert TOPOLOGY.topics == ("repo-pushed", "model-registered", "alert-fired", "notices")
    assert TOPOLOGY.push == Push(
        account="pubsub-push", ack_deadline_s=60, backoff_s=(10, 600), attempts_max=20, retention_s=604_800
    )
    assert TOPOLOGY.scheduler == "scheduler"
    assert TOPOLOGY.functions["sweep"].carriers == ("scheduler",)
    assert TOPOLOGY.functions["on_alert"].carriers == ("pubsub-push",)
    assert TOPOLOGY.functions["command"].carriers == ()
    push = TOPOLOGY.functions["on_repo_push"]
    assert (push.topic, push.public, push.schedule, push.timeout_s) == ("repo-pushed", False, None, 60)
    assert TOPOLOGY.functions["receive_webhook"].concurrency == 40
    assert push.concurrency == 1


def test_only_the_receiver_of_webhooks_is_public() -> None:
    assert [name for name, function in TOPOLOGY.functions.items() if function.public] == ["receive_webhook"]


def test_every_function_has_exactly_one_way_in() -> None:
    for function in TOPOLOGY.functions.values():
        ways = [function.public, function.topic is not None, bool(function.invokers), function.schedule is not None]
        assert sum(ways) == 1, function.name


def test_functions_hang_on_topics_and_urls_on_functions_that_there_are() -> None:
    assert {function.topic for function in TOPOLOGY.functions.values() if function.topic} <= set(TOPOLOGY.topics)
    for variables in TOPOLOGY.workflows.values():
        assert set(variables.values()) <= set(TOPOLOGY.functions)


def test_who_invokes_is_a_function_a_workflow_or_an_operator() -> None:
    known = {*TOPOLOGY.functions, *TOPOLOGY.workflows, "operators"}
    for function in TOPOLOGY.functions.values():
        assert set(function.invokers) <= known, function.name


def test_every_function_is_an_entry_point_of_main() -> None:
    tree = ast.parse((ROOT / "functions" / "main.py").read_text())
    assert {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} >= set(TOPOLOGY.functions)


def test_every_workflow_is_a_file() -> None:
    assert {path.stem for path in (ROOT / "workflows").glob("*.yaml")} == set(TOPOLOGY.workflows)


@pytest.mark.parametrize("missing", ["topics", "push", "carriers", "functions", "workflows"])
def test_a_part_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    whole = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
    (tmp_path / "bootstrap").mkdir()
    part = {name: value for name, value in whole.items() if name != missing}
    (tmp_path / "bootstrap" / "topology.yaml").write_text(yaml.safe_dump(part))
    with pytest.raises(KeyError, match=missing):
        load(tmp_path)
