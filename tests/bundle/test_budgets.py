"""What an entry point may cost when it starts.

Memory is held here; time is a ratio, which `python -m benchmarks imports` prints beside its budget.
"""

from pathlib import Path

import pytest
import yaml
from benchmarks.imports import CLIENTS, MEMORY_MIB_MAX, RATIO_MAX, clients, started

FUNCTIONS = yaml.safe_load((Path(__file__).resolve().parents[2] / "bootstrap" / "topology.yaml").read_text())[
    "functions"
]
EXPECTED = {
    "receive_webhook": ["pubsub"],
    "on_repo_push": ["firestore", "pubsub", "workflows", "secretmanager", "git"],
    "on_model_registered": ["firestore", "pubsub", "workflows", "secretmanager"],
    "on_alert": ["firestore", "pubsub", "workflows"],
    "rollout_step": ["firestore", "pubsub", "workflows", "kubernetes", "monitoring"],
    "pool_step": ["firestore", "pubsub", "workflows", "container"],
    "command": ["firestore", "workflows"],
    "sweep": ["firestore", "pubsub", "workflows", "secretmanager", "git"],
    "notify": ["secretmanager"],
}
"""What each connects in its life, and is measured with."""


def test_the_budgets_are_those_that_are_promised() -> None:
    assert (RATIO_MAX, MEMORY_MIB_MAX) == (1.5, 256.0)


def test_each_entry_point_is_measured_with_the_clients_that_its_rights_are_for() -> None:
    assert {name: clients(function) for name, function in FUNCTIONS.items()} == EXPECTED
    assert set(CLIENTS) == {name for needed in EXPECTED.values() for name in needed}


@pytest.mark.parametrize("name", ["rollout_step", "on_repo_push"])
def test_those_that_connect_most_stay_within_the_memory_of_the_smallest_instance(name: str, tmp_path: Path) -> None:
    _, mib = started(name, EXPECTED[name], str(tmp_path))
    assert mib < MEMORY_MIB_MAX
