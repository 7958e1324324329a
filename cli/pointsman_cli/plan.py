"""`pointsman plan`: what a commit, or a folder, would change: every revision, step and object. Nothing is done."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointsman.core.names import Commit
from pointsman.core.records import EventRecord, HeadRecord
from pointsman.core.signals import timing
from pointsman.errors import Absent, Invalid, PointsmanError
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, ledger, settings
from pointsman_cli.output import emit, output_option, say

if TYPE_CHECKING:
    from pointsman.core.changes import Change
    from pointsman.documents import Config
    from pointsman.documents.alert import AlertRule
    from pointsman.documents.effective import EffectiveService

__all__ = ["command"]

HEX = frozenset("0123456789abcdef")
SHORT = 7  # so many digits of a commit git shows, too


@dataclass(frozen=True, slots=True)
class _Entry:
    """One service's change, and what it would make."""

    change: "Change"
    service: "EffectiveService | None"
    objects: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    foreseen: Sequence[str] = ()
    """What each step can detect at the service's present traffic."""

    @property
    def steps(self) -> list[dict[str, object]]:
        if self.service is None or self.change.kind != "roll_out" or self.change.from_revision is None:
            return []
        policy = self.service.policy
        steps = [step.model_dump(mode="json", by_alias=True, exclude_none=True) for step in policy.steps]
        bake = policy.bake
        return [*steps, {"weight": 100 - bake.baseline_weight, "hold": bake.duration, "bake": True}, {"weight": 100}]

    @property
    def cost_class(self) -> str | None:
        """The machines of the pool's first candidate, and their list price an hour where it is known."""
        from pointsman.documents.machines import price_per_hour

        if self.service is None or self.service.pool is None:
            return None
        first = self.service.pool.spec.candidates[0]
        if first.machine_type is None:
            return f"node pool {first.node_pool}"
        price = price_per_hour(first)
        shown = f"{price:.2f} USD an hour each" if price is not None else "list price not known"
        return f"{first.machine_type} {first.provisioning}, {shown}"

    def as_json(self) -> dict[str, object]:
        return {
            "service": f"{self.change.namespace}/{self.change.name}",
            "kind": self.change.kind,
            "from": self.change.from_revision,
            "to": self.change.to_revision,
            "why": self.change.why,
            "steps": self.steps,
            "objects": [
                {"apiVersion": item["apiVersion"], "kind": item["kind"], "name": item["metadata"]["name"]}
                for item in self.objects
            ],
            "cost_class": self.cost_class,
            "detects": list(self.foreseen),
            "warnings": list(self.warnings),
        }


@click.command()
@click.argument("what", metavar="COMMIT|FOLDER")
@output_option("table", "json", "yaml")
def command(what: str, output: str) -> None:
    """Show what a commit of the config repository, or a folder, would change. Nothing is done.

    Exit status 1 when its documents have a fault: such a commit applies nothing.
    """
    from pointsman.documents import load
    from pointsman.documents.effective import effective

    here = settings("POINTSMAN_LEDGER")
    records = ledger()
    commit, files, before = _read(what, records)
    loaded = load(files, branch=None if Path(what).is_dir() else here.branch, before=before)
    if loaded.config is None:
        if output == "table":
            for fault in loaded.faults:
                say(str(fault), err=True)
        else:
            emit({"commit": commit, "faults": [fault.as_json() for fault in loaded.faults]}, output)
        count = f"{len(loaded.faults)} fault{'s' * (len(loaded.faults) > 1)}"
        raise Invalid(f"{count}, {commit} would apply nothing", remedy="mend and push again")
    wanted = effective(loaded.config, project=here.project, region=here.location)
    entries = _entries(records, wanted, commit)
    if output in ("json", "yaml"):
        documents = _documents(loaded.config, wanted)
        emit({"commit": commit, "changes": [entry.as_json() for entry in entries], "documents": documents}, output)
        return
    _tell(commit, entries, loaded.documents)
    for key, rule in sorted(loaded.config.rules.items()):
        for warning in _rule_not_yet(rule):
            say(f"AlertRule {key}")
            say(f"  warning    {warning}")


