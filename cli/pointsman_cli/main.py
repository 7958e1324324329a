"""The command's entry: finds a subcommand in its own file, loads only that, and says errors in one line.

Exit status: 0 done · 1 refused, failed or faults found · 2 wrong usage · 3 refused at deployment
(`workflows run`) · 4 local cloud not running or a service out of reach · 130 Ctrl-C.
"""

import difflib
import importlib
import sys
from collections.abc import Mapping

import click

from pointsman.errors import PointsmanError, Unavailable

__all__ = ["cli", "main"]

# Heading of the help → subcommand → its help in one line. A subcommand is in the module of its name,
# those that act are all in `acting`.
_ACT = "Act"
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Look": {
        "status": "Every service: what serves, what is on its way",
        "why": "Why is a service as it is, what happens next, what to type",
        "rollouts": "Rollouts, running and past: list, get, watch",
        "events": "The events that came in: list, get",
        "trace": "One event's whole way, with times",
        "pools": "Accelerator pools: list, get",
        "judge": "Verdicts: explain, report, record, replay, simulate",
    },
    _ACT: {
        "promote": "Take a canary to 100 % now",
        "abort": "Give all traffic back to stable",
        "approve": "Approve the step that waits",
        "pause": "Hold a rollout's weights where they are, or those of all",
        "resume": "Go on after a pause",
        "skip": "End the present step's hold",
        "undo": "Go back to the revision before",
        "retry": "Roll the newest revision out again",
        "unblock": "Let a revision that was rolled back be tried again",
        "delete": "Take a service away",
    },
    "When all else is down": {
        "rescue": "Put a route back to stable by hand, with nothing but kubeconfig",
    },
    "Check before pushing": {
        "validate": "Every fault of a config repository, with its place and remedy",
        "plan": "What a commit would change; nothing is done",
        "workflows": "Run a Cloud Workflows file on this machine, in virtual time",
    },
    "In the cloud": {
        "bootstrap": "The control plane: plan, apply, doctor, rbac, destroy",
    },
    "On this machine": {
        "local": "The local cloud: up, down, status, env",
        "demo": "The main job: pushes become served models",
    },
}
_NAMES = {name for section in SECTIONS.values() for name in section}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _NAMES:
            return None
        if cmd_name in SECTIONS[_ACT]:
            command = importlib.import_module("pointsman_cli.acting").COMMANDS[cmd_name]
        else:
            command = importlib.import_module(f"pointsman_cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _NAMES and not name.startswith("-"):
            near = difflib.get_close_matches(name, _NAMES, 1)
            ctx.fail(f"no such command {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(len(name) for name in _NAMES)
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), text) for name, text in commands.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pointsman")
def cli() -> None:
    """Roll models out on GKE by events: push, watch, sleep."""


def main() -> None:
    """Run the command; an error becomes one line on stderr that ends with what to type next."""
    try:
        status = cli.main(prog_name="pointsman", standalone_mode=False)
    except PointsmanError as error:
        _say(str(error))
        sys.exit(4 if isinstance(error, Unavailable) else 1)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _say(f"{_message(error)} — {_see(error)}")
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _say(text: str) -> None:
    click.echo(f"error: {' '.join(text.split())}", err=True)


def _message(error: click.ClickException) -> str:
    """click's words in the form of ours: one sentence without capital and full stop."""
    text = error.format_message().rstrip(".").replace(". Did you mean", ", did you mean")
    return text[:1].lower() + text[1:]


def _see(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see: {context.command_path if context else 'pointsman'} --help"
