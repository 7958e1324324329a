"""Where names must agree: topology, Terraform, entry points, workflows, dashboards, alert policies, the ledger.

`findings` reads texts alone, so that a test can take one name out of any of them and see that it is missed.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dashboards.__main__ import files
from tools.terraform_standin.variables import tables

from pointsman.core import records
from pointsman_cli.reference_topology import page

__all__ = ["ROOT", "findings", "texts"]

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY, TABLE, MAIN = "bootstrap/topology.yaml", "bootstrap/permissions.yaml", "functions/main.py"
GUIDE, REFERENCE = "docs/google-cloud.md", "docs/reference/topology.md"
MODULE, FUNCTION = "bootstrap/terraform/", "bootstrap/terraform/function/"
RESOURCES = """
    google_project_service.api google_service_account.account
    google_project_iam_custom_role.right google_project_iam_member.right google_service_account_iam_member.nodes
    google_pubsub_topic.topic google_pubsub_topic_iam_member.publisher google_pubsub_topic_iam_member.agent
    google_pubsub_subscription.push google_pubsub_subscription.dead google_pubsub_topic_iam_member.dead
    google_pubsub_subscription_iam_member.dead google_pubsub_subscription_iam_member.redriver
    google_storage_bucket.archive google_storage_bucket_object.archive
    google_artifact_registry_repository.functions google_project_iam_member.build
    google_cloudfunctions2_function.function google_cloud_run_service_iam_member.invoker
    google_secret_manager_secret_iam_member.reader google_eventarc_trigger.audit google_project_iam_member.eventarc
    google_workflows_workflow.workflow google_cloud_scheduler_job.schedule
    google_firestore_database.ledger google_firestore_index.search google_firestore_field.record
    google_firestore_field.expiry google_firestore_backup_schedule.daily google_firestore_backup_schedule.weekly
    google_monitoring_notification_channel.alerts google_monitoring_alert_policy.policy
    google_logging_metric.metric google_monitoring_dashboard.dashboard terraform_data.page
"""
"""What the module makes."""

BESIDES = {"nodes", "secret", "trace"}
"""Rights that Terraform gives by its variables, or by the topology's `secrets`."""

Texts = Mapping[str, str]
_DECLARED = re.compile(r'^(resource|data|variable|output|module) "(\w+)"(?: "(\w+)")?', re.M)
_LOCALS = re.compile(r"^locals \{$(.*?)^\}$", re.S | re.M)
_LOCAL = re.compile(r"^  (\w+) +=", re.M)
_USED = re.compile(r"\b(local|var|module|(?<=data\.)google_\w+)\.(\w+)")
_METRIC = re.compile(r"user[/_](?:pointsman[/_])(\w+)")


def texts() -> dict[str, str]:
    """Path from the root → text, of everything that holds such a name."""
    patterns = ("workflows/*.yaml", f"{MODULE}*.tf", f"{FUNCTION}*.tf", "dashboards/**/*.json", "dashboards/**/*.yaml")
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    found += [ROOT / name for name in (TOPOLOGY, TABLE, MAIN, GUIDE, REFERENCE)]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(found)}


def findings(of: Texts) -> Iterator[str]:
    """Every disagreement, each with the file where it shows. What cannot be read at all is one."""
    try:
        for found in (_topology, _entry_points, _workflows, _ledger, _terraform, _watching):
            yield from found(of)
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        yield f"{TOPOLOGY}: {type(error).__name__} {error}"


