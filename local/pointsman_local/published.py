"""Files that others read while they are written: whole at every moment."""

import json
import os
from pathlib import Path

__all__ = ["publish"]


def publish(path: Path, content: object, *, mode: int = 0o600) -> None:
    """Write `content` (JSON, or text as it is) to `path` so that a reader sees the old or the new, never half."""
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    os.replace(draft, path)
