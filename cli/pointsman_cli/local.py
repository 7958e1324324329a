"""`pointsman local`: the local cloud, from the outside."""

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import click

from pointsman.errors import Invalid, Unavailable
from pointsman_cli.output import Column, emit, output_option, say, table

__all__ = ["command", "data_option", "default_data", "environment"]

STOP_S = 30.0
POLL_S = 0.05


def default_data() -> Path:
    """Where a local cloud keeps its state unless `--data` says otherwise."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pointsman"


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_data,
    show_default="~/.local/share/pointsman",
    help="Directory with the cloud's state.",
)


def environment(data: Path) -> dict[str, str]:
    """The environment of the cloud that runs on `data`. Raises Unavailable when none does, or it is not ready."""
    _holder(data)
    try:
        found: dict[str, str] = json.loads((data / "run" / "endpoints.json").read_text())
    except FileNotFoundError:
        raise Unavailable(
            "the local cloud is not ready yet", where=str(data), remedy=f"see: pointsman local status{_of(data)}"
        ) from None
    return found


@click.group()
def command() -> None:
    """Run the local cloud on this machine."""


@command.command()
@data_option
@click.option("--until-eof", is_flag=True, hidden=True, help="Stop at the end of standard input, too.")
def up(data: Path, until_eof: bool) -> None:
    """Start the local cloud and keep it running until Ctrl-C.

    Exit status: 0 when it was stopped, 130 when that was before it was ready, 4 when it does not come up or another
    one runs on the same directory.
    """
    try:
        from pointsman_local import supervisor
        from pointsman_local.site import Site
    except ModuleNotFoundError as error:
        raise Invalid(f"the local cloud needs {error.name}", remedy="pip install 'pointsman[local]'") from error

    ready = False

    def told(site: Site, seconds: float) -> None:
        nonlocal ready
        ready = True
        say(f"local cloud ready in {seconds:.1f} s, state in {site.data}", err=True)
        say(f'  in another terminal: eval "$(pointsman local env{_of(data)})"', err=True)
        say(f"  git remote:          {site.url('git')}/local/config.git", err=True)
        say(f"  gateway:             {site.url('gateway')}", err=True)
        say("  Ctrl-C stops it", err=True)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if until_eof:  # whoever started it holds the other end: however that one dies, this is heard
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
        await supervisor.up(data, stop, told)

    asyncio.run(run())
    if not ready:
        raise click.Abort


@command.command()
@data_option
def down(data: Path) -> None:
    """Stop the local cloud that runs on the data directory."""
    from pointsman_local.lock import holder

    pid = _holder(data)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while holder(data / "run" / "lock") == pid:
        if time.monotonic() > deadline:
            raise Unavailable(f"process {pid} did not end in {STOP_S:.0f} s", remedy=f"kill -9 {pid}")
        time.sleep(POLL_S)
    say("stopped", err=True)


COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("PID", lambda row: str(row["pid"])),
    Column("PORT", lambda row: str(row["port"])),
)


@command.command()
@data_option
@output_option("table", "json")
def status(data: Path, output: str) -> None:
    """Say which processes run, and where each listens."""
    _holder(data)
    try:
        processes = json.loads((data / "run" / "status.json").read_text())["processes"]
    except FileNotFoundError:
        processes = []  # it is just starting
    if output == "json":
        emit({"processes": processes}, output)
    else:
        table(processes, COLUMNS)


@command.command(short_help='Print what a shell needs: eval "$(pointsman local env)"')
@data_option
@click.option("-o", "--output", type=click.Choice(["shell", "json"]), default="shell", show_default=True)
def env(data: Path, output: str) -> None:
    """Print what a shell needs to speak to the local cloud: eval "$(pointsman local env)"."""
    variables = environment(data)
    if output == "json":
        emit(variables, output)
        return
    for name, value in variables.items():
        say(f"export {name}={shlex.quote(value)}")


def _holder(data: Path) -> int:
    """The process that runs the cloud on `data`. Raises Unavailable when none does."""
    from pointsman_local.lock import holder

    pid = holder(data / "run" / "lock")
    if pid is None:
        raise Unavailable("the local cloud is not running", where=str(data), remedy=f"pointsman local up{_of(data)}")
    return pid


def _of(data: Path) -> str:
    """` --data DIR`, where that must be said."""
    full = data.resolve()
    return "" if full == default_data().resolve() else f" --data {shlex.quote(str(full))}"
