"""What the stand-in needs on disk, built once into a folder that git ignores: the schema, and a mirror for Terraform.

The binding is MPL-2.0 and 30 to 50 MB: it is neither committed nor shipped, but fetched from npm, or from PyPI where
there is no npm, and thrown away once the schema (170 kB) has been read from it.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from tools.terraform_standin.binding import recovered
from tools.terraform_standin.schema import Schema, read, write

__all__ = ["FOLDER", "Unobtainable", "installed", "schema", "schema_file"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "terraform"
VERSION = "6.50.0"
"""Of the provider: the newest that has a binding. CDKTF ended in 2025, so there will be no newer one."""
PYPI = "cdktf-cdktf-provider-google==16.12.1"
SOURCES: Sequence[tuple[str, Sequence[str]]] = (
    ("npm", ("npm", "pack", "--fetch-retries=0", "@cdktf/provider-google@16.12.1")),
    (sys.executable, (sys.executable, "-m", "pip", "download", "--quiet", "--retries=0", "--no-deps", PYPI)),
)
FETCH_S = 120


class Unobtainable(Exception):
    """The schema is neither in the cache nor to be had; says why."""


def schema() -> Schema:
    """The schema of google 6.50.0. Raises Unobtainable."""
    return read(schema_file())


def schema_file(folder: Path = FOLDER) -> Path:
    """The schema's file in `folder`, built when it is missing: 5 s and a download. Raises Unobtainable."""
    file = folder / f"google-{VERSION}.schema.gz"
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not file.exists():
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                found = recovered(_fetched(Path(draft)))
                assert found.version == VERSION, f"the binding is of {found.version}"
                write(found, Path(draft, "schema.gz"))
                Path(draft, "schema.gz").replace(file)
    return file


def installed(types: Collection[str] = (), folder: Path = FOLDER) -> Path:
    """A CLI configuration (`TF_CLI_CONFIG_FILE`) that knows the stand-in and no registry. Raises Unobtainable.

    With `types` the stand-in knows these resources and data sources alone: Terraform reads the whole schema at every
    command, and 60 kinds of 1,469 are read in a third of the time.
    """
    file = schema_file(folder)
    if types:
        file = _reduced(file, types)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    mirror = folder / file.stem
    provider = mirror / "registry.terraform.io" / "hashicorp" / "google" / VERSION / f"{sys.platform}_{machine}"
    provider.mkdir(parents=True, exist_ok=True)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tools.terraform_standin.process import main; main()"
    # -I: nothing of the caller's environment or folder takes part.
    script = f'#!/bin/sh\nexec "{sys.executable}" -I -c "{start}" "{file}"\n'
    _put(provider / f"terraform-provider-google_v{VERSION}_x5", script, 0o755)
    configuration = folder / f"{file.stem}.terraformrc"
    text = (
        "disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n"
        f'    path = "{mirror}"\n  }}\n}}\n'
    )
    _put(configuration, text, 0o644)
    return configuration


def _reduced(whole: Path, types: Collection[str]) -> Path:
    """A schema of only those types, beside the whole one."""
    name = hashlib.sha256(" ".join(sorted(types)).encode()).hexdigest()[:12]
    file = whole.with_name(f"google-{VERSION}-{name}.schema.gz")
    if not file.exists():
        known = read(whole)
        draft = file.with_suffix(f".{os.getpid()}")
        write(
            Schema(
                known.version,
                known.provider,
                {kind: block for kind, block in known.resources.items() if kind in types},
                {kind: block for kind, block in known.data_sources.items() if kind in types},
            ),
            draft,
        )
        draft.replace(file)
    return file


def _put(path: Path, text: str, mode: int) -> None:
    """Write the file unless it is there already: another process may be starting it."""
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def _fetched(folder: Path) -> Path:
    said = []
    for program, command in SOURCES:
        if shutil.which(program) is None:
            said.append(f"no {program}")
            continue
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            said.append(f"{program}: no answer in {FETCH_S} s")
            continue
        found = [path for path in folder.iterdir() if path.suffix in (".tgz", ".whl")]
        if done.returncode == 0 and found:
            return found[0]
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        said.append(f"{Path(program).name}: {lines[0] if lines else 'nothing came'}")
    raise Unobtainable(f"the schema of google {VERSION} could not be fetched: {'; '.join(said)}")
