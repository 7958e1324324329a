"""`pointsman validate`: every fault of a config repository, each in one line with its place and remedy."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman.errors import Invalid
from pointsman_cli.output import emit, output_option, say

if TYPE_CHECKING:
    from pointsman.documents import Config, Fault, Loaded

__all__ = ["command", "read_folder"]

# One byte beyond what a file may have, so that the loader can say that it has more.
BYTES_READ = 512 * 1024 + 1
SUFFIXES = (".yaml", ".yml")


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--branch", metavar="NAME", help="Branch whose head this is: a Platform of another branch is refused.")
@click.option(
    "--against", metavar="COMMIT", help="Commit applied last, in this git repository: what is immutable stays."
)
@output_option("table", "json")
def command(path: Path, branch: str | None, against: str | None, output: str) -> int:
    """Check PATH, a config repository's folder or one of its files.

    Of a single file without a Platform only itself is checked, since what it names may stand elsewhere.
    Exit status: 0 without fault, 1 with faults, 2 wrong usage.
    """
    from pointsman.documents import load

    before = _applied(path, against) if against is not None else None
    if path.is_dir():
        loaded = load(read_folder(path), branch=branch, before=before)
    else:
        name = path.as_posix() if not path.is_absolute() and ".." not in path.parts else path.name
        # A file is read whatever it is called: somebody asked for it.
        name = name if name.endswith(SUFFIXES) else f"{name}.yaml"
        loaded = load({name: _read(path)}, branch=branch, before=before, part=True)
    if output == "json":
        emit({"documents": loaded.documents, "faults": [fault.as_json() for fault in loaded.faults]}, "json")
    else:
        _show(loaded)
    return 1 if loaded.faults else 0


def read_folder(root: Path) -> dict[str, bytes]:
    """The YAML files below a folder, by their path from it; what git does not track as a file is left out."""
    files: dict[str, bytes] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            file = Path(folder, name)
            if name.endswith(SUFFIXES) and file.is_file() and not file.is_symlink():
                files[file.relative_to(root).as_posix()] = _read(file)
    return files


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(BYTES_READ)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}", where=str(file)) from error


def _applied(path: Path, committish: str) -> "Config":
    """The configuration of a commit of the git repository that PATH lies in."""
    from dulwich.errors import NotGitRepository
    from dulwich.object_store import iter_tree_contents
    from dulwich.objectspec import parse_commit
    from dulwich.repo import Repo

    from pointsman.documents import load

    try:
        repo = Repo.discover(str(path if path.is_dir() else path.parent))
    except NotGitRepository as error:
        raise click.BadParameter(f"{path} is in no git repository", param_hint="--against") from error
    with repo:
        try:
            tree = parse_commit(repo, committish).tree
        except (KeyError, ValueError) as error:
            raise click.BadParameter(f"no commit {committish} here", param_hint="--against") from error
        root = (path if path.is_dir() else Path(repo.path)).resolve().relative_to(Path(repo.path).resolve())
        prefix = "" if root == Path() else f"{root.as_posix()}/"
        files: dict[str, bytes] = {}
        for entry in iter_tree_contents(repo.object_store, tree):
            name = (entry.path or b"").decode("utf-8", "replace")
            if name.startswith(prefix) and name.endswith(SUFFIXES) and entry.sha in repo.object_store:
                files[name.removeprefix(prefix)] = repo[entry.sha].as_raw_string()[:BYTES_READ]
    loaded = load(files)
    if loaded.config is None:
        raise Invalid(
            f"{committish} has {_count(len(loaded.faults), 'fault')} itself, so that it was never applied",
            where=f"--against {committish}",
            remedy="name the commit that was applied last (`pointsman status`)",
        )
    return loaded.config


def _show(loaded: "Loaded") -> None:
    for fault in loaded.faults:
        say(_line(fault))
    documents = _count(loaded.documents, "document")
    if loaded.faults:
        files = len({fault.file for fault in loaded.faults})
        say(click.style(f"{_count(len(loaded.faults), 'fault')} in {_count(files, 'file')}", fg="red"), err=True)
    else:
        say(click.style(f"{documents}, no fault", fg="green"), err=True)


def _line(fault: "Fault") -> str:
    """`file:line:column path: problem — remedy`, as `str(fault)`, with colours."""
    from pointsman.documents.faults import printable

    place = click.style(printable(f"{fault.file}:{fault.line}:{fault.column}"), fg="cyan")
    path = f" {click.style(printable(fault.path), bold=True)}" if fault.path else ""
    return f"{place}{path}: {click.style(printable(fault.problem), fg='red')} — {printable(fault.remedy)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
