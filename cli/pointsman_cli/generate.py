"""Writes what is made from the code: `schemas/*.json`, `docs/reference/`, and tables inside other pages.

`python -m pointsman_cli.generate` (or `make schemas`); a test fails when what lies there is not what this writes.
"""

import json
import sys
from pathlib import Path

from pointsman_cli.generate_reference import pages
from pointsman_cli.reference import reference
from pointsman_cli.schemas import schemas

__all__ = ["generated", "main"]

ROOT = Path(__file__).resolve().parents[2]


def generated() -> dict[str, str]:
    """Path from the repository's root → content, of what is made from the documents' models."""
    files = {
        f"schemas/{name}": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas().items()
    }
    files["docs/reference/documents.md"] = reference()
    return files


def main() -> int:
    """Write every file, the pages of `generate_reference` too; says which."""
    for path, content in {**generated(), **pages()}.items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
