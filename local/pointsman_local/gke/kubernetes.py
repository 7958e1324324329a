"""The cluster's side: pods followed by a watch, Nodes written and taken away, Events on pods.

The Kubernetes API may come later than this service, or restart: everything here is tried again.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp

from pointsman_local.gke import shape
from pointsman_local.gke.engine import Engine, rung
from pointsman_local.gke.state import Node

__all__ = ["Kubernetes"]

RETRY_S = 0.5
WATCH_S = 300
CALL = aiohttp.ClientTimeout(total=10)
WATCH = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=WATCH_S + 30)


class Kubernetes:
    """What the node pools need of the Kubernetes API."""

    def __init__(self, engine: Engine, session: aiohttp.ClientSession) -> None:
        self.pods: dict[str, Mapping[str, Any]] = {}
        """Pods by uid, once `is_synced`."""
        self.is_synced = False
        self._engine = engine
        self._session = session
        self._url = engine.site.url("kubernetes")
        self._evicted: set[str] = set()

    async def follow_pods(self) -> None:
        """Keep `pods` as they are, for ever."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError):
                await self._check_nodes()
                listed = await self._call("GET", "/api/v1/pods")
                self.pods = {pod["metadata"]["uid"]: pod for pod in listed["items"]}
                self.is_synced = True
                self._engine.ring()
                await self._watch(listed["metadata"]["resourceVersion"])
            await asyncio.sleep(RETRY_S)

    async def keep_nodes(self) -> None:
        """Write the Nodes of new machines, drain and delete those of leaving ones, for ever."""
        bell = self._engine.bell()
        while True:
            bell.clear()
            pending = False
            for node in list(self._engine.state.nodes.values()):
                try:
                    if node.state == "ready" and not node.registered:
                        await self._register(node)
                    elif node.state == "leaving":
                        await self._remove(node)
                except (aiohttp.ClientError, TimeoutError):
                    pending = True
            await rung(bell, RETRY_S if pending else None)

    async def tell(self, pod: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Write an Event about a pod, as the cluster autoscaler does; a failure to is not a failure of scaling."""
        metadata = pod["metadata"]
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata.get("uid", ""),
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "cluster-autoscaler"},
            "reportingComponent": "cluster-autoscaler",
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        with suppress(aiohttp.ClientError, TimeoutError):
            await self._call("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", event)

    def pods_on(self, node: str) -> list[Mapping[str, Any]]:
        return [pod for pod in self.pods.values() if pod.get("spec", {}).get("nodeName") == node]

    async def _watch(self, version: str) -> None:
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
            "allowWatchBookmarks": "true",
        }
        async with self._session.get(f"{self._url}/api/v1/pods", params=query, timeout=WATCH) as answer:
            answer.raise_for_status()
            async for event in _lines(answer):
                if event["type"] == "ERROR":
                    return  # 410 Gone: list again
                if event["type"] == "BOOKMARK":
                    continue
                uid = event["object"]["metadata"]["uid"]
                if event["type"] == "DELETED":
                    self.pods.pop(uid, None)
                    self._evicted.discard(uid)
                else:
                    self.pods[uid] = event["object"]
                self._engine.ring()

    async def _check_nodes(self) -> None:
        """Find registered nodes whose object is gone: an API server that lost its state gets them again."""
        listed = await self._call("GET", "/api/v1/nodes")
        names = {item["metadata"]["name"] for item in listed["items"]}
        for node in self._engine.state.nodes.values():
            if node.registered and node.name not in names:
                node.registered = False
                self._engine.state.keep_node(node)

    async def _register(self, node: Node) -> None:
        pool = self._engine.state.pools[node.pool]
        body = shape.node_object(pool, node.name, node.zone, self._engine.site.project, time.time())
        answer = await self._send("POST", "/api/v1/nodes", body)
        if answer == 409:
            patch = {"metadata": {"labels": body["metadata"]["labels"]}, "spec": {"taints": shape.taints(pool)}}
            await self._call("PATCH", f"/api/v1/nodes/{node.name}", patch, "application/merge-patch+json")
        elif answer >= 400:
            raise aiohttp.ClientError(f"the Kubernetes API answered {answer} to a Node")
        self._engine.registered(node)

    async def _remove(self, node: Node) -> None:
        """Evict the pods of a node, then delete it; called again while pods are ending."""
        if node.registered and not self.is_synced:
            raise aiohttp.ClientError("the pods are not known yet")
        pods = self.pods_on(node.name)
        for pod in pods:
            metadata = pod["metadata"]
            if metadata["uid"] not in self._evicted:
                self._evicted.add(metadata["uid"])
                await self._send("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")
        if not pods:
            await self._send("DELETE", f"/api/v1/nodes/{node.name}")
            self._engine.gone(node)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> int:
        async with self._session.request(method, f"{self._url}{path}", json=body, timeout=CALL) as answer:
            await answer.read()
            if answer.status >= 500:
                raise aiohttp.ClientError(f"the Kubernetes API answered {answer.status}")
            return answer.status

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> Any:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._session.request(
            method, f"{self._url}{path}", data=data, headers=headers, timeout=CALL
        ) as answer:
            answer.raise_for_status()
            return await answer.json()


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The events of a watch. Not `readline`, whose limit a large object may pass."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
