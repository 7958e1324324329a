"""`check`: all that can be known of the Terraform without a cloud, for every example."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tools.terraform_standin import hcl
from tools.terraform_standin.cache import ROOT, Unobtainable, schema
from tools.terraform_standin.terraform import EXAMPLES, Failed, Terraform, copied, missing

__all__ = ["check", "variables_of"]

TERRAFORM = ROOT / "bootstrap" / "terraform"
SCAN_S = 300


def variables_of(folder: Path) -> dict[str, str]:
    """Values for the variables that examples have, in a copy of the repository in `folder`."""
    return {"project": "demo-project", "archive": str(folder / "archive.zip")}


def check() -> Iterator[tuple[str, str, list[str]]]:
    """Each check's name, why it was left out (empty: it was not), and its faults (empty: none)."""
    try:
        known = schema()
    except Unobtainable as error:
        yield "schema", str(error), []
        return
    for folder in modules():
        found = hcl.faults(hcl.parsed(folder), known)
        yield f"names in {folder.relative_to(ROOT)}", "", found
    why = missing()
    if why:
        yield "terraform", why, []
    else:
        yield from _by_terraform()
    yield _scanned()


def modules() -> list[Path]:
    """Every folder with Terraform files."""
    return sorted({path.parent for path in TERRAFORM.rglob("*.tf") if ".terraform" not in path.parts})


def _by_terraform() -> Iterator[tuple[str, str, list[str]]]:
    with tempfile.TemporaryDirectory(prefix="pointsman") as draft:
        root = copied(Path(draft))
        variables = variables_of(Path(draft))
        unformatted = Terraform(root, {}).run("fmt", "-check", "-recursive", answers=(0, 3)).split()
        yield "fmt", "", [f"{name}: run terraform fmt" for name in unformatted]
        module = Terraform(root, {})
        module.init()
        yield "test", "", _failed(partial(module.run, "test", "-no-color"))
        for name in EXAMPLES:
            example = Terraform(root / "examples" / name, variables)
            example.init()
            faults = example.faults()
            yield f"{name}: validate", "", faults
            if not faults:
                yield f"{name}: plan, apply, re-plan, destroy", "", _failed(partial(_around, example))


def _around(example: Terraform) -> None:
    example.apply()
    if not example.settled():
        raise Failed(f"{example.folder.name}: a second plan changes something")
    left = example.destroy()
    if left:
        raise Failed(f"{example.folder.name}: left over after destroy: {', '.join(left)}")


def _failed(run: Callable[[], object]) -> list[str]:
    try:
        run()
    except Failed as error:
        return [str(error)]
    return []


def _scanned() -> tuple[str, str, list[str]]:
    """checkov, where somebody installed it: 291 MB are too much for everybody's virtual environment."""
    program = shutil.which("checkov")
    if program is None:
        return "checkov", "not installed (pip install checkov==3.3.30: 291 MB)", []
    command = [program, "--directory", str(TERRAFORM), "--skip-download", "--quiet", "--compact", "--framework"]
    done = subprocess.run([*command, "terraform"], capture_output=True, text=True, timeout=SCAN_S, check=False)
    return "checkov", "", [] if done.returncode == 0 else [done.stdout + done.stderr]
