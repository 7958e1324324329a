"""`python -m dashboards.pictures [FILE]`: play on a local cloud, and draw what its dashboards show into docs/pictures/.

With FILE the numbers are kept there, or taken from there when it exists: drawing again needs no cloud then.
"""

import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.__main__ import DASHBOARDS
from dashboards.drawing import Picture, picture
from dashboards.panels import Panel
from dashboards.playing import play
from pointsman_cli.demo.stage import Stage

__all__ = ["FOLDER", "MARKS", "main"]

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
STEP_S = 2
MARKS: Mapping[str, str] = {
    "<namespace>": 'namespace=~".*"',
    "<service>": 'service=~".*"',
    "<window>": "10s",
    "<tick>": "6s",
    "<sweep>": "25s",
    "24h": "10m",
}
"""The local cloud's time is shorter: a tick is two seconds there, and the last day the last ten minutes."""

Results = dict[str, list[dict[str, Any]]]
"""Query → its series, as Prometheus' API answers them."""


def main() -> None:
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if kept is not None and kept.exists():
        found = json.loads(kept.read_text())
    else:
        found = _played()
        if kept is not None:
            kept.write_text(json.dumps(found))
    FOLDER.mkdir(exist_ok=True)
    for dashboard in DASHBOARDS:
        path = FOLDER / f"{dashboard.name}.svg"
        drawn = Picture(found["start"], found["end"], found["results"])
        path.write_text(picture(dashboard, drawn, spelled), encoding="utf-8")
        print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size // 1024} KiB")


def spelled(promql: str) -> str:
    """A query as the local cloud is asked it."""
    for mark, spelling in MARKS.items():
        promql = promql.replace(mark, spelling)
    return promql


def _played() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
        begun = time.time()
        stage = Stage(Path(folder) / "cloud")
        try:
            play(stage, lambda text: print(f"{time.time() - begun:5.0f} s  {text}", flush=True))
            end = time.time()
            results: Results = {}
            for dashboard in DASHBOARDS:
                for row in dashboard.rows:
                    for panel in row.panels:
                        results |= _asked(stage.environment["POINTSMAN_PROMETHEUS_URL"], panel, begun, end)
            return {"start": begun, "end": end, "results": results}
        finally:
            stage.close()


def _asked(url: str, panel: Panel, start: float, end: float) -> Results:
    found: Results = {}
    for query in panel.queries:
        promql = spelled(query.promql)
        if panel.kind in ("number", "table"):
            found[promql] = _get(f"{url}/api/v1/query", {"query": promql, "time": str(end)})
        else:
            times = {"start": str(start), "end": str(end), "step": str(STEP_S)}
            found[promql] = _get(f"{url}/api/v1/query_range", {"query": promql, **times})
        if not found[promql]:
            print(f"nothing: {panel.title}: {promql}", file=sys.stderr)
    return found


def _get(url: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=120) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    return found


if __name__ == "__main__":
    main()
