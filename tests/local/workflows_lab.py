"""What tests of the local Workflows share: how to start and follow executions, and somebody to call."""

import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient

PARENT = "projects/lab/locations/us-central1"
ANSWER = "main:\n  params: [x]\n  steps:\n    - a: {return: '${x}'}"


def ended(executions: ExecutionsClient, name: str) -> Execution:
    for _ in range(1000):
        execution = executions.get_execution(name=name)
        if execution.state != Execution.State.ACTIVE:
            return execution
        time.sleep(0.01)
    raise AssertionError(f"{name} never ended")


def start(executions: ExecutionsClient, workflow: str, argument: Any = None) -> str:
    asked = Execution(argument=json.dumps(argument)) if argument is not None else Execution()
    return str(executions.create_execution(parent=workflow, execution=asked).name)


def ask(
    url: str, body: Any = None, method: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method or ("POST" if data else "GET")
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


class Listener:
    """An HTTP server that counts what it is asked; `hold` makes it wait before it answers."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.headers.append(dict(self.headers.items()))
                outer.hold.wait(timeout=30)
                content = json.dumps({"n": len(outer.bodies)}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # whoever asked was killed meanwhile

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, count: int) -> None:
        for _ in range(1000):
            if len(self.bodies) >= count:
                return
            time.sleep(0.01)
        raise AssertionError(f"asked {len(self.bodies)} times, not {count}")

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
