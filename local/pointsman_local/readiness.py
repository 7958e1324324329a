"""Is it there? Answered only by an answer to a real request, never by an open port."""

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable

from pointsman_local.site import Site

__all__ = ["answers", "checks"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
ANSWER_S = 2.0


def checks(site: Site, topics: int) -> dict[str, Callable[[], Awaitable[bool]]]:
    """Endpoint → a question that only the running service answers. `topics` is how many Pub/Sub must have."""
    project = f"/v1/projects/{site.project}"
    region = f"{project}/locations/{site.location}"
    http = {
        "pubsub-rest": (f"{project}/topics", 200, '"projects/', topics),
        "mlflow": ("/health", 200, "", 0),
        "workflows-rest": (f"{region}/workflows", 200, '"state"', 4),
        "container-rest": (f"{region}/clusters/{site.cluster}", 200, "", 0),
        "kubernetes": ("/readyz", 200, "", 0),
        "envoy-admin": ("/ready", 200, "", 0),
        "git": ("/local/config.git/info/refs?service=git-upload-pack", 200, "", 0),
        "scheduler": (f"{region}/jobs", 200, "", 0),
        "monitoring-rest": (f"{project}/location/global/prometheus/api/v1/query?query=1", 200, "success", 0),
    }
    found: dict[str, Callable[[], Awaitable[bool]]] = {}
    for endpoint in site.ports:
        if endpoint in http:
            path, status, text, least = http[endpoint]
            found[endpoint] = _http(site.url(endpoint) + path, {status}, text, least)
        elif endpoint.startswith("functions/"):
            # The receiver knows no such path; every other function asks for a token first.
            found[endpoint] = _http(site.url(endpoint) + "/", {401, 404, 405}, "", 0)
        elif endpoint in ("pubsub", "secretmanager", "workflows", "container", "monitoring"):
            found[endpoint] = _grpc(site.ports[endpoint])
        elif endpoint == "gateway":
            found[endpoint] = _http(site.url(endpoint) + "/", {404}, "", 0)
        else:
            raise AssertionError(f"nobody knows how to ask {endpoint}")
    return found


async def answers(check: Callable[[], Awaitable[bool]]) -> bool:
    """One question, with a bound of `ANSWER_S`; silence and refusal are no."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await check()
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
        return False  # nobody there, nothing said, or nothing that is HTTP


def _http(url: str, statuses: set[int], text: str, least: int) -> Callable[[], Awaitable[bool]]:
    parts = urllib.parse.urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()

    async def check() -> bool:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(request)
            answer = await reader.read()
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]) in statuses and body.decode("utf-8", "replace").count(text) >= least

    return check


def _grpc(port: int) -> Callable[[], Awaitable[bool]]:
    """HTTP/2's own greeting (RFC 9113, 3.4): a server answers it with its SETTINGS."""

    async def check() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(_PREFACE)
            return (await reader.readexactly(9))[3] == _SETTINGS
        finally:
            writer.close()

    return check
