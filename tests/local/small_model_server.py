"""A model server of the standard library alone: `PORT`, `VERSION`, `DELAY_MS`, `UNHEALTHY` (a file that makes it so).

Run as a program by tests of pods and of the gateway. On SIGTERM it takes no new connection, answers what is under
way with `connection: close`, and ends; with `STUBBORN` it does nothing at all.
"""

import http.server
import json
import os
import signal
import sys
import threading
import time

_under_way = 0
_lock = threading.Lock()
_ending = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: as two, the second would wait for a delayed acknowledgement

    def do_GET(self) -> None:
        global _under_way
        with _lock:
            _under_way += 1
        try:
            if self.path == "/health":
                self._answer(503 if os.path.exists(os.environ.get("UNHEALTHY", "/-")) else 200, {})
                return
            time.sleep(float(os.environ.get("DELAY_MS", "0")) / 1000)
            env = {
                name: os.environ.get(name) for name in ("VERSION", "HOSTNAME", "PORT", "NODE", "COLOUR", "MODEL_URI")
            }
            self._answer(200, {**env, "cwd": os.getcwd(), "path": self.path, "headers": dict(self.headers.items())})
        finally:
            with _lock:
                _under_way -= 1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def _answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if _ending.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"serving {os.environ.get('VERSION')} at {os.environ['PORT']}\n")
    sys.stdout.flush()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if os.environ.get("STUBBORN") else lambda *_: _ending.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    _ending.wait()
    server.shutdown()
    while _under_way:
        time.sleep(0.005)
    sys.stdout.write("bye\n")


if __name__ == "__main__":
    main()
