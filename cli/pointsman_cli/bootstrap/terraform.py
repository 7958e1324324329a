"""Terraform, as a person would type it: its output is shown, its plan is what is applied."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pointsman.errors import Invalid, Unavailable
from pointsman_cli.bootstrap.estate import sources
from pointsman_cli.output import say

__all__ = ["Terraform", "prepared"]

VERSION_MIN = (1, 7)
INSTALL = "install Terraform 1.7 or newer: https://developer.hashicorp.com/terraform/install"
NO_CHANGES, CHANGES = 0, 2  # of `plan -detailed-exitcode`


@dataclass(frozen=True, slots=True)
class Terraform:
    """`program` in `folder`, with the person's variable files and what was said on the command line."""

    program: str
    folder: Path
    var_files: Sequence[Path]
    variables: Mapping[str, str]

    @property
    def declared(self) -> set[str]:
        """Variables of the root module: Terraform takes no others on its command line."""
        return {
            name
            for file in self.folder.glob("*.tf")
            for name in re.findall(r'^variable "(\w+)"', file.read_text(), re.MULTILINE)
        }

    def init(self) -> None:
        self._run("init", "-input=false")

    def change(self, question: str, *, sure: bool, destroy: bool = False) -> bool:
        """Plan, ask, and apply that very plan; whether there was anything to change. Raises Abort for a no."""
        plan = self.folder / ".terraform" / "pointsman.tfplan"
        if not self.plan(plan, destroy=destroy):
            return False
        if not sure:
            click.confirm(question, abort=True, err=True)
        self.apply(plan)
        return True

    def plan(self, out: Path, *, destroy: bool = False) -> bool:
        """Write a plan; whether it changes anything."""
        arguments = ["-input=false", "-detailed-exitcode", f"-out={out}", *(["-destroy"] if destroy else [])]
        arguments += [f"-var-file={file.resolve()}" for file in self.var_files]
        declared = self.declared
        arguments += [f"-var={name}={value}" for name, value in self.variables.items() if name in declared]
        return self._run("plan", *arguments, fine=(NO_CHANGES, CHANGES)) == CHANGES

    def apply(self, plan: Path) -> None:
        self._run("apply", "-input=false", str(plan))

    def _run(self, verb: str, *arguments: str, fine: Sequence[int] = (0,)) -> int:
        say(f"terraform {verb} in {self.folder}", err=True)
        sys.stdout.flush()
        plain = ["-no-color"] if os.environ.get("NO_COLOR") or not sys.stdout.isatty() else []
        status = subprocess.run([self.program, verb, *plain, *arguments], cwd=self.folder, check=False).returncode
        if status not in fine:
            # Agents of Google's services are made at first use, and their rights come minutes later.
            remedy = "read what Terraform says; after a first apply it may help to run it again in five minutes"
            raise Unavailable(f"terraform {verb} ended with {status}", where=str(self.folder), remedy=remedy)
        return status


def prepared(
    project: str, location: str, cluster_name: str, var_files: Sequence[Path], folder: Path | None, *, sure: bool
) -> Terraform:
    """Terraform, initialised, with the functions' archive of this checkout built. Raises Invalid where Terraform or its
    files are not there, UsageError where somebody must be asked and nobody is there."""
    _need_an_answer(sure=sure)
    program, where = _found(), _root(folder)
    said = {"project": project, "location": location, "cluster": cluster_name, "archive": str(_archived(where))}
    terraform = Terraform(program, where, var_files, said)
    terraform.init()
    return terraform


def _found() -> str:
    """Path of Terraform. Raises Invalid where it is not there, or too old."""
    program = shutil.which("terraform")
    if program is None:
        raise Invalid("terraform is not installed", where="PATH", remedy=INSTALL)
    told = subprocess.run([program, "version", "-json"], capture_output=True, check=False).stdout
    try:
        version = str(json.loads(told)["terraform_version"])
        number = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    except (ValueError, KeyError) as error:
        raise Invalid("terraform does not say its version", where=program, remedy=INSTALL) from error
    if number < VERSION_MIN:
        raise Invalid(f"terraform is {version}", where=program, remedy=INSTALL)
    return program


def _root(folder: Path | None) -> Path:
    """Where Terraform runs: the folder that was named, or this checkout's. Raises Invalid where there is none."""
    chosen = folder or sources() / "bootstrap" / "terraform"
    if not any(chosen.glob("*.tf")):
        remedy = "run it from a checkout of pointsman, or name your own with --dir"
        raise Invalid("there are no Terraform files", where=str(chosen), remedy=remedy)
    return chosen.resolve()


def _archived(folder: Path) -> Path:
    """The functions' archive, built beside what Terraform keeps of its own."""
    from pointsman_cli.bootstrap.archive import archive

    path = folder / ".terraform" / "pointsman-functions.zip"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(archive())
    return path


def _need_an_answer(*, sure: bool) -> None:
    """Wrong usage where nobody said yes, and nobody is there to ask: before anything is begun."""
    if not sure and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("no terminal is attached, and nobody can be asked: say --yes")
