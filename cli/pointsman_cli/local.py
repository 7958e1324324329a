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

from pointsman.errors import Unavailable

__all__ = ["command", "data_option", "default_data", "environment"]

STOP_S = 30.0


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
    try:
        found: dict[str, str] = json.loads((data / "run" / "endpoints.json").read_text())
    except FileNotFoundError:
        raise Unavailable("the local cloud is not running", where=str(data), remedy="pointsman local up") from None
    return found


@click.group()
def command() -> None:
    """Run the local cloud on this machine."""


@command.command()
@data_option
@click.option("--until-eof", is_flag=True, hidden=True, help="Stop at the end of standard input, too.")
def up(data: Path, until_eof: bool) -> None:
    """Start the local cloud and keep it running until Ctrl-C."""
    from pointsman_local import supervisor
    from pointsman_local.site import Site

    def told(site: Site, seconds: float) -> None:
        click.echo(f"local cloud ready in {seconds:.1f} s, state in {site.data}", err=True)
        click.echo('  in another terminal: eval "$(pointsman local env)"', err=True)
        click.echo(f"  git remote:          {site.url('git')}/local/config.git", err=True)
        click.echo(f"  gateway:             {site.url('gateway')}", err=True)
        click.echo("  Ctrl-C stops it", err=True)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if until_eof:  # whoever started it holds the other end: however that one dies, this is heard
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
        await supervisor.up(data, stop, told)

    asyncio.run(run())


@command.command()
@data_option
def down(data: Path) -> None:
    """Stop the local cloud that runs on the data directory."""
    pid = _status(data)["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while _alive(pid):
        if time.monotonic() > deadline:
            raise Unavailable(f"process {pid} did not end in {STOP_S:.0f} s", remedy=f"kill -9 {pid}")
        time.sleep(0.05)
    click.echo("stopped", err=True)


@command.command()
@data_option
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table")
def status(data: Path, output: str) -> None:
    """Say which processes run, and where each listens."""
    processes = _status(data)["processes"]
    assert isinstance(processes, list)
    if output == "json":
        click.echo(json.dumps({"processes": processes}))
        return
    width = max(len(str(row["name"])) for row in processes)
    click.echo(f"{'NAME':<{width}}  {'PID':>7}  PORT")
    for row in processes:
        click.echo(f"{row['name']:<{width}}  {row['pid']:>7}  {row['port']}")


@command.command()
@data_option
@click.option("-o", "output", type=click.Choice(["shell", "json"]), default="shell")
def env(data: Path, output: str) -> None:
    """Print what a shell needs to speak to the local cloud: eval "$(pointsman local env)"."""
    variables = environment(data)
    if output == "json":
        click.echo(json.dumps(variables))
        return
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _status(data: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((data / "run" / "status.json").read_text())
    except FileNotFoundError:
        found = {}
    if not isinstance(found.get("pid"), int) or not _alive(int(str(found["pid"]))):
        raise Unavailable("the local cloud is not running", where=str(data), remedy="pointsman local up")
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
