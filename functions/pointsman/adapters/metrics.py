"""Counters of both revisions, read from Cloud Monitoring: raw cumulative points, never rates.

Prometheus series come with their start times and are taken as they are. A load balancer's are differences by the
minute; they are added up by the service itself since the last midnight (UTC), which is then the counter's start.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import monitoring_v3 as v3
from google.protobuf.timestamp_pb2 import Timestamp

from pointsman.adapters.endpoints import Settings, client
from pointsman.adapters.metric_readings import Reading, Scrape, buckets_of, count_of, counters, reading_of
from pointsman.adapters.metric_series import LoadBalancer, Recipe, Term, load_balancer, recipes
from pointsman.adapters.own_metrics import own_recipes
from pointsman.core.judge.ticks import ALL_PODS, PodCounters
from pointsman.core.names import JSON
from pointsman.core.signals import is_google
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable

__all__ = ["CloudMetrics", "connect"]

TIMEOUT_S = 10.0
LOOKBACK = {"envoy": timedelta(seconds=5), "google": timedelta(seconds=90)}
"""How old the newest sample of a series may be: a few scrapes, of one second there and fifteen here."""

MINUTE = timedelta(minutes=1)


def connect(settings: Settings, cluster: str, gateway_class: str) -> "CloudMetrics":
    """The metrics of a cluster, by name or by `projects/P/locations/L/clusters/C`, behind a Gateway of that class."""
    found = re.fullmatch(r"projects/([^/]+)/locations/[^/]+/clusters/([^/]+)", cluster)
    project, name = found.groups() if found else (settings.project, cluster)
    return CloudMetrics(client(v3.MetricServiceClient, settings, "monitoring"), project, name, gateway_class)


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
            scrape = Scrape(lambda term: self.newest(term, chosen, at))
            scrape.totals(envoy.total)
            return {revision: count for (revision, _), count in sorted(scrape.summed(envoy.total).items())}
        end, start = _day(at)
        counts: dict[str, int] = {}
        pattern = f"{service}-[0-9a-f]{{8}}"
        for name, _, value in self._since_midnight(balancer, "request_count", namespace, pattern, start, end):
            counts[name] = counts.get(name, 0) + count_of(value)
        return counts

    # Prometheus series.

    def _cooked(
        self, recipe: Recipe, namespace: str, revisions: Sequence[str], at: datetime
    ) -> Iterable[tuple[str, PodCounters]]:
        """One entry for each revision and pod that has a total."""
        whose = "metric.labels.namespace" if recipe.by_gateway else "resource.labels.namespace"
        quoted = ", ".join(f'"{revision}"' for revision in revisions)
        chosen = f'{whose} = "{namespace}" AND metric.labels.revision = one_of({quoted})'
        scrape = Scrape(lambda term: self.newest(term, chosen, at))
        yield from counters(recipe, scrape)

    def newest(self, term: Term, chosen: str, at: datetime) -> Iterable[Reading]:
        """The newest point of each series of a term, not older than the lookback."""
        for series in self._series(term, chosen=chosen, since=at - self._lookback, until=at):
            if series.points:
                yield reading_of(series.metric.labels, series.points[0])

    def past(
        self,
        namespace: str,
        revision: str,
        times: Sequence[datetime],
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Sequence[Sequence[PodCounters]]:
        """Counters as they stood at each of these times, in order; each series is asked for once.

        Nothing of a load balancer's: those are counted by the minute, and by no pod. Raises as `pods` does.
        """
        found: list[list[PodCounters]] = [[] for _ in times]
        for recipe in [*recipes(self._gateway_class, metric_sets), *own_recipes(own)]:
            whose = "metric.labels.namespace" if recipe.by_gateway else "resource.labels.namespace"
            chosen = f'{whose} = "{namespace}" AND metric.labels.revision = "{revision}"'
            history = _History(partial(self._series, chosen=chosen, since=times[0] - self._lookback, until=times[-1]))
            for at, pods in zip(times, found, strict=True):
                scrape = Scrape(partial(history.newest, at=at, lookback=self._lookback))
                pods += [one for _, one in counters(recipe, scrape)]
        return found

    def _series(self, term: Term, *, chosen: str, since: datetime, until: datetime) -> list[Any]:
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
        interval = v3.TimeInterval(start_time=_timestamp(since), end_time=_timestamp(until))
        return self._list(v3.ListTimeSeriesRequest(filter=text, interval=interval))

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
            requests[revision] = requests.get(revision, 0) + count_of(value)
            if code_class in ("500", "0"):  # 0: no answer at all
                bad[revision] = bad.get(revision, 0) + count_of(value)
        latencies = {
            revision: buckets_of(value)
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


class _History:
    """Points of some time, newest last, by series; each term is asked for once."""

    def __init__(self, ask: Callable[[Term], list[Any]]) -> None:
        self._ask = ask
        self._read: dict[Term, list[list[Reading]]] = {}

    def newest(self, term: Term, at: datetime, lookback: timedelta) -> Iterable[Reading]:
        if term not in self._read:
            self._read[term] = [
                [reading_of(series.metric.labels, point) for point in reversed(series.points)]
                for series in self._ask(term)
            ]
        for points in self._read[term]:
            index = bisect_right(points, at, key=lambda reading: reading.end)
            if index and points[index - 1].end >= at - lookback:
                yield points[index - 1]


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


def _day(at: datetime) -> tuple[datetime, datetime]:
    """The last whole minute, and the midnight before it: at midnight itself that of the day that ended."""
    end = at.astimezone(UTC).replace(second=0, microsecond=0)
    start = (end - MINUTE).replace(hour=0, minute=0)
    return end, start


def _timestamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made
