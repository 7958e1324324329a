"""Once a second: who is there, what they count, into the store."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from pointsman_local.monitoring.exposition import Histogram, Sample, parse
from pointsman_local.monitoring.reported import balancer
from pointsman_local.monitoring.series import Reading, Store
from pointsman_local.monitoring.targets import Backends, Target, pods
from pointsman_local.site import Site

__all__ = ["Scraper"]

# Envoy's own names: of each cluster these few out of about a hundred, and none that count by kind of client.
ENVOY_STATS = r"^cluster\.[^.]+\.(upstream_rq_(total|completed|time|timeout|rx_reset|.xx)|membership_healthy)$"
CLUSTER = "envoy_cluster_name"
OURS = "app.kubernetes.io/managed-by=pointsman"
DUTY_CYCLE = "kubernetes.io/container/accelerator/duty_cycle"
PROCESSOR = "process_cpu_seconds_total"
NO_ANSWER = (aiohttp.ClientError, TimeoutError, ValueError)


class Scraper:
    """Scrapes the gateway and the pods; a target that does not answer has `up` 0 and no points."""

    def __init__(self, site: Site, store: Store, http: aiohttp.ClientSession) -> None:
        self._site = site
        self._store = store
        self._http = http
        self._backends = Backends()
        self._gateway_at = 0.0
        self._processor: dict[str, tuple[float, float]] = {}
        """Pod → when it was scraped last, and the processor time that it had used."""

    async def scrape(self) -> None:
        """One round over all targets."""
        await asyncio.gather(self._gateway(), self._pods())

    async def _gateway(self) -> None:
        address = self._site.address("envoy-admin")
        text = await self._text(f"http://{address}/stats/prometheus", {"filter": ENVOY_STATS})
        at = _now()
        resource = self._resource("gateway", "gateway", address)
        self._up(resource, at, {}, answered=text is not None)
        samples = _samples(text)
        if any(self._backends.labels(dict(sample.labels).get(CLUSTER, "")) is None for sample in samples):
            await self._learn()
        for sample in samples:
            cluster = dict(sample.labels).get(CLUSTER, "")
            labels = self._backends.labels(cluster)
            if labels is not None:
                self._store.write(sample, at, resource, labels)
                for reading in balancer(sample, cluster, self._site):
                    self._store.put(reading, at, self._gateway_at)
        if samples:
            self._gateway_at = at

    async def _learn(self) -> None:
        listed = await self._json("/api/v1/services")
        if listed is not None:
            self._backends.learn(listed)

    async def _pods(self) -> None:
        listed = await self._json("/api/v1/pods")
        if listed is not None:
            await asyncio.gather(*(self._pod(target) for target in pods(listed)))

    async def _pod(self, target: Target) -> None:
        text = await self._text(f"http://{target.address}/metrics", {})
        at = _now()
        resource = self._resource(target.namespace, target.job, target.instance)
        self._up(resource, at, target.labels, answered=text is not None)
        for sample in _samples(text):
            self._store.write(sample, at, resource, target.labels)
            if target.accelerator and sample.name == PROCESSOR and not isinstance(sample.value, Histogram):
                self._busy(target, sample.value, at)

    def _busy(self, target: Target, seconds: float, at: float) -> None:
        """A pod's process stands in for its accelerator: how much of one processor it used since the last scrape."""
        before = self._processor.get(target.instance)
        self._processor[target.instance] = (at, seconds)
        if before is None or at <= before[0]:
            return
        percent = min(100.0, max(0.0, 100.0 * (seconds - before[1]) / (at - before[0])))
        resource = {
            "project_id": self._site.project,
            "location": self._site.location,
            "cluster_name": self._site.cluster,
            "namespace_name": target.namespace,
            "pod_name": target.labels["pod"],
            "container_name": target.container,
        }
        labels = {"make": target.accelerator.partition(".")[0], "accelerator_id": "0", "model": target.accelerator}
        self._store.put(Reading(DUTY_CYCLE, "k8s_container", False, percent, resource, labels), at, at)

    def _resource(self, namespace: str, job: str, instance: str) -> Mapping[str, str]:
        return {
            "project_id": self._site.project,
            "location": self._site.location,
            "cluster": self._site.cluster,
            "namespace": namespace,
            "job": job,
            "instance": instance,
        }

    def _up(self, resource: Mapping[str, str], at: float, labels: Mapping[str, str], *, answered: bool) -> None:
        self._store.write(Sample("up", "gauge", (), 1.0 if answered else 0.0), at, resource, labels)

    async def _text(self, url: str, query: Mapping[str, str]) -> str | None:
        try:
            async with self._http.get(url, params=query) as answer:
                return await answer.text() if answer.status == 200 else None
        except NO_ANSWER:
            return None

    async def _json(self, path: str) -> Any:
        try:
            async with self._http.get(self._site.url("kubernetes") + path, params={"labelSelector": OURS}) as answer:
                return await answer.json() if answer.status == 200 else None
        except NO_ANSWER:
            return None


def _samples(text: str | None) -> list[Sample]:
    try:
        return parse(text or "")
    except ValueError:
        return []  # half an answer: the next scrape has it whole, since all that matters is cumulative


def _now() -> float:
    """Scrape time in whole milliseconds, as Managed Prometheus keeps it."""
    return round(time.time(), 3)
