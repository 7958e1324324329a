"""Logs of containers: a file for each start, and the call that reads them.

`<logs>/<namespace>_<pod>_<uid>/<container>/<restart>.log`, as a kubelet keeps them. They stay when a pod goes,
since a revision that was taken away is the one people ask about; of pods that are gone the newest are kept.
"""

import asyncio
import shutil
from pathlib import Path

from aiohttp import ClientConnectionResetError, web

from pointsman_local.kubernetes.kinds import Object
from pointsman_local.kubernetes.refusals import bad_request, not_implemented

__all__ = ["log_file", "log_folder", "prune_logs", "read_log"]

GONE_KEPT = 40
FOLLOW_EVERY_S = 0.2


def log_folder(logs: Path, pod: Object) -> Path:
    metadata = pod["metadata"]
    return logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def log_file(logs: Path, pod: Object, container: str, restarts: int) -> Path:
    """The file of one start of a container; its folder is made."""
    folder = log_folder(logs, pod) / container
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{restarts}.log"


def prune_logs(logs: Path, live: set[Path]) -> None:
    """Remove the oldest folders of pods that are gone."""
    gone = sorted((path for path in logs.iterdir() if path not in live), key=lambda path: path.stat().st_mtime)
    for path in gone[:-GONE_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


async def read_log(request: web.Request, pod: Object, logs: Path, stop: asyncio.Event) -> web.StreamResponse:
    """GET …/pods/NAME/log with `container`, `previous`, `tailLines`, `limitBytes` and `follow`."""
    query = request.query
    for name in ("timestamps", "sinceSeconds", "sinceTime"):
        if query.get(name) not in (None, "", "false"):
            raise not_implemented(f"GET {request.path} with `{name}`")
    names = [container["name"] for container in pod["spec"]["containers"]]
    container = query.get("container") or names[0]
    if container not in names:
        raise bad_request(f"container {container} is not valid for pod {pod['metadata']['name']}")
    files = sorted((log_folder(logs, pod) / container).glob("*.log"), key=lambda path: int(path.stem))
    if query.get("previous") == "true":
        files = files[:-1]
    if not files:
        raise bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start')
    text = await asyncio.to_thread(files[-1].read_bytes)
    read = len(text)
    if tail := query.get("tailLines"):
        lines = text.splitlines(keepends=True)
        text = b"".join(lines[-int(tail) :] if int(tail) else [])
    if limit := query.get("limitBytes"):
        text = text[: int(limit)]
    if query.get("follow") != "true":
        return web.Response(body=text, content_type="text/plain")
    return await _follow(request, files[-1], text, read, stop)


async def _follow(request: web.Request, file: Path, text: bytes, read: int, stop: asyncio.Event) -> web.StreamResponse:
    """What is there, then what is written, until the client goes."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        await response.write(text)
        with file.open("rb") as stream:
            stream.seek(read)
            while not stop.is_set() and request.transport is not None and not request.transport.is_closing():
                if more := stream.read():
                    await response.write(more)
                else:
                    await asyncio.sleep(FOLLOW_EVERY_S)
        await response.write_eof()
    except (ClientConnectionResetError, ConnectionError):
        pass  # the reader went away
    return response
