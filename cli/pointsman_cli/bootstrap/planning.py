"""`pointsman bootstrap plan`: what will exist, what each account may do, what it costs. Nothing is asked or done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from pointsman_cli.bootstrap import costs
from pointsman_cli.bootstrap.estate import APIS, BUILD_ACCOUNT, Estate, account_id, estate, sources
from pointsman_cli.bootstrap.prices import ALWAYS_ON, PRICES, READ_ON
from pointsman_cli.bootstrap.rights import POOLS, Rights, rights
from pointsman_cli.output import Column, emit, output_option, say, table

__all__ = ["command", "existing"]


@click.command()
@click.option(
    "--pools",
    type=click.Choice(list(POOLS)),
    envvar="POINTSMAN_POOLS",
    default="observe",
    show_default=True,
    help="What may be done to node pools: rights are granted accordingly.",
)
@output_option("table", "json")
def command(pools: str, output: str) -> None:
    """Say what `bootstrap apply` makes, what each account may do, and what it costs at list price.

    It is read from `bootstrap/topology.yaml`: no project is asked. What Terraform would change is shown by
    `terraform plan`, and by `bootstrap apply` before it goes on.
    """
    folder = sources()
    content = _content(estate(folder), rights(folder), pools)
    if output == "json":
        emit(content, output)
    else:
        _tell(content)


def existing(topology: Estate) -> Iterator[tuple[str, str]]:
    """Kind and name of what is made, but for bindings and roles, indexes, metrics of logs and dashboards."""
    for function in topology.functions:
        yield "function", function.id
    for workflow in topology.workflows:
        yield "workflow", workflow.name
    for topic in topology.topics:
        yield "topic", topic
        yield "topic", f"{topic}-dead"
        yield "subscription", f"{topic}-dead"
    for function in topology.functions:
        if function.topic:
            yield "subscription", f"{function.topic}-{function.name.replace('_', '-')}"
        if function.schedule:
            yield "scheduler job", function.id
        for method in function.methods:
            yield (
                "Eventarc trigger",
                account_id(method.removeprefix("google.cloud.aiplatform.").lower().replace(".", "-")),
            )
    for name in topology.everybody:
        yield "service account", account_id(name)
    yield "Firestore database", topology.database
    yield "backup schedule", "daily"
    yield "backup schedule", "weekly"
    yield "notification channel", "pointsman"
    for alert in topology.alerts:
        yield "alert policy", f"pointsman: {alert}"
    yield "bucket", "PROJECT-pointsman-LOCATION"
    yield "image repository", "pointsman"


def _content(topology: Estate, known: Rights, pools: str) -> dict[str, Any]:
    secrets = {function.name: function.secrets for function in topology.functions}
    accounts = {
        account_id(name): [
            {"grant": grant.what, "on": list(grant.where), "for": list(grant.why)}
            for grant in known.grants(may, secrets.get(name, ()), topology.topics, pools)
        ]
        for name, may in topology.holders
    }
    for carrier in topology.carriers.values():
        called = [f"function {one.name}" for one in topology.functions if carrier in topology.carriers_of(one)]
        accounts[account_id(carrier)] = [{"grant": "roles/run.invoker", "on": called, "for": ["it calls for Google"]}]
    accounts[account_id(BUILD_ACCOUNT)] = [{"grant": "roles/run.builder", "on": ["project"], "for": ["it builds"]}]
    return {
        "exists": [{"kind": kind, "name": name} for kind, name in existing(topology)],
        "apis": list(APIS),
        "secrets": list(topology.secrets),
        "accounts": accounts,
        "pools": pools,
        "costs": {
            "currency": "USD",
            "read_on": READ_ON,
            "rollout": _bill(costs.rollout(), ticks=costs.TICKS),
            "idle_month": _bill(costs.idle(topology)),
            "always_on_month": {what: round(usd, 2) for what, usd in ALWAYS_ON.items()},
            "not_reckoned": {"alert conditions": len(topology.alerts)},
            "break_even_rollouts_a_month": dict(costs.break_even(topology)),
        },
    }


def _bill(lines: Sequence[costs.Line], **more: int) -> dict[str, Any]:
    return {
        **more,
        "list": round(costs.total(lines), 4),
        "after_free_tiers": round(costs.total(lines, free=True), 4),
        "lines": [
            {
                "of": PRICES[line.price].unit,
                "units": round(line.units, 4),
                "usd": round(line.usd(), 5),
                "free_units_a_month": PRICES[line.price].free,
                "source": PRICES[line.price].source,
            }
            for line in lines
        ],
    }


def _tell(content: Mapping[str, Any]) -> None:
    say("WHAT WILL EXIST")
    kinds: dict[str, list[str]] = {}
    for item in content["exists"]:
        kinds.setdefault(item["kind"], []).append(item["name"])
    count = [(kind, str(len(names)), ", ".join(names)) for kind, names in kinds.items()]
    table(count, [Column("KIND", _at(0)), Column("COUNT", _at(1)), Column("NAMES", _at(2))])
    say("beside these: roles and bindings, indexes and a TTL policy of the database, dashboards, metrics of logs")
    say(f"yours, to be made before: secrets for {', '.join(content['secrets'])}; a cluster")
    say(f"APIs that must be on: {', '.join(api.partition('.')[0] for api in content['apis'])}")
    say("")
    say(f"WHAT EACH ACCOUNT MAY DO (node pools: {content['pools']})")
    rows = [
        (account if number == 0 else "", ", ".join(grant["on"]), grant["grant"])
        for account, found in content["accounts"].items()
        for number, grant in enumerate(found)
    ]
    table(rows, [Column("ACCOUNT", _at(0)), Column("ON", _at(1)), Column("GRANT", _at(2))])
    say("pointsman-rollout-step in a cluster: pointsman bootstrap rbac")
    say("")
    _tell_costs(content["costs"])


def _tell_costs(bill: Mapping[str, Any]) -> None:
    say(f"WHAT IT COSTS (USD, list prices read on {bill['read_on']}; clusters and models not included)")
    columns = [
        Column("OF", lambda line: line["of"]),
        Column("UNITS", lambda line: f"{line['units']:,.10g}"),
        Column("USD", lambda line: f"{line['usd']:.4f}"),
        Column("FREE A MONTH", lambda line: f"{line['free_units_a_month']:,}"),
        Column("SOURCE", lambda line: line["source"]),
    ]
    one, nothing = bill["rollout"], bill["idle_month"]
    say(f"one rollout of {one['ticks']} ticks: {one['list']:.3f}")
    table(one["lines"], columns)
    say(f"a month without a rollout: {nothing['list']:.2f}; after free tiers {nothing['after_free_tiers']:.2f}")
    table(nothing["lines"], columns)
    for what, usd in bill["always_on_month"].items():
        rollouts = bill["break_even_rollouts_a_month"][what]
        say(f"always on instead: {what}: {usd:.2f} a month, cheaper from {rollouts} rollouts a month")
    conditions = bill["not_reckoned"]["alert conditions"]
    say(f"not reckoned: what Cloud Monitoring charges for {conditions} alert conditions (`alerting = false`: for none)")


def _at(place: int) -> Any:
    return lambda row: row[place]
