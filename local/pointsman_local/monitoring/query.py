"""ListTimeSeries: a filter, an interval, perhaps an aggregation, in pages."""

import base64
from itertools import pairwise
from typing import Any

from pointsman_local.monitoring.align import Aggregation, Group, aligned, reduced
from pointsman_local.monitoring.filters import parse
from pointsman_local.monitoring.series import Distribution, Point, Series, Store
from pointsman_local.monitoring.wire import Refused, message

__all__ = ["aggregation_of", "list_time_series", "seconds"]

AGGREGATION = message("Aggregation")
TIME_SERIES = message("TimeSeries")
RESPONSE = message("ListTimeSeriesResponse")
HEADERS = message("ListTimeSeriesRequest").TimeSeriesView.Value("HEADERS")
# google.api.MetricDescriptor's enums, which the client has no names of its own for.
GAUGE, DELTA, CUMULATIVE = 1, 2, 3
DOUBLE, DISTRIBUTION = 3, 5
PAGE_MOST = 100_000
# Scrapes have whole milliseconds; times on the wire do not come back as the very same float.
MILLISECOND = 0.001


def list_time_series(request: Any, store: Store, project: str) -> Any:
    """The answer to a ListTimeSeriesRequest. Raises Refused."""
    if request.name != f"projects/{project}":
        raise Refused.absent(f"The project {request.name} does not exist here")
    if request.order_by:
        raise Refused.invalid("order_by must be empty")
    if request.HasField("secondary_aggregation"):
        raise Refused.unserved("secondary_aggregation")
    if not request.interval.HasField("end_time"):
        raise Refused.invalid("The interval needs an end_time")
    end = seconds(request.interval.end_time)
    start = seconds(request.interval.start_time) if request.interval.HasField("start_time") else end
    if start > end:
        raise Refused.invalid("The interval ends before it starts")
    chosen = parse(request.filter)
    if not store.knows(chosen.metric_type):
        raise Refused.absent(
            f'Cannot find metric(s) that match type = "{chosen.metric_type}". If a metric was created recently, '
            "it could take up to 10 minutes to become available."
        )
    how = aggregation_of(request.aggregation)
    matching = [series for series in store.of_type(chosen.metric_type) if chosen.matches(series)]
    if how.aligner == "ALIGN_NONE":
        found = [(series, _within(series, start, end)) for series in matching]
    else:
        found = [(series, aligned(series, how, start, end)) for series in matching]
    shape = matching[0] if matching else None
    messages = [
        _message(group, shape, how, headers=request.view == HEADERS)
        for group in reduced([pair for pair in found if pair[1]], how)
        if shape is not None
    ]
    return _page(messages, request)


def aggregation_of(given: Any) -> Aggregation:
    """The aggregation of a request or a condition. Raises Refused for what is not imitated."""
    return Aggregation(
        period_s=given.alignment_period.seconds + given.alignment_period.nanos / 1e9,
        aligner=AGGREGATION.Aligner.Name(given.per_series_aligner),
        reducer=AGGREGATION.Reducer.Name(given.cross_series_reducer),
        group_by=tuple(given.group_by_fields),
    )


def seconds(timestamp: Any) -> float:
    return float(timestamp.seconds) + float(timestamp.nanos) / 1e9


def _within(series: Series, start: float, end: float) -> tuple[Point, ...]:
    """Newest first; of a gauge also a point at the very start, as documented for intervals."""
    if series.cumulative:
        start += MILLISECOND
    return tuple(
        point for point in reversed(series.points) if start - MILLISECOND / 2 <= point.end <= end + MILLISECOND / 2
    )


def _message(group: Group, shape: Series, how: Aggregation, *, headers: bool) -> Any:
    made = TIME_SERIES()
    made.metric.type = shape.metric_type
    made.metric.labels.update(group.metric_labels)
    made.resource.type = shape.resource_type
    made.resource.labels.update(group.resource_labels)
    is_distribution = any(isinstance(point.value, Distribution) for point in group.points)
    made.value_type = DISTRIBUTION if is_distribution else DOUBLE
    made.metric_kind = (
        DELTA
        if how.aligner == "ALIGN_DELTA"
        else GAUGE
        if how.aligner != "ALIGN_NONE" or not shape.cumulative
        else CUMULATIVE
    )
    for point in () if headers else group.points:
        added = made.points.add()
        _set_time(added.interval.end_time, point.end)
        _set_time(added.interval.start_time, point.end if made.metric_kind == GAUGE else point.start)
        if isinstance(point.value, Distribution):
            _set_distribution(added.value.distribution_value, point.value)
        else:
            added.value.double_value = point.value
    return made


def _set_time(timestamp: Any, at: float) -> None:
    timestamp.FromMicroseconds(round(at * 1e6))


def _set_distribution(made: Any, value: Distribution) -> None:
    count = value.count
    made.count = count
    made.mean = value.total / count if count else 0.0
    made.bucket_options.explicit_buckets.bounds.extend(value.bounds)
    # Prometheus keeps no squares: each observation is taken to lie in the middle of its bucket, beyond the last
    # bound at it; of a histogram without bounds nothing is known.
    edges = (value.bounds[0], *value.bounds, value.bounds[-1]) if value.bounds else (made.mean, made.mean)
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    made.sum_of_squared_deviation = sum(
        n * (middle - made.mean) ** 2 for n, middle in zip(value.counts, middles, strict=True)
    )
    counts = list(value.counts)
    while counts and not counts[-1]:  # trailing zeros are left out, as the API does
        counts.pop()
    made.bucket_counts.extend(counts)


def _page(messages: list[Any], request: Any) -> Any:
    size = min(request.page_size or PAGE_MOST, PAGE_MOST)
    try:
        first = int(base64.urlsafe_b64decode(request.page_token).decode()) if request.page_token else 0
    except ValueError as error:
        raise Refused.invalid("The page_token is not one of ours") from error
    answer = RESPONSE()
    answer.time_series.extend(messages[first : first + size])
    if first + size < len(messages):
        answer.next_page_token = base64.urlsafe_b64encode(str(first + size).encode()).decode()
    return answer
