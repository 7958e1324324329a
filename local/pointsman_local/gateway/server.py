"""`serve`: Envoy follows the HTTPRoutes, Services and Pods of the local Kubernetes API, and their status says so.

A route's conditions become true for a generation only after Envoy has taken it. A pod that is being deleted
leaves Envoy's endpoints first; then it is marked as drained, and only after that told to stop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import aiohttp

from pointsman_local.gateway.proxy import Proxy, Refused
from pointsman_local.gateway.routes import CLASS, CONTROLLER, PORT, Condition, Object, Snapshot, snapshot
from pointsman_local.gateway.watching import Kept
from pointsman_local.site import Site

__all__ = ["serve"]

DRAINED = "pointsman.local/drained"

# Between an endpoint's leaving and SIGTERM: requests that Envoy had just sent are read by then.
DRAIN_S = 0.3
# Changes that come together are taken together.
SETTLE_S = 0.01
RETRY_S = 0.5

_log = logging.getLogger(__name__)

_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
_EVENT_MAX = 4 * 2**20


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve HTTP at `site.ports["gateway"]`, Envoy's admin interface at `site.ports["envoy-admin"]`, until `stop`."""
    async with aiohttp.ClientSession(read_bufsize=_EVENT_MAX) as session, asyncio.TaskGroup() as group:
        gateway = _Gateway(site, session)
        group.create_task(gateway.proxy.run(session, stop))
        for kept in gateway.kept:
            group.create_task(kept.run(session, stop))
        group.create_task(gateway.run(stop))


class _Gateway:
    def __init__(self, site: Site, session: aiohttp.ClientSession) -> None:
        self._url = site.url("kubernetes")
        self._session = session
        self._wake = asyncio.Event()
        self._draining: dict[str, asyncio.Task[None]] = {}
        self.proxy = Proxy(site)
        paths = (f"{_GATEWAY_API}/gateways", f"{_GATEWAY_API}/httproutes", "/api/v1/services", "/api/v1/pods")
        self.kept = self._gateways, self._routes, self._services, self._pods = tuple(
            Kept(self._url, path, self._wake.set) for path in paths
        )

    async def run(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._wake.set())
        wait_s: float | None = None
        try:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
                await asyncio.sleep(SETTLE_S)
                self._wake.clear()
                if stop.is_set() or not all(kept.listed for kept in self.kept):
                    continue
                try:
                    wait_s = await self._sync()
                except (TimeoutError, aiohttp.ClientError, OSError) as error:
                    _log.warning("gateway: %s, trying again", error or type(error).__name__)
                    wait_s = RETRY_S
        finally:
            stopped.cancel()
            for task in self._draining.values():
                task.cancel()

    async def _sync(self) -> float | None:
        """Everything there is now, into Envoy; then what came of it, into statuses. Gives when to look again, in s."""
        gateways, routes, pods = self._gateways.items, self._routes.items, self._pods.items
        wanted = snapshot(gateways, routes, self._services.items, pods)
        programmed = Condition("Programmed", True, "Programmed")
        wait_s = None
        try:
            wait_s = await self.proxy.apply(wanted.backends, wanted.virtual_hosts)
        except Refused as error:
            _log.warning("gateway: %s", error)
            programmed = Condition("Programmed", False, "Invalid", str(error))
        for pod in pods:
            self._drain(pod)
        for gateway in gateways:
            if gateway["spec"].get("gatewayClassName") == CLASS:
                await self._report_gateway(gateway)
        for route in routes:
            await self._report(route, wanted, programmed)
        return wait_s

    def _drain(self, pod: Object) -> None:
        """Of a pod that is leaving, and has left Envoy: say so, a moment later."""
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        if "deletionTimestamp" not in metadata or PORT not in annotations or DRAINED in annotations:
            return
        if metadata["uid"] not in self._draining:
            task = asyncio.create_task(self._mark_drained(metadata["namespace"], metadata["name"]))
            self._draining[metadata["uid"]] = task
            task.add_done_callback(lambda _: self._draining.pop(metadata["uid"], None))

    async def _mark_drained(self, namespace: str, name: str) -> None:
        await asyncio.sleep(DRAIN_S)
        with contextlib.suppress(aiohttp.ClientError, OSError):  # without the mark, the pod waits for itself
            await self._patch(
                f"/api/v1/namespaces/{namespace}/pods/{name}", {"metadata": {"annotations": {DRAINED: _now()}}}
            )

    async def _report_gateway(self, gateway: Object) -> None:
        found = (Condition("Accepted", True, "Accepted"), Condition("Programmed", True, "Programmed"))
        before = gateway.get("status", {}).get("conditions") or []
        conditions = _conditions(found, before, gateway["metadata"]["generation"])
        if conditions != before:
            metadata = gateway["metadata"]
            path = f"{_GATEWAY_API}/namespaces/{metadata['namespace']}/gateways/{metadata['name']}/status"
            address = [{"type": "IPAddress", "value": "127.0.0.1"}]
            await self._patch(path, {"status": {"conditions": conditions, "addresses": address}})

    async def _report(self, route: Object, wanted: Snapshot, programmed: Condition) -> None:
        metadata = route["metadata"]
        found = wanted.parents.get(f"{metadata['namespace']}/{metadata['name']}", {})
        before = route.get("status", {}).get("parents") or []
        parents = [one for one in before if one["controllerName"] != CONTROLLER]
        for number, conditions in found.items():
            reference = route["spec"]["parentRefs"][number]
            old: Object = next(
                (one for one in before if one["parentRef"] == reference and one["controllerName"] == CONTROLLER), {}
            )
            accepted = all(one.status for one in conditions if one.type == "Accepted")
            effective = (
                programmed if accepted else Condition("Programmed", False, "Invalid", "the route is not accepted")
            )
            parents.append(
                {
                    "parentRef": reference,
                    "controllerName": CONTROLLER,
                    "conditions": _conditions(
                        (*conditions, effective), old.get("conditions") or [], metadata["generation"]
                    ),
                }
            )
        if parents != before:
            path = f"{_GATEWAY_API}/namespaces/{metadata['namespace']}/httproutes/{metadata['name']}/status"
            await self._patch(path, {"status": {"parents": parents}})

    async def _patch(self, path: str, change: Object) -> None:
        """A merge patch; that the object is gone by now is fine."""
        headers = {"Content-Type": "application/merge-patch+json", "User-Agent": "pointsman-gateway"}
        async with self._session.patch(self._url + path, json=change, headers=headers) as answer:
            if answer.status != 404:
                answer.raise_for_status()


def _conditions(found: Sequence[Condition], before: Sequence[Mapping[str, object]], generation: int) -> list[Object]:
    """As JSON; a transition time moves only with its status."""
    old = {one["type"]: one for one in before}
    result = []
    for one in found:
        status = "True" if one.status else "False"
        last = old.get(one.type, {})
        result.append(
            {
                "type": one.type,
                "status": status,
                "reason": one.reason,
                "message": one.message,
                "observedGeneration": generation,
                "lastTransitionTime": last["lastTransitionTime"] if last.get("status") == status else _now(),
            }
        )
    return result


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
