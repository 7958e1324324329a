"""The command's entry: finds a subcommand in its own file, loads only that, and says errors in one line.

Exit status: 0 done · 1 refused, failed or faults found · 2 wrong usage · 3 refused at deployment
(`workflows run`) · 4 local cloud not running or a service out of reach · 130 Ctrl-C.
"""

import importlib
import sys

import click

from pointsman.errors import PointsmanError, Unavailable

__all__ = ["cli", "main"]

# Subcommand → module of this package, the attribute there, and its help in one line.
_ACTING = {
    "promote": "Take a canary to 100 % now",
    "abort": "Give all traffic back to stable",
    "approve": "Approve the step that waits",
    "pause": "Hold a rollout's weights where they are",
    "resume": "Go on after a pause",
    "skip": "End the present step's hold",
    "undo": "Go back to the revision before",
    "retry": "Roll the newest revision out again",
    "unblock": "Let a revision that was rolled back be tried again",
    "delete": "Take a service away",
}
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the main job on this machine: pushes become served models"),
    "events": ("events", "Look at the events that came in"),
    "local": ("local", "Run the local cloud: up, down, status, env"),
    "plan": ("plan", "Show what a commit would change; nothing is done"),
    "pools": ("pools", "Look at accelerator pools"),
    "rescue": ("rescue", "Put a route back to stable by hand, when all else is down"),
    "rollouts": ("rollouts", "Look at rollouts, running and past"),
    "status": ("status", "Every service: what serves, what is on its way"),
    "validate": ("validate", "Check a config repository: every fault, with its place and remedy"),
    "why": ("why", "Why is a service as it is, what happens next, what to type"),
    "workflows": ("workflows", "Run a Cloud Workflows file on this machine, in virtual time"),
    **{verb: ("acting", text) for verb, text in _ACTING.items()},
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pointsman_cli.{COMMANDS[cmd_name][0]}")
        command = module.COMMANDS[cmd_name] if cmd_name in _ACTING else module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pointsman")
def cli() -> None:
    """Roll models out on GKE by events: push, watch, sleep."""


def main() -> None:
    """Run the command; a PointsmanError becomes one line on stderr and exit status 1 (4 when out of reach)."""
    try:
        status = cli.main(standalone_mode=False)
    except PointsmanError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(4 if isinstance(error, Unavailable) else 1)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)
