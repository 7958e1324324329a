"""The pages of costs, security and limits say what the code reckons, grants and refuses."""

import re
from pathlib import Path

import pytest
import yaml

from pointsman.adapters import git, ledger_firestore
from pointsman.core import plan
from pointsman.core.rollout.world import TICK_S_MAX
from pointsman.documents import compose
from pointsman.handlers import alert, rollout_tick, standing, webhook
from pointsman_cli.bootstrap import costs
from pointsman_cli.bootstrap.estate import account_id, estate
from pointsman_cli.bootstrap.prices import ALWAYS_ON, READ_ON
from pointsman_cli.bootstrap.rights import rights

ROOT = Path(__file__).resolve().parents[2]
COSTS, SECURITY, LIMITS = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("costs", "security", "limits"))
TOPOLOGY = estate(ROOT)
EACH, NOTHING = costs.total(costs.rollout()), costs.total(costs.idle(TOPOLOGY))


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their heads."""
    found: list[list[str]] = []
    for line in page.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines():
        if line.startswith("|---"):
            found.pop()  # the line before was the head
        elif line.startswith("|"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def accounts(row: list[str]) -> list[str]:
    return re.findall(r"`([\w-]+)`", row[0])


IDENTITIES = rows(SECURITY, "Identities, and what a stolen one could do")


# --- costs -------------------------------------------------------------------------------------------------------


def test_the_prices_are_of_the_day_that_the_page_says() -> None:
    assert f"as they were read on {READ_ON}" in COSTS


def test_one_rollout_costs_what_the_page_says() -> None:
    *parts, together = rows(COSTS, "One rollout")
    assert float(together[2].strip("*")) == round(EACH, 3)
    assert sum(float(row[2]) for row in parts) == pytest.approx(EACH, abs=0.002)
    by = {line.price: line.units for line in costs.rollout()}
    assert parts[0][1] == f"{by['steps']:,.0f} steps"
    assert parts[1][1] == f"{by['series']:,.0f} series"
    assert parts[2][1] == f"{by['requests']:.0f} calls"
    assert parts[3][1] == f"{by['reads'] + by['writes']:,.0f} documents"
    assert f"A tick of 12 steps would make the rollout {costs.total(costs.rollout(12)):.3f}" in COSTS
    assert f"one of 20 would make it {costs.total(costs.rollout(20)):.3f}" in COSTS


def test_a_quiet_month_costs_what_the_page_says() -> None:
    *parts, together = rows(COSTS, "A month without a rollout")
    assert [float(cell.strip("*")) for cell in together[1:]] == [
        round(NOTHING, 2),
        round(costs.total(costs.idle(TOPOLOGY), free=True), 2),
    ]
    assert sum(float(row[1]) for row in parts) == pytest.approx(NOTHING, abs=0.01)
    assert f"pointsman makes {len(TOPOLOGY.alerts)}, each of one" in COSTS


def test_the_always_on_controllers_and_the_break_even_are_those_of_plan() -> None:
    table = [row for row in rows(COSTS, "Beside a controller that is always on") if "rollouts a month" in row[-1]]
    assert table == [
        [what, f"{usd:.2f}", f"{costs.break_even(TOPOLOGY)[what]} rollouts a month"] for what, usd in ALWAYS_ON.items()
    ]


def test_each_row_of_the_comparison_is_reckoned() -> None:
    table = [row for row in rows(COSTS, "Beside a controller that is always on") if row[0].isdigit()]
    assert len(table) == 5
    for rollouts, ours, theirs in table:
        assert float(ours) == round(NOTHING + int(rollouts) * EACH, 2)
        assert float(theirs) == round(next(iter(ALWAYS_ON.values())), 2)


# --- security ----------------------------------------------------------------------------------------------------


def test_every_account_says_what_a_stolen_one_could_do_and_no_other_is_named() -> None:
    told = [
        name
        for row in rows(SECURITY, "Identities, and what a stolen one could do")
        for name in re.findall(r"`([\w-]+)`", row[0])
    ]
    assert sorted(told) == sorted(account_id(name) for name in TOPOLOGY.everybody)


def test_who_holds_the_ledger_and_who_does_not_is_as_the_page_says() -> None:
    for row in IDENTITIES:
        for account in accounts(row):
            may = next((may for name, may in TOPOLOGY.holders if account_id(name) == account), ())
            assert ("ledger" in row[1]) == ("ledger" in may), account


def test_only_the_receiver_is_public() -> None:
    assert "`receive_webhook` alone is public" in SECURITY
    assert [function.name for function in TOPOLOGY.functions if function.public] == ["receive_webhook"]


def test_clusters_are_changed_by_nobody_unless_it_is_asked_for() -> None:
    assert '`pools = "observe"` by default grants no `container.clusters.update`' in SECURITY
    known = rights(ROOT)
    granted = {name for _, may in TOPOLOGY.holders for name in known.permissions(may)}
    assert "container.clusters.update" not in granted


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("body of a webhook", f"{webhook.BODY_BYTES_MAX // 2**20} MiB"),
        ("fields of an event", f"{webhook.DATA_BYTES_MAX // 1024} KiB"),
        ("files of the config repository", f"{git.FILES_MAX:,} of {git.FILE_BYTES_MAX // 1024} KiB"),
        ("documents of a repository", f"{compose.DOCUMENTS_MAX:,}"),
        ("a record of the ledger", f"{ledger_firestore.RECORD_BYTES_MAX // 1024} KiB"),
        ("services, rollouts or pools that one look reads", f"{standing.EVERYTHING:,}"),
        ("ticks between two looks at a rollout", f"{TICK_S_MAX:.0f} s at most"),
        (
            "one execution of a rollout",
            f"{rollout_tick.TICKS_MAX:,} ticks or {rollout_tick.EXECUTION_MAX.total_seconds() / 3600:.0f} h",
        ),
        ("waiting in the queue", f"{plan.QUEUED_AT_MOST.total_seconds() / 3600:.0f} h"),
        ("an alert's age", f"{alert.FRESH.total_seconds() / 60:.0f} min"),
    ],
)
def test_a_limit_is_that_of_the_code(row: str, limit: str) -> None:
    assert [cells[1] for cells in rows(LIMITS, "Of pointsman") if cells[0] == row] == [limit]


def test_what_is_said_of_deliveries_and_instances_is_in_the_topology() -> None:
    topology = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
    push = topology["push"]
    low, high = push["backoff_s"]
    assert f"{push['attempts_max']} deliveries, {low} s to {high} s apart" in LIMITS
    assert f"kept {push['retention_s'] // 86400} days" in LIMITS
    assert f"{topology['functions']['receive_webhook']['instances_max']} of the receiver" in LIMITS
    triggers = sum(len(function.methods) for function in TOPOLOGY.functions)
    assert triggers == 7
    assert "seven triggers" in LIMITS