def _read(what: str, records: Ledger) -> tuple[str, Mapping[str, bytes], "Config | None"]:
    """The name and files of a folder that exists, otherwise of a commit of the config repository.

    With a commit comes what was applied last, against which some rules hold.
    """
    from pointsman_cli.validate import read_folder

    if Path(what).is_dir():
        return what, read_folder(Path(what)), None
    from pointsman.adapters.git import connect
    from pointsman.documents import load

    here = settings("POINTSMAN_LEDGER", "POINTSMAN_REPOSITORY")
    source = connect(here, _token)
    heads = source.heads(here.repository)
    commit = _commit(what, heads, records)
    files = source.files(here.repository, commit)
    head = records.read(HeadRecord, f"{here.repository}#{here.branch}")
    before = None
    if head is not None and head.record.commit:
        with suppress(Absent, Invalid):  # a forced push may have taken it away: nothing is held against it
            before = load(source.files(here.repository, Commit(head.record.commit))).config
    return commit, files, before


def _commit(what: str, heads: Mapping[str, Commit], records: Ledger) -> Commit:
    """A branch's head, or a commit by its name or the start of it, where it came by here. Raises Absent, Invalid."""
    if what in heads:
        return heads[what]
    if len(what) == 40 and not set(what) - HEX:
        return Commit(what)
    found = {head for head in heads.values() if head.startswith(what)}
    if len(what) >= SHORT and not set(what) - HEX:
        seen = {saved.record.subject.rpartition("@")[2] for saved in records.find(EventRecord, limit=ALL)}
        found |= {Commit(name) for name in seen if len(name) == 40 and name.startswith(what)}
    if len(found) > 1:
        raise Invalid(f"{len(found)} commits begin with {what}", remedy="give more of it")
    if not found:
        branches = ", ".join(sorted(heads)) or "none, nothing was pushed yet"
        raise Absent(f"{what} is no folder, branch or commit that was pushed", remedy=f"branches: {branches}")
    return found.pop()


def _token(name: str) -> str:
    from pointsman.adapters.secrets import connect

    return connect(settings()).read(name)


def _entries(records: Ledger, wanted: Mapping[str, "EffectiveService"], commit: str) -> list[_Entry]:
    """Each service that would change. Unchanged and blocked ones are left out."""
    from pointsman.adapters import registries, secrets
    from pointsman.core.changes import changes
    from pointsman.handlers.following import ask
    from pointsman.handlers.standing import standings

    here = settings()
    answers = ask(wanted, lambda described: registries.connect(here, described, secrets.connect(here), records))
    for key, error in answers.silent.items():
        say(f"{key}: its registry is silent: {error}", err=True)
    known = {name: standing.known for name, standing in standings(records).items()}
    found = changes(wanted, known, answers.versions)
    return [
        _entry(change, wanted.get(f"{change.namespace}/{change.name}"), commit)
        for change in found
        if change.kind not in ("unchanged", "blocked")
    ]


def _entry(change: "Change", service: "EffectiveService | None", commit: str) -> _Entry:
    from pointsman.core.manifests import additions, render

    if service is None or change.model is None or change.to_revision is None or change.kind == "in_place":
        return _Entry(change, service, (), ())
    record = render(service, change.model, change.to_revision, commit=commit, now=datetime.now(UTC))
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": service.name, "namespace": service.namespace},
    }
    objects: list[Mapping[str, Any]] = [*record.objects, route]
    return _Entry(change, service, objects, [*additions(service), *_not_yet(service)], _foreseen(change, service))


