"""`pointsman bootstrap doctor`: what is wrong with a project, before and after apply, and what mends it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Literal

import click

from pointsman.errors import PointsmanError
from pointsman_cli.bootstrap.checks import cluster, deployed, events, identities, keeping, policies, project
from pointsman_cli.bootstrap.estate import estate, location_option, project_option, sources
from pointsman_cli.bootstrap.finding import Check, Finding, run
from pointsman_cli.bootstrap.rest import connect
from pointsman_cli.bootstrap.rights import rights
from pointsman_cli.bootstrap.site import Site
from pointsman_cli.output import Column, emit, output_option, say, table

__all__ = ["CHECKS", "Stage", "command", "examine", "look_at", "tell"]

Stage = Literal["auto", "before", "after"]

CHECKS: Sequence[Check] = (
    *project.CHECKS,
    *policies.CHECKS,
    *cluster.CHECKS,
    *deployed.CHECKS,
    *events.CHECKS,
    *identities.CHECKS,
    *keeping.CHECKS,
)
"""In the order in which they are printed."""

OF_A_CLUSTER = frozenset(check.id for check in cluster.CHECKS)
PERIMETER = "vpc-service-controls"
AT_ONCE = 6
COUNTED = ("ok", "warn", "fail", "unknown")


@click.command()
@project_option
@location_option
@click.option(
    "--cluster",
    "cluster_name",
    envvar="POINTSMAN_CLUSTER",
    default="",
    help="The GKE cluster: a name, or projects/P/locations/L/clusters/C. Without one nothing is asked of a cluster.",
)
@click.option("--connect-gateway", default="", metavar="FLEET", help="Where its DNS endpoint is off.")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Namespaces of models; default: those bound.")
@click.option("--accelerator", "accelerators", multiple=True, help="A type that is wanted, beside those of node pools.")
@click.option("--secret", "secrets", multiple=True, help="Id of a secret that is needed, beside those deployed.")
@click.option("--archive", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="To compare with.")
@click.option(
    "--stage",
    type=click.Choice(["auto", "before", "after"]),
    default="auto",
    show_default=True,
    help="`before`: only what must hold before apply. `auto`: what is deployed, too, where anything is.",
)
@click.option("--fix-script", is_flag=True, help="Print a shell script of the commands that mend, to be read first.")
@output_option("table", "json")
def command(
    project: str,
    location: str,
    cluster_name: str,
    connect_gateway: str,
    namespaces: Sequence[str],
    accelerators: Sequence[str],
    secrets: Sequence[str],
    archive: Path | None,
    stage: Stage,
    fix_script: bool,
    output: str,
) -> int:
    """Look at a project and name everything that is wrong, each with the command that mends it.

    Nothing is changed: it only reads. What may not be read is `unknown`, never `ok`. Exit status 1 if anything fails.
    """
    site = look_at(
        project,
        location,
        cluster_name,
        namespaces=namespaces,
        accelerators=accelerators,
        secrets=secrets,
        fleet=connect_gateway,
        archive=archive,
    )
    findings = examine(site, stage)
    if fix_script:
        for line in _script(findings, project):
            click.echo(line)
    elif output == "json":
        emit({"project": project, "findings": [_as_json(one) for one in findings], "count": _count(findings)}, output)
    else:
        tell(findings)
    return 1 if any(one.verdict == "fail" for one in findings) else 0


def look_at(
    project: str,
    location: str,
    cluster_name: str,
    *,
    namespaces: Sequence[str] = (),
    accelerators: Sequence[str] = (),
    secrets: Sequence[str] = (),
    fleet: str = "",
    archive: Path | None = None,
) -> Site:
    """The site that checks look at. Raises Denied where there are no credentials."""
    from hashlib import sha256

    full = cluster_name
    if cluster_name and not cluster_name.startswith("projects/"):
        full = f"projects/{project}/locations/{location}/clusters/{cluster_name}"
    folder = sources()
    return Site(
        google=connect(project, os.environ),
        estate=estate(folder),
        rights=rights(folder),
        sources=folder,
        project=project,
        location=location,
        now=datetime.now(UTC),
        cluster=full,
        namespaces=namespaces,
        accelerators=accelerators,
        secrets=secrets,
        fleet=fleet,
        archive=sha256(archive.read_bytes()).hexdigest() if archive else "",
    )


def examine(site: Site, stage: Stage = "auto") -> list[Finding]:
    """The findings of all checks, in their order. With `auto`, what is deployed is looked at where anything is."""
    if stage != "after":
        site = replace(site, deployed=stage == "auto" and _is_deployed(site))
    if site.deployed and not site.fleet:
        site = replace(site, fleet=_fleet(site))
    wanted = [
        check
        for check in CHECKS
        if (site.deployed or check.stage == "before") and (site.cluster or check.id not in OF_A_CLUSTER)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(chain.from_iterable(pool.map(lambda check: run(check, site), wanted)))
    if site.google.perimeters:
        where = ", ".join(sorted({place.partition("/")[0] for place in site.google.perimeters}))
        what = f"a perimeter refuses you {where}; push endpoints, builds and Workflows may be refused as well"
        command = "gcloud access-context-manager perimeters list --policy=POLICY"
        found.append(Finding("warn", site.project, what, command, PERIMETER))
    return found


def _is_deployed(site: Site) -> bool:
    """Whether any of our functions or topics is there. What cannot be read counts as there: then its check says so."""
    try:
        if site.functions():
            return True
        topics = {site.topic(name) for name in site.estate.topics}
        url = f"pubsub.googleapis.com/v1/projects/{site.project}/topics"
        return any(item["name"] in topics for item in site.google.pages(url, "topics"))
    except PointsmanError:
        return True


def _fleet(site: Site) -> str:
    try:
        return site.settings().get("POINTSMAN_CONNECT_GATEWAY", "")
    except PointsmanError:
        return ""


def tell(findings: Sequence[Finding]) -> None:
    """A line a finding, then what mends those that are not well."""
    columns = [
        Column("VERDICT", lambda one: one.verdict),
        Column("CHECK", lambda one: one.check),
        Column("SUBJECT", lambda one: one.subject or "-"),
        Column("EVIDENCE", lambda one: one.evidence),
    ]
    table(findings, columns)
    mended = [one for one in findings if one.command and one.verdict != "ok"]
    if mended:
        say("")
        say("to mend:")
    for text in dict.fromkeys(one.command for one in mended):
        say(f"  {text}")
    count = _count(findings)
    say("")
    say(", ".join(f"{count[verdict]} {verdict}" for verdict in COUNTED if count[verdict]))


def _count(findings: Sequence[Finding]) -> Mapping[str, int]:
    return {verdict: sum(1 for one in findings if one.verdict == verdict) for verdict in COUNTED}


def _as_json(one: Finding) -> Mapping[str, str]:
    return {
        "check": one.check,
        "verdict": one.verdict,
        "subject": one.subject,
        "evidence": one.evidence,
        "command": one.command,
    }


def _script(findings: Sequence[Finding], project: str) -> Iterator[str]:
    """What fails is mended; what is only doubtful, or takes something away for good, stands there as a comment."""
    yield "#!/bin/sh"
    yield f"# What `pointsman bootstrap doctor` would type for project {project}. Read it before you run it."
    yield "set -eu"
    seen: set[str] = set()
    for one in findings:
        if one.verdict == "ok" or not one.command:
            continue
        yield ""
        # Titles and messages are others' words: a comment that had a second line would be run.
        yield "# " + " ".join(f"{one.verdict}: {one.check}: {one.subject}: {one.evidence}".split())
        is_run = one.verdict == "fail" and one.command not in seen and " delete " not in one.command
        seen.add(one.command)
        yield one.command if is_run else f"# {' '.join(one.command.split())}"
