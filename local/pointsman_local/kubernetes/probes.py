"""Probes: real requests to the pod's process. Any port that a probe names is the pod's own."""

import asyncio

import aiohttp

from pointsman_local.kubernetes.kinds import Object

__all__ = ["ask"]


async def ask(session: aiohttp.ClientSession, probe: Object, port: int) -> str | None:
    """None when the probe succeeds, else what a kubelet would write. Takes at most `timeoutSeconds`."""
    timeout_s = float(probe.get("timeoutSeconds", 1))
    if get := probe.get("httpGet"):
        return await _http(session, get, port, timeout_s)
    if "tcpSocket" in probe:
        return await _tcp(port, timeout_s)
    return f"probe {', '.join(key for key in probe if key in ('exec', 'grpc'))} is not known on this machine"


async def _http(session: aiohttp.ClientSession, get: Object, port: int, timeout_s: float) -> str | None:
    url = f"http://127.0.0.1:{port}/{get.get('path', '/').removeprefix('/')}"
    headers = {one["name"]: one["value"] for one in get.get("httpHeaders") or []}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            if 200 <= answer.status < 400:
                return None
            return f"HTTP probe failed with statuscode: {answer.status}"
    except TimeoutError:
        return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except aiohttp.ClientConnectorError as error:
        return f'Get "{url}": dial tcp 127.0.0.1:{port}: {error.os_error.strerror}'
    except (aiohttp.ClientError, OSError) as error:
        return f'Get "{url}": {error}'


async def _tcp(port: int, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        return f"dial tcp 127.0.0.1:{port}: {error}"
    writer.close()
    return None