def _foreseen(change: "Change", service: "EffectiveService") -> list[str]:
    """At present traffic; nothing where a first version is pushed, and the reason where metrics can't be read."""
    from pointsman.adapters import kubernetes, metrics
    from pointsman_cli.plan_traffic import foresight, gateway_class_of, traffic_of

    if change.kind != "roll_out" or change.from_revision is None:
        return []
    try:
        here, where = settings(), service.cluster
        name = f"projects/{where.project}/locations/{where.location}/clusters/{where.name}"
        gateway_class = gateway_class_of(kubernetes.connect(here, name), service)
        source = metrics.connect(here, name, gateway_class)
        at = datetime.now(UTC) - timedelta(seconds=timing(gateway_class).lag_s)
        traffic = traffic_of(source, service.namespace, service.name, change.from_revision, at, gateway_class)
    except PointsmanError as error:
        return [f"not known: {error}"]
    if traffic is None:
        return ["nothing: the service had no requests lately, so nothing can be judged"]
    return foresight(service, traffic)


def _not_yet(service: "EffectiveService") -> list[str]:
    """What the documents ask for and this release does not carry out."""
    found = []
    strategy = service.policy.capacity.strategy
    if strategy in ("Step", "Swap"):
        found.append(f"capacity.strategy {strategy} is not carried out yet: the rollout would be refused")
    if service.experiment is not None:
        found.append("experiment is not carried out yet: all traffic stays on model")
    if os.environ.get("POINTSMAN_POOLS", "observe") == "observe" and service.pool is not None:
        found.append("POINTSMAN_POOLS is observe: node pools are not touched; the cluster's autoscaler must have them")
    return found


def _rule_not_yet(rule: "AlertRule") -> list[str]:
    if not any(action.start_pipeline for action in rule.spec.actions):
        return []
    return ["startPipeline is not carried out yet: the alert's event will say so, and no pipeline runs"]


def _documents(config: "Config", wanted: Mapping[str, "EffectiveService"]) -> list[dict[str, object]]:
    from pointsman.documents.config import as_json

    services = [
        {
            "kind": "ModelService",
            "namespace": service.namespace,
            "name": service.name,
            "effective": service.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"origins"}),
            "origins": dict(service.origins),
            "warnings": _not_yet(service),
        }
        for service in wanted.values()
    ]
    others: list[tuple[str, str, Any]] = [
        ("Platform", "", config.platform),
        *(("AcceleratorPool", "", pool) for pool in config.pools.values()),
        *(("RolloutPolicy", namespace or "", policy) for (namespace, _), policy in config.policies.items()),
        *(("AlertRule", key.split("/")[0], rule) for key, rule in config.rules.items()),
    ]
    return services + [
        {
            "kind": kind,
            "namespace": namespace,
            "name": document.metadata.name,
            "effective": as_json(document),
            "origins": {},
            "warnings": _rule_not_yet(document) if kind == "AlertRule" else [],
        }
        for kind, namespace, document in others
    ]


def _tell(commit: str, entries: Sequence[_Entry], documents: int) -> None:
    if not entries:
        say(f"{commit}: {documents} documents, nothing would change")
        return
    for entry in entries:
        change = entry.change
        say(f"{change.namespace}/{change.name}: {change.kind.replace('_', ' ')}, {change.why}")
        if change.from_revision != change.to_revision:
            say(f"  revision   {change.from_revision or '-'} → {change.to_revision or '-'}")
        if entry.steps:
            walk = " → ".join(_step(step) for step in entry.steps)
            say(f"  steps      {walk}")
        for line in entry.foreseen:
            say(f"  detects    {line}")
        if entry.objects:
            names = [f"{item['kind']} {item['metadata']['name']}" for item in entry.objects]
            say(f"  objects    {', '.join(names)}")
        if entry.cost_class:
            say(f"  machines   {entry.cost_class}")
        for warning in entry.warnings:
            say(f"  warning    {warning}")


def _step(step: Mapping[str, object]) -> str:
    if "mirrorPercent" in step:
        return f"mirror {step['mirrorPercent']} % for {step['hold']}"
    text = f"{float(str(step['weight'])):g} %"
    if "cohort" in step:
        text += " of the cohort"
    if step.get("bake"):
        return f"{text} baking {step['hold']}"
    return f"{text} for {step['hold']}" if "hold" in step else text
