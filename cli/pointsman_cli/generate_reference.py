"""Writes the pages of `docs/` that are made from the code: the reference, and the tables inside other pages.

`python -m pointsman_cli.generate` (or `make schemas`) writes them with everything else that is generated; a test fails
when what lies there is not what this gives.
"""

from functools import cache
from pathlib import Path

from pointsman_cli.reference_blocks import filled
from pointsman_cli.reference_checks import checks
from pointsman_cli.reference_errors import errors
from pointsman_cli.reference_events import events
from pointsman_cli.reference_logs import logs
from pointsman_cli.reference_settings import settings
from pointsman_cli.reference_topology import topology

__all__ = ["pages"]

ROOT = Path(__file__).resolve().parents[2]
WITH_BLOCKS = ("docs/judge.md", "docs/rollout.md")


@cache
def pages() -> dict[str, str]:
    """Path from the repository's root → content. Of `WITH_BLOCKS` what people wrote is kept as it lies there."""
    return {
        "docs/reference/checks.md": checks(),
        "docs/reference/errors.md": errors(),
        "docs/reference/events.md": events(),
        "docs/reference/logs.md": logs(),
        "docs/reference/settings.md": settings(),
        "docs/reference/topology.md": topology(),
        **{page: filled((ROOT / page).read_text(encoding="utf-8")) for page in WITH_BLOCKS},
    }
