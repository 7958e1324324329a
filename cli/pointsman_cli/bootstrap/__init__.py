"""`pointsman bootstrap`: the control plane in a Google Cloud project: what it will be, made, looked at, taken away."""

import importlib

import click

__all__ = ["command"]

# Subcommand → its module here, and its help in one line.
_SUBCOMMANDS = {
    "plan": ("planning", "What will exist, what each account may do, what it costs"),
    "apply": ("applying", "Make it, by Terraform, and look at it"),
    "doctor": ("examining", "What is wrong, before and after, and what mends it"),
    "rbac": ("granting", "The rights in the cluster, for kubectl apply -f -"),
    "destroy": ("destroying", "Take it away, by Terraform, and say what remains"),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUBCOMMANDS:
            return None
        found = importlib.import_module(f"pointsman_cli.bootstrap.{_SUBCOMMANDS[cmd_name][0]}").command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _SUBCOMMANDS.items()])


@click.command(cls=_Lazy)
def command() -> None:
    """Bring the control plane up in a Google Cloud project, and look after it there."""
