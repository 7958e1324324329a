"""A Kubernetes API just large enough for the node pools: no scheduler, no kubelet; a test plays them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any

__all__ = ["KubernetesStub"]


class KubernetesStub:
    """Pods that a test writes, Nodes and Events that somebody else does; lists and watches, no scheduler."""

    def __init__(self, port: int) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}  # (plural, name) -> object
        self.events: list[dict[str, Any]] = []
        self._watchers: list[Queue[dict[str, Any]]] = []
        self._version = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                plural = path.rsplit("/", 1)[1]
                if "watch=true" in query:
                    outer._stream(self)
                else:
                    self._send(200, {"metadata": {"resourceVersion": str(outer._version)}, "items": outer.all(plural)})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                plural = self.path.rsplit("/", 1)[1]
                if plural == "events":
                    outer.events.append(body)
                elif (plural, body["metadata"]["name"]) in outer.objects:
                    self._send(409, {"reason": "AlreadyExists"})
                    return
                else:
                    outer.put(plural, body)
                self._send(201, body)

            def do_PATCH(self) -> None:
                patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                plural, name = self.path.rsplit("/", 2)[1:]
                changed = outer.objects[plural, name]
                for part, fields in patch.items():
                    changed[part] = {**changed[part], **fields}
                outer.put(plural, changed)
                self._send(200, changed)

            def do_DELETE(self) -> None:
                outer.remove(*self.path.rsplit("/", 2)[1:])
                self._send(200, {})

            def _send(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        return {name: item for (plural, name), item in list(self.objects.items()) if plural == "nodes"}

    def all(self, plural: str) -> list[dict[str, Any]]:
        return [item for (kind, _), item in list(self.objects.items()) if kind == plural]

    def put(self, plural: str, item: dict[str, Any]) -> None:
        with self._lock:
            self._version += 1
            kind = "MODIFIED" if (plural, item["metadata"]["name"]) in self.objects else "ADDED"
            item["metadata"] = {
                "uid": item["metadata"]["name"],
                **item["metadata"],
                "resourceVersion": str(self._version),
            }
            self.objects[plural, item["metadata"]["name"]] = item
            self._tell(plural, kind, item)

    def remove(self, plural: str, name: str) -> None:
        with self._lock:
            item = self.objects.pop((plural, name), None)
            if item is not None:
                self._tell(plural, "DELETED", item)

    def pending_pod(self, name: str, selector: dict[str, str] | None = None, **requests: str) -> None:
        """A pod that the scheduler found no node for."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        self.put(
            "pods",
            {
                "metadata": {"name": name, "namespace": "demo"},
                "spec": {
                    "nodeSelector": selector or {},
                    "containers": [{"name": "server", "resources": {"requests": requests}}],
                },
                "status": {"phase": "Pending", "conditions": [condition]},
            },
        )

    def bind(self, name: str, node: str) -> None:
        """The scheduler's part: the pod runs there."""
        pod = self.objects["pods", name]
        self.put("pods", {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {"phase": "Running"}})

    def reasons(self, pod: str) -> list[str]:
        """Reasons of the Events on a pod, in order."""
        return [event["reason"] for event in self.events if event["involvedObject"]["name"] == pod]

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.put({})
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _tell(self, plural: str, kind: str, item: dict[str, Any]) -> None:
        if plural == "pods":
            for watcher in self._watchers:
                watcher.put({"type": kind, "object": item})

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        watcher: Queue[dict[str, Any]] = Queue()
        with self._lock:
            for item in self.all("pods"):
                watcher.put({"type": "ADDED", "object": item})
            self._watchers.append(watcher)
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        while True:
            try:
                event = watcher.get(timeout=0.5)
            except Empty:
                continue
            if not event:
                return
            try:
                handler.wfile.write(json.dumps(event).encode() + b"\n")
            except OSError:
                return
