"""A client of the local Kubernetes API, small and without opinions, and the objects that tests put there."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

__all__ = ["SERVER", "Cluster", "Refused", "deployment", "until"]

SERVER = Path(__file__).with_name("small_model_server.py")

Object = dict[str, Any]
Objects = list[Object]


class Refused(Exception):
    """An answer over 299."""

    def __init__(self, status: int, body: Object) -> None:
        super().__init__(f"{status} {body.get('reason')}: {body.get('message')}")
        self.status = status
        self.body = body


def until(question: Callable[[], Any], within_s: float = 20.0) -> Any:
    """The first true answer; fails after `within_s`, showing the last one."""
    deadline = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s:g} s"
        time.sleep(0.02)
    return answer


class Cluster:
    """Paths are short: `apps/deployments/NAME`, `pods`, `nodes/NAME`; the namespace is `default` unless given."""

    GROUPS: Mapping[str, str] = {
        "apps": "apps/v1",
        "gateway": "gateway.networking.k8s.io/v1",
        "policy": "policy/v1",
        "monitoring": "monitoring.googleapis.com/v1",
        "autoscaling": "autoscaling/v2",
        "gke": "networking.gke.io/v1",
    }

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=20))

    def path(self, short: str, namespace: str = "default") -> str:
        group, _, rest = short.partition("/")
        root = f"/apis/{self.GROUPS[group]}" if group in self.GROUPS else "/api/v1"
        rest = rest if group in self.GROUPS else short
        if rest.split("/")[0] in ("nodes", "namespaces") or not namespace:
            return f"{root}/{rest}"
        return f"{root}/namespaces/{namespace}/{rest}"

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Any:
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, "Accept": accept, "User-Agent": "tests/1"}
        answer = self._pool.request(method, url, body=data, headers=headers)
        found = json.loads(answer.data) if "json" in answer.headers.get("Content-Type", "") else answer.data.decode()
        if answer.status > 299:
            raise Refused(answer.status, found if isinstance(found, dict) else {"message": found})
        return found

    def get(self, short: str, namespace: str = "default", **query: str) -> Any:
        return self.send("GET", self.path(short, namespace), **query)

    def gone(self, short: str, namespace: str = "default") -> bool:
        name = short.rpartition("/")[2]
        return not self.list(short.rpartition("/")[0], namespace, fieldSelector=f"metadata.name={name}")

    def list(self, short: str, namespace: str = "default", **query: str) -> Objects:
        items: Objects = self.get(short, namespace, **query)["items"]
        return items

    def create(self, short: str, body: Object, namespace: str = "default", **query: str) -> Any:
        return self.send("POST", self.path(short, namespace), body, **query)

    def merge(self, short: str, change: Object, namespace: str = "default", **query: str) -> Any:
        return self.send("PATCH", self.path(short, namespace), change, "application/merge-patch+json", **query)

    def apply(self, short: str, body: Object, manager: str = "tester", namespace: str = "default", **query: str) -> Any:
        path = self.path(short, namespace)
        return self.send("PATCH", path, body, "application/apply-patch+yaml", fieldManager=manager, **query)

    def delete(self, short: str, namespace: str = "default", **options: object) -> Any:
        return self.send("DELETE", self.path(short, namespace), options or None)

    def clear(self, short: str, **options: object) -> None:
        """Delete all objects there; what goes by itself meanwhile is fine."""
        for item in self.list(short):
            try:
                self.send("DELETE", self.path(f"{short}/{item['metadata']['name']}"), options or None)
            except Refused as error:
                if error.status != 404:
                    raise

    def watch(self, short: str, namespace: str = "default", **query: str) -> Iterator[Object]:
        """Events until the server ends the watch; give `timeoutSeconds`."""
        url = f"{self.url}{self.path(short, namespace)}?{urlencode({'watch': 'true', **query})}"
        answer = self._pool.request("GET", url, preload_content=False, timeout=30)
        rest = b""
        for chunk in answer.stream(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)
        answer.release_conn()

    def pods(self, app: str, namespace: str = "default") -> Objects:
        return self.list("pods", namespace, labelSelector=f"app={app}")

    def ready(self, app: str, count: int, namespace: str = "default") -> Objects:
        """Wait until exactly `count` pods are there, all ready."""

        def found() -> Objects | bool:
            pods = self.pods(app, namespace)
            return len(pods) == count and all(is_ready(pod) for pod in pods) and (pods or [{}])

        pods: Objects = until(found)
        return pods

    def events(self, name: str) -> Sequence[tuple[str, str]]:
        """Reasons and messages of the Events on an object."""
        found = self.list("events", fieldSelector=f"involvedObject.name={name}")
        return [(event["reason"], event["message"]) for event in found]


def is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def deployment(name: str, replicas: int = 1, env: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A Deployment of the small model server; `spec` goes into its pod spec, `container` into its container."""
    container = {
        "name": "server",
        "image": "example.test/server:1",
        "command": ["python", str(SERVER)],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [container], **spec},
            },
        },
    }
