"""One JSON object a line on stdout, which Cloud Logging takes apart ("Structured logging" in its docs).

Fields are what a caller names, one by one: never a header, a body or an exception's text, which may hold secrets.
"""

import json
import sys

__all__ = ["log"]


def log(event: str, *, severity: str = "INFO", **fields: object) -> None:
    """Write one line: what happened and its fields; those that are None are left out."""
    known = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps({"severity": severity, "event": event, **known}, default=str) + "\n")
    sys.stdout.flush()
