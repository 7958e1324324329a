"""`pointsman workflows`: run a Cloud Workflows file on this machine, alone and in virtual time."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import click

__all__ = ["command"]

ARGUMENT_BYTES_MAX = 32 * 1024  # Workflow Executions API, Execution.argument
REFUSED = 3
INVALID_ARGUMENT = 3  # google.rpc.Code


@click.group()
def command() -> None:
    """Work with Cloud Workflows files."""


def _variable(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from pointsman_local.workflows.rehearsal import environment
    from pointsman_local.workflows.values import whole
    from pointsman_local.workflows.variables import problem_of

    variables: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not K=V", ctx=ctx, param=parameter)
        variables[name] = whole(text)
    own = {name: text for name, text in variables.items() if name not in environment("", "", "")}
    problem = problem_of(own)
    if problem is not None:
        raise click.BadParameter(problem, ctx=ctx, param=parameter)
    return variables


def _argument(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from pointsman_local.workflows.errors import Raised
    from pointsman_local.workflows.values import decode_json

    data = value.encode("utf-8", "surrogateescape")
    if len(data) > ARGUMENT_BYTES_MAX:
        raise click.BadParameter("larger than 32 KB", ctx=ctx, param=parameter)
    try:
        return decode_json(data)
    except Raised as error:
        raise click.BadParameter(error.message.removeprefix("ValueError: "), ctx=ctx, param=parameter) from None


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", metavar="JSON", callback=_argument, help="Argument of the execution.")
@click.option(
    "--env",
    metavar="K=V",
    multiple=True,
    callback=_variable,
    help="Environment variable of the workflow; a built-in one's name takes its place.",
)
@click.option("-o", "output", type=click.Choice(("json", "table")), default="json", show_default=True)
def run(file: Path, data: Any, env: dict[str, str], output: str) -> int:
    """Run FILE to its end; sleeps and back-offs cost nothing.

    HTTP requests of the file are made as they stand there, without credentials. What it logs goes to stderr.

    Exit status: 0 succeeded, 1 failed, 2 wrong usage, 3 refused at deployment.
    """
    from pointsman_local.workflows.compiler import deploy
    from pointsman_local.workflows.errors import Refused
    from pointsman_local.workflows.rehearsal import environment, rehearse

    try:
        program = deploy(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8") from None
    except Refused as refused:
        if refused.place is not None:
            click.echo(f"{file}:{refused.place.line}:{refused.place.column}: {refused.message}", err=True)
        message = f"{refused.message} (Code: {INVALID_ARGUMENT})"
        if output == "json":
            _print({"deployError": {"code": INVALID_ARGUMENT, "message": message}})
        else:
            click.echo(message)
        return REFUSED
    variables = {**environment(file.stem, "local", "us-central1"), **env}
    outcome = rehearse(program, data, variables, _log)
    error = None if outcome.error is None else {"payload": outcome.error.value, "context": outcome.error.context}
    result = None if outcome.result is None else json.loads(outcome.result)
    state = "SUCCEEDED" if error is None else "FAILED"
    if output == "json":
        _print({"state": state, "result": result, "error": error})
    else:
        rows = [("STATE", state), ("RESULT", _text(result))] if error is None else [("STATE", state)]
        if error is not None:
            rows += [
                ("ERROR", _text(error["payload"])),
                ("CONTEXT", str(error["context"]).replace("\n", "\n         ")),
            ]
        for name, value in rows:
            click.echo(f"{name:<9}{value}")
    return 0 if error is None else 1


def _print(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_encoded))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_encoded)


def _encoded(value: Any) -> str:
    """What JSON cannot say: bytes in an error."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else repr(value)


def _log(severity: str, payload: Any) -> None:
    text = payload if isinstance(payload, str) else _text(payload)
    print(f"{severity} {text}", file=sys.stderr)
