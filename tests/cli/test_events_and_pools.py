"""`events` and `pools`: what came in and what became of it; which machines are wanted, had and out of stock."""

import json
from typing import Any

import pytest
import yaml
from tests.cli.ledger_samples import ago, event

from pointsman.core.records import DocumentRecord, Hold, PoolRecord, StockOutNote

# --- events -------------------------------------------------------------------------------------------------------


@pytest.fixture
def inbox(ledger: Any) -> Any:
    ledger.put(
        event("a", deliveries=3, received_at=ago(40)),
        event(
            "b",
            type="dev.pointsman.model.registered.v1",
            source="//mlflow/models.example.com",
            subject="digits@champion",
            result="ignored",
            reason="nobody follows digits@champion",
            received_at=ago(20),
        ),
        event("c", state="leased", result="", reason="", received_at=ago(10)),
    )
    return ledger


def test_events_are_listed_oldest_first(pointsman: Any, inbox: Any) -> None:
    assert pointsman("events", "list").lines == [
        "AGE   TYPE               SOURCE                        KEY        RESULT    SEEN   REASON",
        "40h   repo.pushed        //github.com/acme/config      aaaaaaaa   applied   3x     "
        "c0ffee000000: demo/digits roll out",
        "20h   model.registered   //mlflow/models.example.com   bbbbbbbb   ignored   1x     "
        "nobody follows digits@champion",
        "10h   repo.pushed        //github.com/acme/config      cccccccc   leased    1x     -",
    ]


def test_events_can_be_limited_and_chosen_by_type(pointsman: Any, inbox: Any) -> None:
    assert [line.split()[3] for line in pointsman("events", "list", "--limit", "2").lines[1:]] == ["b" * 8, "c" * 8]
    assert [line.split()[3] for line in pointsman("events", "list", "--type", "model").lines[1:]] == ["b" * 8]


@pytest.mark.parametrize("wanted", ["bbbbbbbb", "bb", "delivery-b"])
def test_an_event_is_found_by_its_key_the_start_of_it_or_its_id(pointsman: Any, inbox: Any, wanted: str) -> None:
    found = json.loads(pointsman("events", "get", wanted, "-o", "json").out)
    assert (found["kind"], found["metadata"]["name"], found["status"]["id"]) == ("Event", "b" * 8, "delivery-b")
    assert len(pointsman("events", "get", wanted).lines) == 2


# --- pools --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pools(ledger: Any) -> Any:
    ledger.put(
        PoolRecord(
            "l4",
            wanted=2,
            seen=1,
            candidate="l4-2b142f67",
            holds={"aaaa1111": Hold(2, "demo/digits", ago(9))},
            stockouts={
                "l4-11111111": StockOutNote(ago(-50), "no machines"),
                "l4-22222222": StockOutNote(ago(50), "no machines then"),
            },
            operation="projects/lab/operations/op-1",
            reason="waiting for 1 node",
        ),
        DocumentRecord("AcceleratorPool", "", "cpu", {}, "c0ffee", "pools.yaml", "d"),
        DocumentRecord("AcceleratorPool", "", "l4", {}, "c0ffee", "pools.yaml", "d"),
    )
    return ledger


def test_pools_are_those_of_the_documents_at_work_or_not(pointsman: Any, pools: Any) -> None:
    assert pointsman("pools", "list").lines == [
        "POOL   WANTED   SEEN   CANDIDATE     HOLDS   OUT OF STOCK   REASON",
        "cpu    0        0      -             0       -              -",
        "l4     2        1      l4-2b142f67   1       l4-11111111    waiting for 1 node",
    ]


def test_a_pool_is_printed_with_its_holds_and_stockouts(pointsman: Any, pools: Any) -> None:
    found = yaml.safe_load(pointsman("pools", "get", "l4", "-o", "yaml").out)
    assert (found["kind"], found["metadata"]) == ("AcceleratorPool", {"name": "l4"})
    assert found["status"]["holds"]["aaaa1111"]["nodes"] == 2
    assert set(found["status"]["stockouts"]) == {"l4-11111111", "l4-22222222"}
    assert pointsman("pools", "get", "l4", "-o", "wide").lines[1].split()[-2:] == [
        "projects/lab/operations/op-1",
        "-",
    ]
