"""`python -m pointsman_cli.bootstrap.archive OUT`: what is deployed, in one file: `main.py`, its requirements, us.

The same sources give the same bytes, whenever and wherever they are packed: names are sorted, times and modes fixed,
and nothing is compressed, since two builds of zlib need not agree ("zipfile" in Python's docs; the file is small, and
Cloud Build unpacks it once). So its digest, which is part of its name in the bucket, changes when a source does, and
only then are the functions deployed anew.
"""

import io
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import pointsman
from pointsman.errors import Absent

__all__ = ["archive", "main", "members"]

HERE = Path(pointsman.__file__).parent
BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can tell."""
UNIX = 3
PLAIN_FILE = 0o100644 << 16
ROOT_FILES = ("main.py", "requirements.txt")
LEFT_OUT = (".pyc", ".pyo")


def archive(package: Path = HERE) -> bytes:
    """The zip of the package `pointsman` and what lies beside it.

    Raises Absent where neither a checkout nor the installed distribution has what is deployed.
    """
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as packed:
        for name, data in members(package):
            info = ZipInfo(name, BEGINNING)
            info.create_system, info.external_attr = UNIX, PLAIN_FILE
            packed.writestr(info, data)
    return content.getvalue()


def members(package: Path = HERE) -> Iterator[tuple[str, bytes]]:
    """Names and contents, sorted: the files of a build on Google Cloud, where `main.py` lies at the root."""
    beside = _beside(package)
    found = {name: beside / name for name in ROOT_FILES}
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if path.is_file() and not hidden and path.suffix not in LEFT_OUT:
            found[f"pointsman/{inside.as_posix()}"] = path
    yield from ((name, found[name].read_bytes()) for name in sorted(found))


def _beside(package: Path) -> Path:
    """The folder with `main.py`: that of the package in a checkout, else what the distribution carries."""
    for folder in (package.parent, package.parent / "pointsman_local" / "deployed" / "functions"):
        if all((folder / name).is_file() for name in ROOT_FILES):
            return folder
    raise Absent("main.py of the functions is not here", where=str(package.parent), remedy="pip install pointsman")


def main() -> int:
    """Write the archive; say its digest."""
    if len(sys.argv) != 2:
        print("usage: python -m pointsman_cli.bootstrap.archive OUT", file=sys.stderr)
        return 2
    content, out = archive(), Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    print(f"{sha256(content).hexdigest()}  {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
