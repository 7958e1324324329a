"""`python -m pointsman_local.models.server`: serves one version of the digits model.

`MODEL_URI` (`file:///…`) names the folder, `PORT` where to listen. `POST /predict {"pixels": [64 numbers]}` answers
`{"digit": n}` with the version in `x-model-version`; `GET /health` is 200 once the model is loaded; `GET /metrics`
is Prometheus' text format. SIGTERM lets requests under way end first.

HTTP/1.1 is spoken by hand, because a pod is a process here and there may be a dozen: a server library would double
what one costs in memory and in time to start. What is spoken is what a gateway sends: requests one after the other
on kept connections, bodies with their length.
"""

import asyncio
import json
import math
import os
import random
import signal
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

__all__ = ["main"]

EDGES_S = tuple(round(0.001 * 1.5**step, 6) for step in range(22))
ANSWERS, ANSWERS_LEAST = 500, 100
"""Quality and drift are told of so many answers, the last ones, and not before there are enough."""
LINGER_S = 0.5
"""After SIGTERM connections are still taken for so long: the gateway learns of the end a moment later."""
GRACE_S = 10.0
HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 413: "Content Too Large"}
_REASONS |= {431: "Request Header Fields Too Large", 500: "Internal Server Error"}


class Model:
    """A linear classifier, and what is wrong with the way it is served."""

    def __init__(self, folder: Path) -> None:
        meta = json.loads((folder / "meta.json").read_text())
        self.version = str(meta["name"])
        self.slower_s = float(meta["slower_ms"]) / 1000
        self.failing = float(meta["failing_percent"]) / 100
        with np.load(folder / "weights.npz") as arrays:
            self._weights, self._bias = arrays["weights"], arrays["bias"]

    def digit(self, pixels: list[float]) -> tuple[int, float]:
        """The digit, and how sure the model is of it (0 to 1). Raises ValueError for anything but 64 numbers."""
        image = np.asarray(pixels, dtype=np.float32)
        if image.shape != (64,):
            raise ValueError("not 64 pixels")
        scores = image @ self._weights + self._bias
        digit = int(np.argmax(scores))
        return digit, float(1.0 / np.exp(scores - scores[digit]).sum())


