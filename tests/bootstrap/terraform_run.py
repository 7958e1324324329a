"""What real Terraform makes of an example, once a process: validate, plan, apply, a second plan, destroy.

Without Terraform, or without its schema, tests skip and say why; with POINTSMAN_REQUIRE_TERRAFORM=1 they fail instead.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tools.terraform_standin.cache import FOLDER, ROOT, Unobtainable, schema
from tools.terraform_standin.check import variables_of
from tools.terraform_standin.schema import Schema
from tools.terraform_standin.terraform import CARRIED, Terraform, copied, missing

__all__ = ["PROJECT", "Item", "Run", "known_schema", "run_of", "trial"]

REQUIRE = "POINTSMAN_REQUIRE_TERRAFORM"
PROJECT = "demo-project"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that Terraform made: its type, its name in the files, its key there, and all its values."""

    kind: str
    name: str
    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of an example. `settled`: a second plan changed nothing. `left`: what destroy left in the state."""

    faults: Sequence[str]
    made: Sequence[Item]
    settled: bool
    left: Sequence[str]

    def of(self, kind: str, name: str | None = None) -> list[Item]:
        return [item for item in self.made if item.kind == kind and name in (None, item.name)]

    def one(self, kind: str, name: str, key: str) -> Mapping[str, Any]:
        [found] = [item for item in self.of(kind, name) if item.key == key]
        return found.values


def known_schema() -> Schema:
    """The provider's schema; skips the test where it cannot be had."""
    found = _schema()
    if isinstance(found, str):
        _without(found)
    return found


@cache
def _schema() -> Schema | str:
    """The schema, or why there is none: asked for once a process, since a network that is away takes its time."""
    try:
        return schema()
    except Unobtainable as error:
        return str(error)


@cache
def run_of(example: str) -> Run:
    """The whole life of an example: Terraform's answer is kept until something changes that it depends on."""
    _needed()
    folder = FOLDER / "runs"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{example}-{_digest()}.json"
    with (folder / f"{example}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes test
        if not kept.exists():
            for old in folder.glob(f"{example}-*.json"):
                old.unlink()
            kept.write_text(json.dumps(_lived(example)))
    content: dict[str, Any] = json.loads(kept.read_text())
    return Run(
        content["faults"],
        list(_items(content["made"])),
        content["settled"],
        content["left"],
    )


def _lived(example: str) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pointsman") as draft:
        it = Terraform(copied(Path(draft)) / "examples" / example, variables_of(Path(draft)))
        it.init()
        return {
            "faults": it.faults(),
            "made": it.apply()["values"],
            "settled": it.settled(),
            "left": it.destroy(),
        }


def _digest() -> str:
    """Of all that a run depends on: what Terraform reads, the stand-in, Terraform itself."""
    found = hashlib.sha256(Path(shutil.which("terraform") or "").read_bytes())
    for name in (*CARRIED, "tools"):
        for path in sorted((ROOT / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def trial(folder: Path) -> Terraform:
    """The module itself, initialised in a copy below `folder`, to be spoilt."""
    _needed()
    it = Terraform(copied(folder), {**variables_of(folder), "location": "us-central1"})
    it.init()
    return it


def _items(values: Mapping[str, Any]) -> Iterator[Item]:
    waiting = [values["root_module"]]
    while waiting:
        module = waiting.pop()
        waiting += module.get("child_modules", ())
        called = module.get("address", "").rpartition('["')[2].rstrip('"]')
        for item in module.get("resources", ()):
            if item["mode"] == "managed":
                yield Item(item["type"], item["name"], str(item.get("index", called)), item["values"])


def _needed() -> None:
    known_schema()
    if why := missing():
        _without(why)


def _without(why: str) -> NoReturn:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but {why}")
    pytest.skip(why)
