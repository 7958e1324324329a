"""Terraform's own program, run on a copy: state, lock files and what is tried out never reach the tree."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.terraform_standin.cache import ROOT, installed

__all__ = ["CARRIED", "EXAMPLES", "Failed", "Terraform", "copied", "missing"]

EXAMPLES = tuple(
    sorted(path.name for path in (ROOT / "bootstrap" / "terraform" / "examples").iterdir() if path.is_dir())
)
PROGRAM_S = 120
CARRIED = ("bootstrap", "workflows", "dashboards")
"""What the Terraform reads, from the root of the repository."""


class Failed(Exception):
    """Terraform ended with an error; says all that Terraform said."""


def missing() -> str | None:
    """Why no Terraform can be run here, or None."""
    return None if shutil.which("terraform") else "no terraform on the PATH"


def copied(folder: Path) -> Path:
    """What Terraform reads, copied below `folder`, with an archive; gives the copy of `bootstrap/terraform`."""
    for name in CARRIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    (folder / "archive.zip").write_bytes(b"an archive")
    return folder / "bootstrap" / "terraform"


def types() -> set[str]:
    """Every kind of resource and data source that the Terraform in the tree names."""
    named = re.compile(r'^(?:resource|data) "(\w+)"', re.M)
    files = (ROOT / "bootstrap" / "terraform").rglob("*.tf")
    return {kind for path in files for kind in named.findall(path.read_text())}


class Terraform:
    """One configuration: its folder (a copy), and the values of its variables. Raises Unobtainable where it is made."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
            **{f"TF_VAR_{name}": value for name, value in variables.items()},
            "TF_CLI_CONFIG_FILE": str(installed(types())),
            "TF_IN_AUTOMATION": "1",
            "GOGC": "400",  # a fifth less processor time, for memory that is given back when the command ends
        }

    def run(self, *arguments: str, answers: Sequence[int] = (0,)) -> str:
        """What the command prints. Raises Failed when it exits with none of `answers`."""
        command = ["terraform", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PROGRAM_S,
            check=False,
        )
        if done.returncode not in answers:
            raise Failed(f"{' '.join(command)} in {self.folder.name}: {done.stdout}{done.stderr}")
        return done.stdout

    def init(self) -> None:
        self.run("init", "-no-color", "-input=false")

    def faults(self) -> list[str]:
        """What `validate` finds: each fault with file and line; empty when all is well."""
        found = json.loads(self.run("validate", "-json", answers=(0, 1)))["diagnostics"]
        return [_said(item) for item in found]

    def apply(self) -> Mapping[str, Any]:
        """Plan from nothing and apply that plan; the state afterwards, as `terraform show -json` gives it."""
        self.run("plan", "-no-color", "-input=false", "-out=first.plan")
        self.run("apply", "-no-color", "-input=false", "first.plan")
        shown: Mapping[str, Any] = json.loads(self.run("show", "-json"))
        return shown

    def settled(self) -> bool:
        """Whether a second plan would change nothing."""
        return "No changes" in self.run("plan", "-no-color", "-input=false", "-detailed-exitcode", answers=(0, 2))

    def destroy(self) -> list[str]:
        """Destroy everything; what the state still holds, which is nothing."""
        self.run("destroy", "-no-color", "-input=false", "-auto-approve", "-refresh=false")
        return self.run("state", "list").split()


def _said(item: Mapping[str, Any]) -> str:
    place = item.get("range", {})
    where = f"{place.get('filename')}:{place.get('start', {}).get('line')}: " if place else ""
    return f"{where}{item['summary']}: {item.get('detail', '')}".strip()
