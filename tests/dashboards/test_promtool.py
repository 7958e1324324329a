"""Prometheus' own engine says of every policy what the local Monitoring says: `promtool test rules`, where it is."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.dashboards.alert_series import Series, documents
from tests.dashboards.test_alert_policies import CASES, ON_BAD_S, extra

from pointsman.core.metric_names import promql_name
from pointsman_local.monitoring.exposition import Histogram
from pointsman_local.monitoring.series import RESOURCE, Reading

PROMTOOL = shutil.which("promtool")
MINUTES = int(ON_BAD_S // 60) + 8
"""Eight minutes into the trouble: every duration is over, and no window has forgotten how it began."""


def rule(name: str) -> Mapping[str, Any]:
    document = documents()[name]
    alert = {"alert": name, "expr": document["query"], "for": document["duration"]}
    return {"groups": [{"name": name, "rules": [alert]}]}


def rows(series: Series) -> Iterator[dict[str, str]]:
    """One series of ours as Prometheus' test files have it: a value a minute, a distribution as its buckets."""
    readings = [series(60.0 * minute) for minute in range(MINUTES + 1)]
    first = readings[0]
    name = promql_name(first.metric_type)
    labels = {**first.resource_labels, **first.metric_labels}
    if first.resource_type != RESOURCE:
        labels["monitored_resource"] = first.resource_type
    if not isinstance(first.value, Histogram):
        yield _row(name, labels, [_number(reading) for reading in readings])
        return
    histograms = [reading.value for reading in readings if isinstance(reading.value, Histogram)]
    for index, bound in enumerate((*first.value.bounds, float("inf"))):
        edge = "+Inf" if bound == float("inf") else f"{bound:g}"
        below = [float(list(accumulate(one.counts))[index]) for one in histograms]
        yield _row(f"{name}_bucket", {**labels, "le": edge}, below)
    yield _row(f"{name}_sum", labels, [one.total for one in histograms])
    yield _row(f"{name}_count", labels, [float(one.count) for one in histograms])


def _number(reading: Reading) -> float:
    assert not isinstance(reading.value, Histogram)
    return float(reading.value)


def _row(name: str, labels: Mapping[str, str], values: list[float]) -> dict[str, str]:
    chosen = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return {"series": f"{name}{{{chosen}}}", "values": " ".join(f"{value:g}" for value in values)}


def world(name: str, *, bad: bool) -> Mapping[str, Any]:
    case = CASES[name]
    fires = [{"exp_labels": {**case.labels, **extra(name)}}] if bad else []
    return {
        "interval": "1m",
        "input_series": [row for series in (case.bad if bad else case.good) for row in rows(series)],
        "alert_rule_test": [{"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": fires}],
    }


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: the package prometheus)")
@pytest.mark.parametrize("bad", [True, False], ids=["in-trouble", "healthy"])
def test_prometheus_itself_fires_where_it_should(bad: bool, tmp_path: Path) -> None:
    assert PROMTOOL is not None
    for name in CASES:
        (tmp_path / f"{name}.rules.yaml").write_text(yaml.safe_dump(rule(name)))
        tests = {
            "rule_files": [f"{name}.rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [{**world(name, bad=bad), "name": name}],
        }
        (tmp_path / f"{name}.tests.yaml").write_text(yaml.safe_dump(tests, width=10**6))
    for command, files in (("check", "*.rules.yaml"), ("test", "*.tests.yaml")):
        names = sorted(path.name for path in tmp_path.glob(files))
        ran = subprocess.run([PROMTOOL, command, "rules", *names], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
