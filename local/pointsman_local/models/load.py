"""`python -m pointsman_local.models.load URL IMAGES`: asks a model, open loop, and says how each request went.

On standard input, a line `HOST RATE` sets how many requests a second go to the service of that host name (0: none).
On standard output, a line for each request when it is done: `BEGUN SECONDS STATUS HOST VERSION`, where BEGUN is Unix
time, STATUS 0 an error of the connection, and VERSION what the server said (`-`: nothing). The end of standard
input ends it, once every request has been answered.

Open loop: requests begin when they are due, whatever became of those before, so that a slow version is not asked
less. Connections are kept, as a client's would be, and more are opened when all are in use. Nothing is sent twice:
a request that met a closing connection counts as failed.
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["main"]

TIMEOUT_S = 15.0


class _Broken(Exception):
    """The connection ended, or what came was no answer."""


class _Connection(asyncio.Protocol):
    """One kept connection; `ask` one request at a time."""

    def __init__(self, idle: list["_Connection"]) -> None:
        self._idle = idle
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._idle:
            self._idle.remove(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Broken())

    async def ask(self, request: bytes) -> tuple[int, str]:
        """Status and version of the answer. Raises _Broken."""
        if self._transport.is_closing():
            raise _Broken
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not separator or self._answer is None or self._answer.done():
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "")
        if not length.isdigit():
            self._answer.set_exception(_Broken())
            self.close()
            return
        if len(rest) < int(length):
            return
        self._buffer.clear()
        if headers.get("connection", "").lower() == "close":
            self._transport.close()
        else:
            self._idle.append(self)
        self._answer.set_result((int(first.split(" ")[1]), headers.get("x-model-version", "-")))

    def close(self) -> None:
        self._transport.abort()


class _Load:
    def __init__(self, url: str, images: list[list[int]]) -> None:
        parts = urlsplit(url)
        self._address, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._bodies = [json.dumps({"pixels": image}).encode() for image in images]
        self._idle: list[_Connection] = []
        self._rates: dict[str, float] = {}
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._luck = random.Random(1)

    async def run(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            host, rate = line.decode().split()
            self._rates[host] = float(rate)
            if host not in self._senders:
                self._senders[host] = asyncio.create_task(self._send(host))
        for sender in self._senders.values():
            sender.cancel()
        await asyncio.gather(*self._under_way)
        for connection in list(self._idle):
            connection.close()

    async def _send(self, host: str) -> None:
        """Poisson arrivals; who is late sends at once."""
        due = time.monotonic()
        while True:
            rate = self._rates[host]
            if rate <= 0:
                await asyncio.sleep(0.05)
                due = time.monotonic()
                continue
            due += self._luck.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._ask(host))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask(self, host: str) -> None:
        begun, clock = time.time(), time.perf_counter()
        body = self._luck.choice(self._bodies)
        head = f"POST /predict HTTP/1.1\r\nhost: {host}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection, status, version = None, 0, "-"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                connection = self._idle.pop() if self._idle else await self._connect()
                status, version = await connection.ask(head.encode() + body)
        except (_Broken, TimeoutError, OSError):
            if connection is not None:
                connection.close()
        sys.stdout.write(f"{begun:.6f} {time.perf_counter() - clock:.6f} {status} {host} {version}\n")
        sys.stdout.flush()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._idle), self._address, self._port)
        return connection


async def _main(url: str, images: Path) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await _Load(url, json.loads(images.read_text())["images"]).run(lines)


def main() -> None:
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    main()
