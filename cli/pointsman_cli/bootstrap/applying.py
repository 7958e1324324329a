"""`pointsman bootstrap apply`: the functions' archive, Terraform, and a look at what came of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pointsman_cli.bootstrap.estate import location_option, project_option
from pointsman_cli.bootstrap.terraform import prepared
from pointsman_cli.output import say

__all__ = ["command", "terraform_options"]

F = TypeVar("F", bound=Callable[..., Any])


def terraform_options(function: F) -> F:
    """What `apply` and `destroy` take, both."""
    for option in (
        click.option("--yes", is_flag=True, help="Ask nothing."),
        click.option(
            "--dir",
            "folder",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            help="Root module of your own, which says where state is kept; default: bootstrap/terraform here.",
        ),
        click.option(
            "--var-file",
            "var_files",
            multiple=True,
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="Your variables, as Terraform takes them.",
        ),
        click.option(
            "--cluster", "cluster_name", envvar="POINTSMAN_CLUSTER", required=True, help="Name of the GKE cluster."
        ),
        location_option,
        project_option,
    ):
        function = option(function)
    return function


@click.command()
@terraform_options
@click.option("--no-doctor", is_flag=True, help="Do not look at what came of it.")
def command(
    project: str,
    location: str,
    cluster_name: str,
    var_files: Sequence[Path],
    folder: Path | None,
    yes: bool,
    no_doctor: bool,
) -> int:
    """Build the functions' archive, run terraform init, plan and apply, then `bootstrap doctor`.

    Project, location, cluster and archive are given to Terraform from here, the rest comes from your variable files.
    It asks before it changes anything. Exit status 1 when the doctor finds a failure.
    """
    terraform = prepared(project, location, cluster_name, var_files, folder, sure=yes)
    if not terraform.change(f"apply this to project {project}?", sure=yes):
        say("nothing to change", err=True)
    say("beside it, in the cluster: pointsman bootstrap rbac | kubectl apply -f -", err=True)
    if no_doctor:
        return 0
    from pointsman_cli.bootstrap.examining import examine, look_at, tell

    findings = examine(look_at(project, location, cluster_name, archive=Path(terraform.variables["archive"])), "after")
    tell(findings)
    return 1 if any(one.verdict == "fail" for one in findings) else 0
