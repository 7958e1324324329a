"""`pointsman bootstrap destroy`: Terraform takes away what it made, and what remains is named."""

from collections.abc import Sequence
from pathlib import Path

import click

from pointsman_cli.bootstrap.applying import terraform_options
from pointsman_cli.bootstrap.examining import look_at
from pointsman_cli.bootstrap.inventory import Left, inventory
from pointsman_cli.bootstrap.terraform import prepared
from pointsman_cli.output import Column, say, table

__all__ = ["command"]


@click.command()
@terraform_options
def command(
    project: str, location: str, cluster_name: str, var_files: Sequence[Path], folder: Path | None, yes: bool
) -> int:
    """Run terraform plan -destroy and apply it, then name everything of pointsman that is still in the project.

    Models and routes in clusters are left as they are: they serve on. Exit status 1 while anything remains.
    """
    terraform = prepared(project, location, cluster_name, var_files, folder, sure=yes)
    if not terraform.change(f"take the control plane out of project {project}?", sure=yes, destroy=True):
        say("Terraform knows of nothing to take away", err=True)
    left = list(inventory(look_at(project, location, cluster_name)))
    _tell(left, project)
    return 1 if left else 0


def _tell(left: Sequence[Left], project: str) -> None:
    if not left:
        say(f"nothing of pointsman is left in {project}")
        say("in the cluster: kubectl delete roles,rolebindings -A -l app.kubernetes.io/managed-by=pointsman-bootstrap")
        return
    table(
        left,
        [
            Column("LEFT", lambda one: one.kind),
            Column("NAME", lambda one: one.name),
            Column("WHY", lambda one: f"not known: {one.unread}" if one.unread else "it is there"),
        ],
    )
    say("")
    say("to take it away, too:")
    for one in left:
        say(f"  {one.remove}")