@cache
def _read(text: str) -> Any:
    """YAML, read once: to be left as it is."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


_parsed = cache(ast.parse)
_written = cache(files)


def _topology(of: Texts) -> Iterator[str]:
    data, rights = _read(of[TOPOLOGY]), _read(of[TABLE])["rights"]
    functions, workflows, topics = data["functions"], data["workflows"], data["topics"]
    known = {"publish": topics, "start": workflows, "invoke": functions}
    for name, item in {**functions, **workflows}.items():
        for word in item["may"]:
            right, colon, target = word.partition(":")
            if right not in rights or (colon and target not in known[right]):
                yield f"{TOPOLOGY}: {name} may {word}, which is nothing"
        for by in item.get("invokers", ()):
            if by not in {**functions, **workflows, "operators": None}:
                yield f"{TOPOLOGY}: {name} is called by {by}, which is nothing"
    holders = {**functions, **workflows}.values()
    unheld = set(rights) - {word.partition(":")[0] for item in holders for word in item["may"]}
    if unheld != BESIDES:
        yield f"{TABLE}: {sorted(unheld ^ BESIDES)} is no right of the topology, or is given without it"
    for topic in topics:
        if not any(item.get("topic") == topic for item in functions.values()):
            yield f"{TOPOLOGY}: topic {topic} reaches no function"
    for name, item in functions.items():
        if item.get("topic", next(iter(topics))) not in topics:
            yield f"{TOPOLOGY}: {name} is reached by topic {item['topic']}, which is none"
        if not {"topic", "invokers", "schedule", "public"} & set(item):
            yield f"{TOPOLOGY}: {name} cannot be reached"
    if page(data) != of[REFERENCE]:  # every name and number of the topology is on it
        yield f"{REFERENCE}: differs from {TOPOLOGY}: run python -m pointsman_cli.generate"


def _entry_points(of: Texts) -> Iterator[str]:
    functions = set(_read(of[TOPOLOGY])["functions"])
    points = {
        node.name
        for node in _parsed(of[MAIN]).body
        if isinstance(node, ast.FunctionDef) and any(getattr(item, "id", "") == "entry" for item in node.decorator_list)
    }
    yield from (f"{MAIN}: no entry point {name}" for name in sorted(functions - points))
    yield from (f"{TOPOLOGY}: no function {name}" for name in sorted(points - functions))


def _workflows(of: Texts) -> Iterator[str]:
    workflows = _read(of[TOPOLOGY])["workflows"]
    named = {path.removeprefix("workflows/").removesuffix(".yaml") for path in of if path.startswith("workflows/")}
    yield from (f"workflows/{name}.yaml: not there" for name in sorted(set(workflows) - named))
    yield from (f"{TOPOLOGY}: no workflow {name}" for name in sorted(named - set(workflows)))
    for name in sorted(named & set(workflows)):
        path, item = f"workflows/{name}.yaml", workflows[name]
        text, may = of[path], {*item["may"]}
        asked = set(re.findall(r'sys\.get_env\("(?!GOOGLE_)(\w+)"', text))
        if asked != set(item["env"]):
            yield f"{path}: asks for {sorted(asked)}, is given {sorted(item['env'])}"
        started = {f"start:{other}" for other in re.findall(r'workflows \+ "([\w-]+)"', text)}
        itself = 'sys.get_env("GOOGLE_CLOUD_WORKFLOW_ID")}' in text and "executions.create" in text
        does = started | ({f"start:{name}"} if itself else set()) | {f"invoke:{name}" for name in item["env"].values()}
        does |= {"signal"} if re.search(r"type: OAuth2", text) else set()
        does |= {"log"}  # Workflows itself logs errors as the workflow's account
        if does != may:
            yield f"{path}: does {sorted(does)}, may {sorted(may)}"


def _ledger(of: Texts) -> Iterator[str]:
    collections: Mapping[str, Any] = _read(of[TOPOLOGY])["ledger"]["collections"]
    kept: dict[str, Any] = {
        kind.collection: kind
        for kind in vars(records).values()
        if isinstance(kind, type) and hasattr(kind, "collection") and kind is not records.Record
    }
    for name in sorted(set(kept) ^ set(collections)):
        yield f"{TOPOLOGY}: ledger.collections and core/records.py differ in {name}"
    for name in set(kept) & set(collections):
        if tuple(collections[name]["indexed"]) != kept[name].indexed:
            yield f"{TOPOLOGY}: ledger.collections.{name} is searched by {kept[name].indexed}"
        expires = "expires_at" in kept[name].__dataclass_fields__
        if expires != ("expires" in collections[name]):
            yield f"{TOPOLOGY}: ledger.collections.{name}: expires"


def _terraform(of: Texts) -> Iterator[str]:
    made: set[str] = set()
    for folder in (MODULE, FUNCTION):
        mine = {path: text for path, text in of.items() if path.rpartition("/")[0] + "/" == folder}
        declared, text = set(), "\n".join(mine.values())
        for path, content in mine.items():
            for kind, name, second in _DECLARED.findall(content):
                if kind == "resource":
                    made.add(f"{name}.{second}")
                elif kind in ("variable", "module"):
                    declared.add(("var" if kind == "variable" else "module", name, path))
                elif kind == "data":
                    declared.add((name, second, path))
            for body in _LOCALS.findall(content):
                declared |= {("local", name, path) for name in _LOCAL.findall(body)}
        names, used = {(kind, name) for kind, name, _ in declared}, set(_USED.findall(text))
        yield from (f"{folder}: {kind}.{name} is not declared" for kind, name in sorted(used - names))
        yield from (f"{path}: {kind}.{name} is not used" for kind, name, path in declared if (kind, name) not in used)
    expected = set(RESOURCES.split())
    yield from (f"{MODULE}: no {name}" for name in sorted(expected - made))
    yield from (f"{MODULE}: {name} is not among what the module makes" for name in sorted(made - expected))
    outputs = {name for path, text in of.items() for kind, name, _ in _DECLARED.findall(text) if kind == "output"}
    told = set(re.findall(r"^\| `(\w+)` \|", of[GUIDE].partition("## Outputs")[2].partition("\n## ")[0], re.M))
    inner = {"uri", "service"}
    yield from (f"{GUIDE}: outputs differ in {name}" for name in sorted(outputs ^ (told | inner)))
    root = {path: text for path, text in of.items() if path.startswith(MODULE)}
    if tables(of[GUIDE], root[f"{MODULE}variables.tf"]) != of[GUIDE]:
        yield f"{GUIDE}: its table of variables is old: run python -m tools.terraform_standin variables"


def _watching(of: Texts) -> Iterator[str]:
    written = {f"dashboards/{name}": text for name, text in _written().items()}
    for path in sorted(set(written) | {path for path in of if path.startswith("dashboards/")}):
        if written.get(path) != of.get(path):
            yield f"{path}: differs from what python -m dashboards writes"
    metrics = {item["name"].partition("/")[2] for item in _read(of["dashboards/log-metrics.yaml"])["metrics"]}
    for path, text in of.items():
        if path.startswith("dashboards/") and path != "dashboards/log-metrics.yaml":
            for name in sorted(set(_METRIC.findall(text)) - metrics):
                if re.sub("_(bucket|count|sum)$", "", name) not in metrics:
                    yield f"{path}: no log metric {name}"
