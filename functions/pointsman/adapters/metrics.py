"""Counters of both revisions, read from Cloud Monitoring: raw cumulative points, never rates.

Prometheus series come with their start times and are taken as they are. A load balancer's are differences by the
minute; they are added up by the service itself since the last midnight (UTC), which is then the counter's start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import monitoring_v3 as v3
from google.protobuf.timestamp_pb2 import Timestamp

from pointsman.adapters.endpoints import Settings, client
from pointsman.adapters.metric_series import LoadBalancer, Recipe, Sums, Term, load_balancer, recipes
from pointsman.adapters.own_metrics import own_recipes
from pointsman.core.judge.ticks import PodCounters
from pointsman.core.names import JSON
from pointsman.core.signals import is_google
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable

__all__ = ["CloudMetrics", "connect"]

TIMEOUT_S = 10.0
ALL_PODS = "*"
LOOKBACK = {"envoy": timedelta(seconds=5), "google": timedelta(seconds=90)}
"""How old the newest sample of a series may be: a few scrapes, of one second there and fifteen here."""

SAME_SCRAPE = timedelta(seconds=0.5)
MINUTE = timedelta(minutes=1)


def connect(settings: Settings, cluster: str, gateway_class: str) -> "CloudMetrics":
    """The metrics of a cluster, by name or by `projects/P/locations/L/clusters/C`, behind a Gateway of that class."""
    found = re.fullmatch(r"projects/([^/]+)/locations/[^/]+/clusters/([^/]+)", cluster)
    project, name = found.groups() if found else (settings.project, cluster)
    return CloudMetrics(client(v3.MetricServiceClient, settings, "monitoring"), project, name, gateway_class)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The newest point of one series. `pod` is `*` where the series is no pod's."""

    revision: str
    pod: str
    start: datetime
    end: datetime
    count: int
    value: float
    edges: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


Key = tuple[str, str]
"""Revision and pod."""


class _Scrape:
    """The series that pass `chosen`, at one instant; each term is asked for once.

    What the pod's newest scrape no longer had is left out: a container that starts again has fewer series at first,
    and its old ones would be added to the new.
    """

    def __init__(self, metrics: "CloudMetrics", chosen: str, at: datetime) -> None:
        self._metrics = metrics
        self._chosen = chosen
        self._at = at
        self._read: dict[Term, list[_Reading]] = {}
        self._newest: dict[Key, datetime] = {}

    def totals(self, sums: Sums) -> dict[Key, list[_Reading]]:
        """What the requests are counted from, by pod: asked for first, since these say when a pod was scraped."""
        found = [reading for terms in sums for term in terms for reading in self._readings(term)]
        for reading in found:
            key = reading.revision, reading.pod
            self._newest[key] = max(reading.end, self._newest.get(key, reading.end))
        result: dict[Key, list[_Reading]] = {}
        for reading in found:
            if self._is_current(reading):
                result.setdefault((reading.revision, reading.pod), []).append(reading)
        return result

    def summed(self, sums: Sums) -> dict[Key, int]:
        """The greatest of the sums, by pod."""
        result: dict[Key, int] = {}
        for terms in sums:
            one: dict[Key, int] = {}
            for term in terms:
                for reading in filter(self._is_current, self._readings(term)):
                    key = reading.revision, reading.pod
                    one[key] = one.get(key, 0) + reading.count
            for key, count in one.items():
                result[key] = max(count, result.get(key, 0))
        return result

    def histograms(self, term: Term | None) -> dict[Key, tuple[tuple[float, ...], tuple[int, ...]]]:
        """Edges and counts by pod; series with other edges than the first are left out."""
        result: dict[Key, tuple[tuple[float, ...], tuple[int, ...]]] = {}
        for reading in filter(self._is_current, self._readings(term) if term else ()):
            key = reading.revision, reading.pod
            edges, buckets = result.get(key, (reading.edges, (0,) * len(reading.buckets)))
            if edges == reading.edges:
                result[key] = edges, tuple(a + b for a, b in zip(buckets, reading.buckets, strict=True))
        return result

    def numbers(self, term: Term) -> dict[Key, float]:
        """The sum of a term's values, by pod: not rounded to counts."""
        result: dict[Key, float] = {}
        for reading in filter(self._is_current, self._readings(term)):
            key = reading.revision, reading.pod
            result[key] = result.get(key, 0.0) + reading.value
        return result

    def _readings(self, term: Term) -> list[_Reading]:
        if term not in self._read:
            self._read[term] = list(self._metrics.newest(term, self._chosen, self._at))
        return self._read[term]

    def _is_current(self, reading: _Reading) -> bool:
        newest = self._newest.get((reading.revision, reading.pod))
        return newest is not None and reading.end >= newest - SAME_SCRAPE


