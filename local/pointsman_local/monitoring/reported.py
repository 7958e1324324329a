"""Series that Google's services write of themselves: asked of the local services, or derived from what is scraped."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from pointsman_local.counting import PATH
from pointsman_local.monitoring.exposition import Histogram, Sample
from pointsman_local.monitoring.series import Reading, Store
from pointsman_local.site import Site

__all__ = ["Reported", "balancer"]

SERVICES = ("pubsub-rest", "workflows-rest")
BALANCER = "loadbalancing.googleapis.com/https/external/regional"
BALANCER_RESOURCE = "http_external_regional_lb_rule"
PORT = "8080"


class Reported:
    """Asks every local service what it has counted."""

    def __init__(self, site: Site, store: Store, http: aiohttp.ClientSession) -> None:
        self._site = site
        self._store = store
        self._http = http
        self._asked: dict[str, float] = {}
        self._endpoints = [*SERVICES, *(name for name in site.ports if name.startswith("functions/"))]

    async def ask(self, now: float) -> None:
        """One round; who does not answer has no new points."""
        await asyncio.gather(*(self._ask(endpoint, now) for endpoint in self._endpoints))

    async def _ask(self, endpoint: str, now: float) -> None:
        try:
            async with self._http.get(self._site.url(endpoint) + PATH) as answer:
                found = await answer.json() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return
        if found is None:
            return
        # What was not there when it was asked last has begun since then.
        began = float(found["since"])
        since = max(began, self._asked.get(endpoint, 0.0))
        self._asked[endpoint] = now
        for item in found["series"]:
            self._store.put(_reading(item), now, since, began)


def _reading(item: Mapping[str, Any]) -> Reading:
    value = item["value"]
    if isinstance(value, Mapping):
        value = Histogram(tuple(value["bounds"]), tuple(value["counts"]), float(value["total"]))
    return Reading(
        metric_type=item["metric"],
        resource_type=item["resource_type"],
        cumulative=item["cumulative"],
        value=value,
        resource_labels=item["resource"],
        metric_labels=item["labels"],
    )


def balancer(sample: Sample, cluster: str, site: Site) -> Iterator[Reading]:
    """What Google's load balancer would count of an Envoy's cluster `namespace/name`, named as GKE names a backend.

    Classes of codes alone: the codes themselves are not scraped.
    """
    namespace, _, name = cluster.partition("/")
    resource = {
        "project_id": site.project,
        "region": site.location,
        "backend_target_name": f"gkegw1-local-{namespace}-{name}-{PORT}-{'0' * 12}",
    }
    labels = dict(sample.labels)
    if sample.name == "envoy_cluster_upstream_rq_xx" and not isinstance(sample.value, Histogram):
        code = f"{labels['envoy_response_code_class']}00"
        yield Reading(
            f"{BALANCER}/request_count", BALANCER_RESOURCE, True, sample.value, resource, {"response_code_class": code}
        )
    elif sample.name == "envoy_cluster_upstream_rq_time" and isinstance(sample.value, Histogram):
        yield Reading(f"{BALANCER}/backend_latencies", BALANCER_RESOURCE, True, sample.value, resource)
