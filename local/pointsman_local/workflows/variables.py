"""Environment variables of a workflow: limits of its own ("Workflows API", Workflow.userEnvVars)."""

from collections.abc import Mapping
from typing import Final

__all__ = ["problem_of"]

VARIABLES_MAX: Final = 20
VALUE_BYTES_MAX: Final = 4096
RESERVED: Final = ("GOOGLE", "WORKFLOWS")


def problem_of(variables: Mapping[str, str]) -> str | None:
    """Why a deployment with these variables of its own is refused; None when it is not."""
    if len(variables) > VARIABLES_MAX:
        return f"more than {VARIABLES_MAX} environment variables"
    for name, value in variables.items():
        if not name or name.startswith(RESERVED):
            return f"environment variable '{name}' is reserved"
        if len(value.encode("utf-8", "surrogateescape")) > VALUE_BYTES_MAX:
            return f"environment variable '{name}' is larger than 4 KiB"
    return None
