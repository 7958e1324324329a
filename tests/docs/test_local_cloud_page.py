"""The page of the local cloud names every server, every fault that can be asked for, and every kind."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pointsman_local.gke.stock import Stock, Times
from pointsman_local.kubernetes.kinds import KINDS
from pointsman_local.pubsub.faults import Faults
from pointsman_local.site import ENDPOINTS

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "local" / "pointsman_local"
PAGE = (ROOT / "docs" / "local-cloud.md").read_text()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_named(endpoint: str) -> None:
    assert f"`{endpoint}`" in PAGE


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_the_kubernetes_api_is_named_beside_its_group(kind: object) -> None:
    group, name = getattr(kind, "group", ""), getattr(kind, "name", "")
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{group}` |" if group else "| core |")]
    assert re.search(rf"\b{name}\b", row)


@pytest.mark.parametrize("fault", [field.name for field in fields(Faults)])
def test_every_fault_of_pubsub_has_a_row(fault: str) -> None:
    assert f"| `{fault}` |" in PAGE


@pytest.mark.parametrize("key", [field.name for field in fields(Stock)])
def test_every_key_of_the_stock_is_shown(key: str) -> None:
    assert f'"{key}":' in PAGE


@pytest.mark.parametrize("time", [field.name for field in fields(Times)])
def test_every_time_that_can_be_set_is_named(time: str) -> None:
    assert time in PAGE


def test_every_control_call_that_is_shown_is_served() -> None:
    shown = {path.rstrip("/") for path in re.findall(r"local/v1/(?:subscriptions|webhooks|stock|series)\b", PAGE)}
    served = {path for file in LOCAL.rglob("*.py") for path in re.findall(r"/(local/v1/[a-z]+)", file.read_text())}
    assert shown == served
