"""`docs/reference/topology.md`: functions, topics, workflows and accounts, from `bootstrap/topology.yaml`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["page", "topology"]

ROOT = Path(__file__).resolve().parents[2]

RIGHTS: Mapping[str, str] = {
    "ledger": "read and write the ledger",
    "executions": "see whether an execution has ended",
    "registry": "read the model registries",
    "signal": "ring callbacks of executions",
    "dead-letters": "take messages from the dead letters",
    "kubernetes": "objects in the platform's namespaces",
    "metrics": "read Cloud Monitoring",
    "node_pools": "node pools of the platform's clusters",
    "channels": "post to channels",
    "publish": "publish to the topic",
    "start": "start executions of the workflow",
    "invoke": "call the function",
    "log": "write to the log",
}
"""A right, or what stands before the colon of one → what it lets its holder do."""

SECRETS: Mapping[str, str] = {
    "webhooks": "the secrets of webhooks",
    "repository": "the repository's token",
    "registries": "the tokens of model registries",
    "channels": "the channels' URLs",
}

_HEAD = """\
# Topology

Made by `python -m pointsman_cli.generate` from `bootstrap/topology.yaml`: do not edit.

What is deployed: functions with their one way in, topics with their dead letters, workflows, schedules, and for each
function and workflow a service account of its own with the rights of its row and no others. The local cloud starts
exactly this; tests hold `functions/main.py` and `workflows/` against it.

## Functions

The name is the entry point in `functions/main.py`. It takes one request at once where nothing else is said.

"""


def topology() -> str:
    """The page of the topology in the tree. Raises KeyError for a right or a secret that nothing is said of."""
    return page(yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text()))


def page(data: Mapping[str, Any]) -> str:
    """The page of a topology: every name in it, and every number."""
    parts = [
        _HEAD + _functions(data["functions"]),
        _audits(data["functions"]),
        _topics(data),
        _workflows(data),
        _carriers(data),
        _ledger(data["ledger"]),
    ]
    rights = {right.partition(":")[0] for item in _holders(data) for right in item["may"]}
    secrets = {secret for item in _holders(data) for secret in item.get("secrets", ())}
    lines = [f"| `{right}` | {RIGHTS[right]} |" for right in sorted(rights)]
    lines += [f"| secret `{secret}` | read {SECRETS[secret]} |" for secret in sorted(secrets)]
    return "\n".join([*parts, "## Rights\n", "| right | lets its holder |", "|---|---|", *lines, ""])


def _holders(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [*data["functions"].values(), *data["workflows"].values()]


def _functions(functions: Mapping[str, Any]) -> str:
    rows = ["| function | way in | memory | timeout | account | may |", "|---|---|---|---|---|---|"]
    for name, item in functions.items():
        memory = f"{item['memory_mib']} MiB"
        at_once = f", {item['concurrency']} at once" if "concurrency" in item else ""
        memory += f", {item['cpu']} vCPU" if "cpu" in item else ""
        at_once += f", {item['instances_max']} instances at most" if "instances_max" in item else ""
        cells = (_way_in(item), memory, f"{item['timeout_s']} s{at_once}", _account(name), _may(item))
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _way_in(item: Mapping[str, Any]) -> str:
    ways = []
    if item.get("public"):
        ways.append("HTTP, public")
    if "topic" in item:
        ways.append(f"topic `{item['topic']}`")
    if "audit" in item:
        ways.append("Eventarc")
    if "invokers" in item:
        ways.append(f"HTTP from {', '.join(f'`{name}`' for name in item['invokers'])}")
    if "schedule" in item:
        ways.append(f"schedule `{item['schedule']}`")
    return "; ".join(ways)


def _may(item: Mapping[str, Any]) -> str:
    rights = ", ".join(f"`{right}`" for right in item["may"])
    secrets = ", ".join(f"`{secret}`" for secret in item.get("secrets", ()))
    told = ", ".join(f"`{variable}`" for variable in item["env"]) if isinstance(item.get("env"), list) else ""
    return "; ".join([rights, *([f"secrets {secrets}"] if secrets else []), *([f"told {told} alone"] if told else [])])


def _account(name: str) -> str:
    return f"`pointsman-{name.replace('_', '-')}`"


def _audits(functions: Mapping[str, Any]) -> str:
    parts = []
    for name, item in functions.items():
        if "audit" in item:
            methods = "\n".join(f"- `{method}`" for method in item["audit"]["methods"])
            parts.append(f"Audit log entries of `{item['audit']['service']}` that reach `{name}`:\n\n{methods}\n")
    return "\n".join(parts)


def _topics(data: Mapping[str, Any]) -> str:
    push, rows = data["push"], []
    for topic, item in data["topics"].items():
        readers = [name for name, function in data["functions"].items() if function.get("topic") == topic]
        writers = [name for name, function in data["functions"].items() if f"publish:{topic}" in function["may"]]
        subscriptions = ", ".join(f"`{topic}-{name.replace('_', '-')}`" for name in readers)
        others = ", ".join([*(f"`{name}`" for name in writers), *(item or {}).get("publishers", ())])
        rows.append(f"| `{topic}` | {others} | {subscriptions} | `{topic}-dead` |")
    least, most = push["backoff_s"]
    return f"""## Topics

| topic | published to by | subscription | dead letter |
|---|---|---|---|
{chr(10).join(rows)}

Every subscription pushes with an identity token. It waits {push["ack_deadline_s"]} s for an answer, comes back after
{least} s up to {most} s, and after {push["attempts_max"]} deliveries goes to the dead letter, a topic with a pull
subscription of its own name. Messages are kept {push["retention_s"] // 86400} days. `sweep` gives what lies there
{push["attempts_max"]} deliveries more, once; what fails those too is given up, with a notice.
"""


def _workflows(data: Mapping[str, Any]) -> str:
    rows = []
    for name, item in data["workflows"].items():
        env = ", ".join(f"`{variable}`: URL of `{function}`" for variable, function in item["env"].items())
        rows.append(f"| `{name}` | `workflows/{name}.yaml` | {env} | {_account(name)} | {_may(item)} |")
    return f"""## Workflows

| workflow | file | environment | account | may |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


_WAYS: Mapping[str, str] = {
    "topic": "the push of a topic",
    "schedule": "the schedule",
    "audit": "Eventarc's triggers",
}


def _carriers(data: Mapping[str, Any]) -> str:
    rows = [f"| {_WAYS[way]} | {_account(name)} |" for way, name in data["carriers"].items()]
    return f"""## Who calls for Google

Their tokens carry these accounts, which may call the functions that they are for and nothing else.

| way | account |
|---|---|
{chr(10).join(rows)}
"""


def _ledger(ledger: Mapping[str, Any]) -> str:
    rows = []
    for name, item in ledger["collections"].items():
        fields = ", ".join(f"`{field}`" for field in item["indexed"])
        expires = f"`{item['expires']}`" if "expires" in item else ""
        rows.append(f"| `{name}` | {fields} | {expires} |")
    return f"""## Ledger

Firestore's database `{ledger["database"]}`. What is searched has an index with the time of writing, newest first.

| collection | searched by | forgotten at |
|---|---|---|
{chr(10).join(rows)}
"""
