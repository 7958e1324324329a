"""Log-based metrics: lines that the functions write, counted as Cloud Logging counts them.

What becomes a metric is said by `dashboards/log-metrics.yaml`, of which Terraform makes `google_logging_metric`s. Of
Logging's query language the little is understood that is used there; anything else is refused when it is read.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import re2
import yaml

from pointsman_local.monitoring.exposition import Histogram
from pointsman_local.monitoring.series import Reading, Store
from pointsman_local.site import Site

__all__ = ["LogMetrics", "load"]

RESOURCE = "cloud_run_revision"
PREFIX = "logging.googleapis.com/user/"
FILTER = re.compile(
    rf'resource\.type="{RESOURCE}" AND jsonPayload\.event=(?:"([\w-]+)"|\(("[\w-]+"(?: OR "[\w-]+")*)\))'
)
EXTRACT = re.compile(r'EXTRACT\(jsonPayload\.(\w+)\)|REGEXP_EXTRACT\(jsonPayload\.(\w+), "(.*)"\)')
LINE_BYTES_MAX = 256 * 1024
"""An entry of Cloud Logging is no longer."""

Extractor = Callable[[Mapping[str, Any]], str]


@dataclass(slots=True)
class _Counted:
    """One series of a metric: its labels, how many lines, and, of a distribution, their values."""

    service: str
    labels: dict[str, str]
    count: int = 0
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    changed: bool = True


class _Metric:
    """One log-based metric. Raises ValueError for a definition that is not understood."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.name = str(given["name"])
        self.events = _events(str(given["filter"]))
        self._labels = {name: _extractor(text) for name, text in given.get("label_extractors", {}).items()}
        value = given.get("value_extractor")
        self._value = _field(value) if value else None
        self._bounds: Sequence[float] = tuple(float(bound) for bound in given.get("bounds", ()))
        self._series: dict[tuple[str, ...], _Counted] = {}

    def count(self, line: Mapping[str, Any]) -> None:
        """Count a line of one of `events`; one that has no number where a distribution wants it is passed over."""
        value = line.get(self._value) if self._value else None
        if self._value and (isinstance(value, bool) or not isinstance(value, int | float)):
            return
        service = f"pointsman-{line.get('function', '')}".replace("_", "-")
        labels = {name: extract(line) for name, extract in self._labels.items()}
        series = self._series.setdefault((service, *labels.values()), _Counted(service, labels))
        series.count += 1
        series.changed = True
        if value is not None:
            series.counts = series.counts or [0] * (len(self._bounds) + 1)
            series.counts[bisect_right(self._bounds, value)] += 1
            series.total += value

    def readings(self, site: Site, *, whole: bool) -> Iterator[Reading]:
        """Series that have counted since they were last read; `whole`: all of them."""
        for series in self._series.values():
            if not (whole or series.changed):
                continue
            series.changed = False
            value = Histogram(tuple(self._bounds), tuple(series.counts), series.total) if self._value else series.count
            resource = {"project_id": site.project, "location": site.location, "service_name": series.service}
            yield Reading(PREFIX + self.name, RESOURCE, True, value, resource, series.labels)


class LogMetrics:
    """Follows one log file and keeps what its lines amount to."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]], log: Path, site: Site, store: Store) -> None:
        self._log = log
        self._site = site
        self._store = store
        self._by_event: dict[str, list[_Metric]] = {}
        self._metrics = [_Metric(given) for given in definitions]
        for metric in self._metrics:
            for event in metric.events:
                self._by_event.setdefault(event, []).append(metric)
        self._offset = 0
        self._rest = b""
        self._read_at = 0.0

    def read(self, now: float, *, whole: bool = True) -> None:
        """Take in what was written since the last time, and store where every metric stands that counted; or, `whole`,
        each of them, so that a window of a few seconds has a point in it."""
        for line in self._lines():
            for metric in self._by_event.get(str(line.get("event")), ()):
                metric.count(line)
        for metric in self._metrics:
            for reading in metric.readings(self._site, whole=whole):
                self._store.put(reading, now, self._read_at)
        self._read_at = now

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        try:
            with self._log.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset, self._rest = 0, b""  # another file of that name
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for text in whole:
            if text.startswith(b"{") and len(text) <= LINE_BYTES_MAX:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # a line of something else, that looks like one of ours
                if isinstance(line, Mapping):
                    yield line


def load(folder: Path) -> Sequence[Mapping[str, Any]]:
    """The definitions below `folder`, which holds what is deployed."""
    found: dict[str, list[Mapping[str, Any]]] = yaml.safe_load((folder / "dashboards" / "log-metrics.yaml").read_text())
    return found["metrics"]


def _events(text: str) -> tuple[str, ...]:
    found = FILTER.fullmatch(text)
    if found is None:
        raise ValueError(f"the local Monitoring does not imitate the filter {text}")
    return (found[1],) if found[1] else tuple(re.findall(r'"([\w-]+)"', found[2]))


def _field(text: str) -> str:
    found = EXTRACT.fullmatch(text)
    if found is None or not found[1]:
        raise ValueError(f"the local Monitoring does not imitate the value {text}")
    return found[1]


def _extractor(text: str) -> Extractor:
    found = EXTRACT.fullmatch(text)
    if found is None:
        raise ValueError(f"the local Monitoring does not imitate the extractor {text}")
    whole, part, pattern = found.groups()
    if whole:
        return lambda line: str(line.get(whole) if line.get(whole) is not None else "")
    compiled = re2.compile(pattern)

    def extract(line: Mapping[str, Any]) -> str:
        hit = compiled.search(str(line.get(part, "")))
        return hit[1] if hit else ""

    return extract