class Service:
    """The three paths, and their counters."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.ending = False
        self.connections: set[Connection] = set()
        self._started_at = time.time()
        # Created before the first request: a series that appears with its first error would lose that error.
        self._requests = Counter({200: 0, 400: 0, 500: 0})
        self._buckets = [0] * (len(EDGES_S) + 1)
        self._seconds = 0.0
        self._luck = random.Random()
        self._answers: deque[tuple[int, float]] = deque(maxlen=ANSWERS)

    def answer(self, method: str, path: str) -> tuple[int, bytes, str]:
        """Status, body and type for anything but a prediction."""
        match method, path:
            case "GET", "/health":
                return 200, b"ok", "text/plain"
            case "GET", "/metrics":
                return 200, self._metrics().encode(), "text/plain; version=0.0.4"
            case _:
                return 404, b"not found", "text/plain"

    def predict(self, body: bytes) -> tuple[int, bytes]:
        if self._luck.random() < self.model.failing:
            return 500, b'{"error": "the model failed"}'
        try:
            digit, confidence = self.model.digit(json.loads(body)["pixels"])
        except (ValueError, KeyError, TypeError):
            return 400, b'{"error": "expected {\\"pixels\\": [64 numbers]}"}'
        self._answers.append((digit, confidence))
        return 200, b'{"digit": %d}' % digit

    def count(self, status: int, seconds: float) -> None:
        self._requests[status] += 1
        self._buckets[bisect_left(EDGES_S, seconds)] += 1
        self._seconds += seconds

    def _metrics(self) -> str:
        lines = ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {self._started_at:.3f}"]
        lines += ["# TYPE process_cpu_seconds_total counter", f"process_cpu_seconds_total {time.process_time():.3f}"]
        lines.append("# TYPE http_requests_total counter")
        lines += [f'http_requests_total{{code="{code}"}} {count}' for code, count in sorted(self._requests.items())]
        lines.append("# TYPE http_request_duration_seconds histogram")
        below = 0
        for edge, count in zip((*map(str, EDGES_S), "+Inf"), self._buckets, strict=True):
            below += count
            lines.append(f'http_request_duration_seconds_bucket{{le="{edge}"}} {below}')
        lines += [
            f"http_request_duration_seconds_sum {self._seconds:.6f}",
            f"http_request_duration_seconds_count {below}",
        ]
        if len(self._answers) >= ANSWERS_LEAST:
            quality = sum(confidence for _, confidence in self._answers) / len(self._answers)
            drift = _drift(Counter(digit for digit, _ in self._answers))
            lines += ["# TYPE model_quality gauge", f"model_quality {quality:.4f}"]
            lines += ["# TYPE model_drift gauge", f"model_drift {drift:.4f}"]
        return "\n".join(lines) + "\n"


def _drift(digits: Mapping[int, int]) -> float:
    """Population stability index of the digits that were answered, against what was learned: a tenth of each."""
    total = sum(digits.values())
    shares = [max(digits.get(digit, 0), 0.5) / total for digit in range(10)]
    return sum((share - 0.1) * math.log(share / 0.1) for share in shares)


class Connection(asyncio.Protocol):
    """One kept connection: a request is answered before the next is looked at."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = bytearray()
        self._busy = False
        self._keep = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._next()

    def close_if_idle(self) -> None:
        if not self._busy:
            self._transport.close()

    def _next(self) -> None:
        """Take a whole request off the buffer, if there is one, and begin with it."""
        begun = time.perf_counter()
        head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not separator:
            if len(head) > HEAD_BYTES_MAX:
                self._refuse(431)
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        parts = first.split(" ")
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or len(parts) != 3 or not length.isdigit():
            self._refuse(411 if "transfer-encoding" in headers else 400)
            return
        if int(length) > BODY_BYTES_MAX:
            self._refuse(413)
            return
        if len(rest) < int(length):
            return
        self._buffer = bytearray(rest[int(length) :])
        self._keep = parts[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._busy = True
        method, path = parts[0], parts[1].partition("?")[0]
        if (method, path) != ("POST", "/predict"):
            self._answer(*self._service.answer(method, path))
            return
        body = rest[: int(length)]
        if self._service.model.slower_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._service.model.slower_s, self._predict, body, begun)
        else:
            self._predict(body, begun)

    def _predict(self, body: bytes, begun: float) -> None:
        status, answer = self._service.predict(body)
        self._service.count(status, time.perf_counter() - begun)
        self._answer(status, answer, "application/json", self._service.model.version)

    def _refuse(self, status: int) -> None:
        self._keep = False
        self._answer(status, b"", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str, version: str = "") -> None:
        keep = self._keep and not self._service.ending
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        head += f"x-model-version: {version}\r\n" if version else ""
        head += "\r\n" if keep else "connection: close\r\n\r\n"
        self._transport.write(head.encode("latin-1") + body)
        self._busy = False
        if not keep:
            self._transport.close()
        elif self._buffer:
            self._next()


async def _serve(service: Service, port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port)
    await stop.wait()
    # An idle connection that were closed now could meet a request on its way: for a moment more it may come.
    service.ending = True
    await asyncio.sleep(LINGER_S)
    server.close()
    end = loop.time() + GRACE_S
    while service.connections and loop.time() < end:
        for connection in list(service.connections):
            connection.close_if_idle()
        await asyncio.sleep(0.02)


def main() -> None:
    uri = urlsplit(os.environ["MODEL_URI"])
    if uri.scheme != "file":
        raise SystemExit(f"this server reads file:// only, not {uri.scheme}://")
    asyncio.run(_serve(Service(Model(Path(uri.path))), int(os.environ["PORT"])))


if __name__ == "__main__":
    main()
