"""The archive of what is deployed: the same sources, the same bytes."""

import io
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from pointsman.errors import Absent
from pointsman_cli.bootstrap.archive import archive, members

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Another checkout's package, where other tools have left something and files have other times and modes."""
    folder = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
        if path.is_file():
            path.chmod(0o600 if number % 2 else 0o755)
    for name in ("pointsman/__pycache__/x.cpython-311.pyc", "pointsman/core/.mypy_cache/x.json", ".env", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("left by others")
    return folder / "pointsman"


def test_two_builds_of_the_same_sources_are_the_same_bytes(copy: Path) -> None:
    assert archive(copy) == archive()


def test_a_changed_source_is_another_archive(copy: Path) -> None:
    (copy / "core" / "names.py").write_text("# changed\n")
    assert archive(copy) != archive()


def test_it_holds_what_is_deployed_and_nothing_else() -> None:
    with ZipFile(io.BytesIO(archive())) as packed:
        names = packed.namelist()
        assert packed.testzip() is None
        assert {info.compress_type for info in packed.infolist()} == {ZIP_STORED}
        assert packed.read("main.py") == (FUNCTIONS / "main.py").read_bytes()
    assert names == sorted(names)
    tracked = {path.relative_to(FUNCTIONS).as_posix() for path in FUNCTIONS.rglob("*.py")}
    assert set(names) == {*tracked, "requirements.txt", "pointsman/py.typed"}
    assert dict(members())["requirements.txt"] == (FUNCTIONS / "requirements.txt").read_bytes()


def test_its_digest_is_printed_beside_its_name(tmp_path: Path) -> None:
    out = tmp_path / "build" / "functions.zip"
    command = [sys.executable, "-m", "pointsman_cli.bootstrap.archive", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == f"{sha256(out.read_bytes()).hexdigest()}  {out}\n"
    assert out.read_bytes() == archive()


def test_a_package_without_its_entry_points_is_refused(tmp_path: Path) -> None:
    shutil.copytree(FUNCTIONS / "pointsman", tmp_path / "pointsman", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.raises(Absent, match=r"main\.py of the functions is not here"):
        archive(tmp_path / "pointsman")
