"""`pointsman bootstrap rbac`: the manifests that give `rollout_step` its rights in a cluster."""

from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from pointsman.errors import Invalid
from pointsman_cli.bootstrap.estate import account_email, project_option
from pointsman_cli.bootstrap.rbac import manifests
from pointsman_cli.output import emit, output_option

__all__ = ["command"]


@click.command()
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Only these; default: those of the Platform.")
@click.option("--gateway", metavar="NAMESPACE/NAME", help="The Gateway; default: that of the Platform.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    show_default="the present folder",
    help="Config repository whose Platform names namespaces and Gateway.",
)
@project_option
@output_option("yaml", "json")
def command(namespaces: Sequence[str], gateway: str | None, config: Path, project: str, output: str) -> None:
    """Print a Role and a RoleBinding for each namespace of the platform, and for the Gateway's.

    Nothing is applied: pipe it into `kubectl apply -f -`. Applied again after a namespace was added.
    """
    if not namespaces or gateway is None:
        said, default = _platform(config)
        namespaces, gateway = namespaces or said, gateway or default
    where, slash, name = gateway.partition("/")
    if not (where and slash and name):
        raise click.UsageError("a Gateway is said as NAMESPACE/NAME", click.get_current_context())
    found = manifests(account_email("rollout_step", project), namespaces, where, name)
    if output == "json":
        emit({"apiVersion": "v1", "kind": "List", "items": found}, output)
    else:
        click.echo("---\n".join(yaml.dump(item, Dumper=_Plain, sort_keys=False) for item in found), nl=False)


class _Plain(yaml.SafeDumper):
    """YAML without anchors: what is the same is written twice, for people to read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _platform(folder: Path) -> tuple[Sequence[str], str]:
    """Namespaces and Gateway of the Platform in a folder. Raises Invalid, naming the options that do without."""
    from pointsman.documents import load
    from pointsman_cli.validate import read_folder

    loaded = load(read_folder(folder))
    if loaded.config is None:
        raise Invalid(
            f"no Platform can be read: {loaded.faults[0]}",
            where=str(folder),
            remedy="give --config FOLDER, or -n NAMESPACE and --gateway NAMESPACE/NAME",
        )
    spec = loaded.config.platform.spec
    return [namespace.name for namespace in spec.namespaces], f"{spec.gateway.namespace}/{spec.gateway.name}"