class CloudMetrics:
    """`ports.Metrics` over ListTimeSeries."""

    def __init__(self, monitoring: v3.MetricServiceClient, project: str, cluster: str, gateway_class: str) -> None:
        self._client = monitoring
        self._project = project
        self._cluster = cluster
        self._gateway_class = gateway_class
        self._lookback = LOOKBACK["google" if is_google(gateway_class) else "envoy"]

    def pods(
        self,
        namespace: str,
        service: str,
        revisions: Sequence[str],
        at: datetime,
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Mapping[str, Sequence[PodCounters]]:
        """Revision → cumulative counters, newest sample at or before `at`; a revision without series is absent.

        `own` are metrics of the policy's own, each a metric set of its name. Raises Unavailable, Denied, and Invalid
        for a metric set or a Gateway class without known metrics, or a selector that there is no filter for.
        """
        result: dict[str, list[PodCounters]] = {}
        balancer = load_balancer(self._gateway_class) if "Gateway" in metric_sets else None
        if balancer is not None:
            for revision, counters in self._balanced(balancer, namespace, revisions, at):
                result.setdefault(revision, []).append(counters)
        for recipe in [*recipes(self._gateway_class, metric_sets), *own_recipes(own)]:
            for revision, counters in self._cooked(recipe, namespace, revisions, at):
                result.setdefault(revision, []).append(counters)
        return result

    def gateway(self, namespace: str, service: str, at: datetime) -> Mapping[str, int]:
        """Revision → requests the gateway has sent there, cumulative. Raises Unavailable, Denied, Invalid."""
        balancer = load_balancer(self._gateway_class)
        if balancer is None:
            chosen = f'metric.labels.namespace = "{namespace}" AND metric.labels.service = "{service}"'
            (envoy,) = recipes(self._gateway_class, ("Gateway",))
            scrape = _Scrape(self, chosen, at)
            scrape.totals(envoy.total)
            return {revision: count for (revision, _), count in sorted(scrape.summed(envoy.total).items())}
        end, start = _day(at)
        counts: dict[str, int] = {}
        pattern = f"{service}-[0-9a-f]{{8}}"
        for name, _, value in self._since_midnight(balancer, "request_count", namespace, pattern, start, end):
            counts[name] = counts.get(name, 0) + _count(value)
        return counts

    # Prometheus series.

    def _cooked(
        self, recipe: Recipe, namespace: str, revisions: Sequence[str], at: datetime
    ) -> Iterable[tuple[str, PodCounters]]:
        """One entry for each revision and pod that has a total."""
        whose = "metric.labels.namespace" if recipe.by_gateway else "resource.labels.namespace"
        quoted = ", ".join(f'"{revision}"' for revision in revisions)
        scrape = _Scrape(self, f'{whose} = "{namespace}" AND metric.labels.revision = one_of({quoted})', at)
        totals = scrape.totals(recipe.total)
        requests = scrape.summed(recipe.total)
        bad = {name: scrape.summed(sums) for name, sums in recipe.bad.items()}
        good = scrape.summed((recipe.good,)) if recipe.good else None
        histograms = scrape.histograms(recipe.latency)
        sums = [scrape.numbers(term) for term in recipe.sums or ()]
        for key, readings in sorted(totals.items()):
            classes = {name: counts[key] for name, counts in bad.items() if key in counts}
            if good is not None:
                classes[recipe.rest] = max(0, requests[key] - good.get(key, 0))
            edges, buckets = histograms.get(key, ((), ()))
            yield (
                key[0],
                PodCounters(
                    pod=key[1],
                    # A series that appears late (another status code) begins later; the pod's counters did not.
                    started_at=min(reading.start for reading in readings),
                    sampled_at=max(reading.end for reading in readings),
                    requests=requests[key],
                    bad=classes,
                    edges_ms=tuple(edge * recipe.unit_ms for edge in edges),
                    latency=buckets,
                    metric_set=recipe.metric_set,
                    sums=tuple(one[key] for one in sums) if sums and all(key in one for one in sums) else (),
                ),
            )

    def newest(self, term: Term, chosen: str, at: datetime) -> Iterable[_Reading]:
        """The newest point of each series of a term, not older than the lookback."""
        text = " AND ".join(
            part
            for part in (
                f'metric.type = "prometheus.googleapis.com/{term.series}"',
                'resource.type = "prometheus_target"',
                f'resource.labels.cluster = "{self._cluster}"',
                chosen,
                term.where,
            )
            if part
        )
        interval = v3.TimeInterval(start_time=_timestamp(at - self._lookback), end_time=_timestamp(at))
        for series in self._list(v3.ListTimeSeriesRequest(filter=text, interval=interval)):
            if series.points:
                point = series.points[0]
                labels = series.metric.labels
                edges, buckets = _buckets(point.value)
                yield _Reading(
                    labels.get("revision", ""),
                    labels.get("pod", ALL_PODS),
                    _time(point.interval.start_time),
                    _time(point.interval.end_time),
                    _count(point.value),
                    _number(point.value),
                    edges,
                    buckets,
                )

    # Load balancers.

    def _balanced(
        self, balancer: LoadBalancer, namespace: str, revisions: Sequence[str], at: datetime
    ) -> Iterable[tuple[str, PodCounters]]:
        end, start = _day(at)
        pattern = "|".join(revisions)  # DNS labels: nothing in them is special
        requests: dict[str, int] = {}
        bad: dict[str, int] = {}
        for revision, code_class, value in self._since_midnight(
            balancer, "request_count", namespace, pattern, start, end, by_class=True
        ):
            requests[revision] = requests.get(revision, 0) + _count(value)
            if code_class in ("500", "0"):  # 0: no answer at all
                bad[revision] = bad.get(revision, 0) + _count(value)
        latencies = {
            revision: _buckets(value)
            for revision, _, value in self._since_midnight(
                balancer, "backend_latencies", namespace, pattern, start, end
            )
        }
        for revision, count in sorted(requests.items()):
            edges, buckets = latencies.get(revision, ((), ()))
            yield revision, PodCounters(ALL_PODS, start, end, count, {"5xx": bad.get(revision, 0)}, edges, buckets)

    def _since_midnight(
        self,
        balancer: LoadBalancer,
        metric: str,
        namespace: str,
        revisions: str,
        start: datetime,
        end: datetime,
        *,
        by_class: bool = False,
    ) -> Iterable[tuple[str, str, Any]]:
        """Revision, response code class and value. GKE names a backend after namespace, Service and port."""
        target = f"-{namespace}-({revisions})-"
        text = (
            f'metric.type = "loadbalancing.googleapis.com/{balancer.prefix}/{metric}" '
            f'AND resource.type = "{balancer.resource}" '
            f'AND resource.labels.backend_target_name = monitoring.regex.full_match(".*{target}.*")'
        )
        request = v3.ListTimeSeriesRequest(
            filter=text,
            interval=v3.TimeInterval(start_time=_timestamp(start), end_time=_timestamp(end)),
            aggregation=v3.Aggregation(
                alignment_period=end - start,
                per_series_aligner=v3.Aggregation.Aligner.ALIGN_DELTA,
                cross_series_reducer=v3.Aggregation.Reducer.REDUCE_SUM,
                group_by_fields=["resource.labels.backend_target_name"]
                + (["metric.labels.response_code_class"] if by_class else []),
            ),
        )
        for series in self._list(request):
            found = re.search(target, series.resource.labels.get("backend_target_name", ""))
            if found and series.points:
                yield found[1], series.metric.labels.get("response_code_class", ""), series.points[0].value

    # The call.

    def _list(self, request: Any) -> list[Any]:
        """All pages, as plain messages; a metric that nobody has written yet is no series, not a fault."""
        request.name = f"projects/{self._project}"
        try:
            pages = self._client.list_time_series(request, retry=None, timeout=TIMEOUT_S).pages
            return [v3.TimeSeries.pb(series) for page in pages for series in page.time_series]
        except exceptions.NotFound as error:
            if "metric" in error.message:
                return []
            raise Absent(_short(error), where=request.name) from error
        except exceptions.GoogleAPICallError as error:
            raise _translated(error) from error
        except GoogleAuthError as error:
            if isinstance(error, TransportError):
                raise Unavailable("the metadata server or token endpoint did not answer") from error
            raise Denied("no credentials for Cloud Monitoring", remedy="grant roles/monitoring.viewer") from error


def _translated(error: exceptions.GoogleAPICallError) -> PointsmanError:
    where = "Cloud Monitoring"
    if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
        return Denied(_short(error), where=where, remedy="grant roles/monitoring.viewer")
    if isinstance(error, exceptions.TooManyRequests):
        return Unavailable(_short(error), where=where)
    if isinstance(error, (exceptions.ClientError, exceptions.MethodNotImplemented)) and not isinstance(
        error, (exceptions.Conflict, exceptions.Cancelled)
    ):
        return Invalid(_short(error), where=where)
    return Unavailable(_short(error), where=where)


def _short(error: exceptions.GoogleAPICallError) -> str:
    return str(error.message)[:300]


def _count(value: Any) -> int:
    kind = value.WhichOneof("value")
    if kind == "distribution_value":
        return int(value.distribution_value.count)
    counted: int = round(getattr(value, kind))
    return counted


def _number(value: Any) -> float:
    kind = value.WhichOneof("value")
    return float(value.distribution_value.count if kind == "distribution_value" else getattr(value, kind))


def _buckets(value: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Upper edges and disjoint counts of a distribution; nothing of a number."""
    if value.WhichOneof("value") != "distribution_value":
        return (), ()
    options = value.distribution_value.bucket_options
    match options.WhichOneof("options"):
        case "explicit_buckets":
            edges = tuple(options.explicit_buckets.bounds)
        case "exponential_buckets":
            shape = options.exponential_buckets
            edges = tuple(shape.scale * shape.growth_factor**step for step in range(shape.num_finite_buckets + 1))
        case "linear_buckets":
            line = options.linear_buckets
            edges = tuple(line.offset + line.width * step for step in range(line.num_finite_buckets + 1))
        case _:
            return (), ()
    counts = tuple(value.distribution_value.bucket_counts)
    return edges, counts + (0,) * (len(edges) + 1 - len(counts))  # trailing zeros are left out


def _day(at: datetime) -> tuple[datetime, datetime]:
    """The last whole minute, and the midnight before it: at midnight itself that of the day that ended."""
    end = at.astimezone(UTC).replace(second=0, microsecond=0)
    start = (end - MINUTE).replace(hour=0, minute=0)
    return end, start


def _timestamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def _time(timestamp: Any) -> datetime:
    found: datetime = timestamp.ToDatetime(tzinfo=UTC)
    return found
