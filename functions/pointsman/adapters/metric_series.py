"""Which series say what: for each Gateway class and metric set, the counters that the judge compares.

Managed Prometheus keeps a target's series as `prometheus.googleapis.com/<name>/<type>` on the resource
`prometheus_target`; load balancers write their own. Names are those that the servers document (Envoy, vLLM, TGI,
Triton, Ray Serve) and Cloud Monitoring's list of load balancer metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pointsman.core.signals import is_google
from pointsman.errors import Invalid

__all__ = ["LOAD_BALANCERS", "LoadBalancer", "Recipe", "Term", "load_balancer", "recipes"]


@dataclass(frozen=True, slots=True)
class Term:
    """One metric, `<name>/<type>`, of which the series that pass `where` are added up; a histogram's is its count."""

    series: str
    where: str = ""


Sums = tuple[tuple[Term, ...], ...]
"""Several ways to count the same, each missing something: the greatest of these sums is taken."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one metric set is read from Prometheus series.

    What is not `good` of the total is bad of the class `rest`. `unit_ms` is the histogram's unit in milliseconds,
    `sums` are a Mean's n, Σx and Σx². A gateway's series name the pods' namespace in a metric label, the pods' own in
    the resource.
    """

    metric_set: str
    total: Sums
    bad: Mapping[str, Sums] = field(default_factory=dict)
    good: tuple[Term, ...] = ()
    rest: str = "error"
    latency: Term | None = None
    sums: tuple[Term, Term, Term] | None = None
    unit_ms: float = 1000.0
    by_gateway: bool = False


ENVOY = Recipe(
    metric_set="Gateway",
    # A request that found no connection is completed (with 503), but never counted as sent.
    total=((Term("envoy_cluster_upstream_rq_total/counter"),), (Term("envoy_cluster_upstream_rq_completed/counter"),)),
    # Time-outs and resets before the first byte are answered with 5xx; resets after it only count as such.
    bad={
        "5xx": (
            (Term("envoy_cluster_upstream_rq_xx/counter", 'metric.labels.envoy_response_code_class = "5"'),),
            (
                Term("envoy_cluster_upstream_rq_rx_reset/counter"),
                Term("envoy_cluster_upstream_rq_timeout/counter"),
            ),
        )
    },
    latency=Term("envoy_cluster_upstream_rq_time/histogram"),
    unit_ms=1.0,
    by_gateway=True,
)

COMPLETIONS = 'metric.labels.handler = monitoring.regex.full_match("/v1/.*completions")'

SERVERS: Mapping[str, tuple[Recipe, ...]] = {
    "VLLM": (
        Recipe(
            "VLLM",
            total=((Term("http_request_duration_seconds/histogram", COMPLETIONS),),),
            bad={
                "4xx": (
                    (
                        Term(
                            "http_requests_total/counter", f'{COMPLETIONS} AND metric.labels.status = starts_with("4")'
                        ),
                    ),
                )
            },
            good=(
                Term(
                    "http_requests_total/counter",
                    f'{COMPLETIONS} AND metric.labels.status = monitoring.regex.full_match("[234].*")',
                ),
            ),
            rest="5xx",
            latency=Term("vllm:time_to_first_token_seconds/histogram"),
        ),
        Recipe(
            "VLLM inter-token",
            total=((Term("vllm:inter_token_latency_seconds/histogram"),),),
            latency=Term("vllm:inter_token_latency_seconds/histogram"),
        ),
    ),
    "TGI": (
        Recipe(
            "TGI",
            total=((Term("tgi_request_count/counter"),),),
            good=(Term("tgi_request_success/counter"),),
            latency=Term("tgi_request_mean_time_per_token_duration/histogram"),
        ),
        Recipe(
            "TGI queue",
            total=((Term("tgi_request_queue_duration/histogram"),),),
            latency=Term("tgi_request_queue_duration/histogram"),
        ),
    ),
    "Triton": (
        Recipe(
            "Triton",
            total=((Term("nv_inference_request_success/counter"), Term("nv_inference_request_failure/counter")),),
            bad={"error": ((Term("nv_inference_request_failure/counter"),),)},
        ),
    ),
    "RayServe": (
        Recipe(
            "RayServe",
            total=((Term("ray_serve_deployment_request_counter_total/counter"),),),
            bad={"error": ((Term("ray_serve_deployment_error_counter_total/counter"),),)},
            latency=Term("ray_serve_deployment_processing_latency_ms/histogram"),
            unit_ms=1.0,
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A load balancer's metrics below `loadbalancing.googleapis.com/` and their resource."""

    prefix: str
    resource: str


LOAD_BALANCERS: Mapping[str, LoadBalancer] = {
    "gke-l7-global-external-managed": LoadBalancer("https", "https_lb_rule"),
    "gke-l7-regional-external-managed": LoadBalancer("https/external/regional", "http_external_regional_lb_rule"),
    "gke-l7-rilb": LoadBalancer("https/internal", "internal_http_lb_rule"),
}


def recipes(gateway_class: str, metric_sets: Sequence[str]) -> list[Recipe]:
    """What is read as Prometheus series. Raises Invalid for a metric set that there is none of."""
    found: list[Recipe] = []
    for name in metric_sets:
        if name == "Gateway":
            found += [] if is_google(gateway_class) else [ENVOY]
        elif name in SERVERS:
            found += SERVERS[name]
        else:
            raise Invalid(f"{name!r} is none of Gateway, {', '.join(SERVERS)}", where="judge.metricSets")
    return found


def load_balancer(gateway_class: str) -> LoadBalancer | None:
    """Whose metrics a Google Gateway's are; None where the gateway is an Envoy.

    Raises Invalid for a class whose metrics are not known; the variants for several clusters (`-mc`) are alike.
    """
    if not is_google(gateway_class):
        return None
    found = LOAD_BALANCERS.get(gateway_class.removesuffix("-mc"))
    if found is None:
        raise Invalid(
            f"the metrics of the Gateway class {gateway_class!r} are not known",
            where="judge.metricSets",
            remedy=f"judge by the model servers' own metrics, or use one of {', '.join(LOAD_BALANCERS)}",
        )
    return found
