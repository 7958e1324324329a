"""Git over HTTP by dulwich's own server, beside one control call for lost and doubled webhooks.

`PUT /local/v1/webhooks {"drop": 1, "copies": 3}`: of the pushes that follow, the first `drop` are not told to
anybody; each later one is delivered `copies` times.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.hooks import Hook
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain

from pointsman_local.git.webhooks import Webhooks
from pointsman_local.site import Site

__all__ = ["REPOSITORY", "serve"]

REPOSITORY = "local/config"
_RefUpdate = tuple[ObjectID, ObjectID, Ref]


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve `local/config.git` at the endpoint `git` until `stop`."""
    repository = _open(site.folder("git") / "config.git")
    webhooks = Webhooks(site, REPOSITORY)
    repository.hooks["post-receive"] = _PostReceive(repository, webhooks)
    server = make_server(
        "127.0.0.1",
        site.ports["git"],
        _application(repository, webhooks),
        server_class=_Server,
        handler_class=_Handler,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="git", daemon=True)
    thread.start()
    try:
        await webhooks.deliver_until(stop)
    finally:
        server.shutdown()
        server.server_close()
        repository.close()


def _open(path: Path) -> Repo:
    if path.exists():
        return Repo(str(path))
    path.mkdir(parents=True)
    return Repo.init_bare(str(path), default_branch=b"main")


class _PostReceive(Hook):
    """Runs after a push was taken: keeps each head fetchable by its hash, and tells the receiver.

    The server serves advertised commits only, whereas GitHub and GitLab serve any that can be reached;
    a ref of each head that ever was makes up for it.
    """

    def __init__(self, repository: Repo, webhooks: Webhooks) -> None:
        self._repository = repository
        self._webhooks = webhooks

    def execute(self, *args: Any) -> bytes | None:
        updates: Iterable[_RefUpdate] = args[0]
        for before, after, ref in updates:
            if set(after) != {ord("0")}:
                self._repository.refs[Ref(b"refs/pointsman/" + after)] = after
            self._webhooks.pushed(self._repository, before.decode(), after.decode(), ref.decode())
        return None


def _application(repository: Repo, webhooks: Webhooks) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    paths = (f"/{REPOSITORY}.git", f"/{REPOSITORY}")
    served: dict[str, BackendRepo] = dict.fromkeys(paths, cast("BackendRepo", repository))
    git = make_wsgi_chain(DictBackend(served))

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(tuple(f"{name}/" for name in paths)):
            return git(environ, start_response)
        if path != "/local/v1/webhooks":
            start_response("404 Not Found", [])
            return []
        if environ["REQUEST_METHOD"] != "PUT":
            start_response("405 Method Not Allowed", [("Allow", "PUT")])
            return []
        asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        webhooks.misbehave(drop=int(asked.get("drop", 0)), copies=int(asked.get("copies", 1)))
        start_response("204 No Content", [])
        return []

    return application


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass
