"""Real pushes to the local git server, read back by the adapter; the webhooks it posts are checked."""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import urllib3
from dulwich import porcelain

from pointsman.adapters import git
from pointsman.adapters.endpoints import Settings
from pointsman.core.names import Commit
from pointsman.errors import Absent, Unavailable
from pointsman.ports import Source
from pointsman_local.git import serve
from pointsman_local.site import Site

SECRET = "s3cret"


class Receiver:
    """Stands where `receive_webhook` is; `refusals` answers are 503 before the first 202."""

    def __init__(self) -> None:
        self.posts: Queue[tuple[dict[str, str], bytes]] = Queue()
        self.refusals = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = outer.refusals > 0
                outer.refusals -= refused
                self.send_response(503 if refused else 202)
                self.end_headers()
                if not refused:
                    outer.posts.put((dict(self.headers), body))

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Running:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.url = f"{site.url('git')}/local/config.git"
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        self._started.wait(10)
        retry = urllib3.Retry(total=None, connect=50, backoff_factor=0.05, backoff_max=0.2)
        urllib3.PoolManager(retries=retry).request("GET", f"{self.url}/info/refs?service=git-upload-pack")

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set()
        await serve(self.site, self._stop)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def cloud(tmp_path: Path, receiver: Receiver, free_port: Callable[[], int]) -> Iterator[Running]:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "webhook_secrets.json").write_text(json.dumps({"github": [SECRET]}))
    ports = {"git": free_port(), "functions/receive_webhook": receiver.server.server_port}
    running = Running(Site(tmp_path, "lab", "us-central1", "local", ports))
    yield running
    running.stop()


def commit(folder: Path, files: dict[str, str]) -> str:
    if not (folder / ".git").exists():
        porcelain.init(str(folder)).close()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    porcelain.add(str(folder), [str(folder / name) for name in files])
    sha = porcelain.commit(
        str(folder), message=b"change", author=b"Lab <lab@localhost>", committer=b"Lab <lab@localhost>"
    )
    return sha.decode()


def push(folder: Path, url: str, *, force: bool = False) -> None:
    with open("/dev/null", "wb") as quiet:
        porcelain.push(str(folder), url, b"HEAD:refs/heads/main", outstream=quiet, errstream=quiet, force=force)


def source(token: Callable[[str], str] = lambda name: name) -> Source:
    return git.connect(Settings("lab", "us-central1", "local"), token)


def taken(receiver: Receiver) -> tuple[dict[str, str], dict[str, Any]]:
    headers, body = receiver.posts.get(timeout=20)
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={expected}"
    return headers, json.loads(body)


def test_a_push_is_told_to_the_receiver_signed_and_its_files_can_be_read(
    cloud: Running, receiver: Receiver, tmp_path: Path
) -> None:
    head = commit(tmp_path / "w", {"a.yaml": "a: 1\n", "b/c.yml": "c: 2\n", "notes.txt": "no\n"})
    push(tmp_path / "w", cloud.url)
    headers, payload = taken(receiver)
    assert headers["X-GitHub-Event"] == "push"
    assert (payload["ref"], payload["after"], payload["created"], payload["forced"]) == (
        "refs/heads/main",
        head,
        True,
        False,
    )
    assert payload["repository"]["clone_url"] == cloud.url
    assert source().heads(cloud.url) == {"main": head}
    assert source().files(cloud.url, Commit(head)) == {"a.yaml": b"a: 1\n", "b/c.yml": b"c: 2\n"}


def test_a_commit_that_is_no_head_any_more_can_still_be_read(cloud: Running, tmp_path: Path) -> None:
    first = commit(tmp_path / "w", {"a.yaml": "a: 1\n"})
    push(tmp_path / "w", cloud.url)
    commit(tmp_path / "w", {"a.yaml": "a: 2\n"})
    push(tmp_path / "w", cloud.url)
    assert source().files(cloud.url, Commit(first)) == {"a.yaml": b"a: 1\n"}


def test_a_forced_push_says_so(cloud: Running, receiver: Receiver, tmp_path: Path) -> None:
    before = commit(tmp_path / "w", {"a.yaml": "a: 1\n"})
    push(tmp_path / "w", cloud.url)
    taken(receiver)
    after = commit(tmp_path / "other", {"a.yaml": "a: 3\n"})
    push(tmp_path / "other", cloud.url, force=True)
    _, payload = taken(receiver)
    assert (payload["before"], payload["after"], payload["forced"]) == (before, after, True)


def test_a_receiver_that_is_not_ready_gets_the_webhook_again(
    cloud: Running, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.refusals = 1
    head = commit(tmp_path / "w", {"a.yaml": "a: 1\n"})
    push(tmp_path / "w", cloud.url)
    _, payload = taken(receiver)
    assert payload["after"] == head


def test_a_file_over_the_limit_is_cut_just_past_it(cloud: Running, tmp_path: Path) -> None:
    head = commit(tmp_path / "w", {"big.yaml": "#" * 600_000})
    push(tmp_path / "w", cloud.url)
    assert len(source().files(cloud.url, Commit(head))["big.yaml"]) == 512 * 1024 + 1


def test_an_unknown_repository_and_a_silent_server_are_told_apart(cloud: Running, free_port: Callable[[], int]) -> None:
    with pytest.raises(Absent):
        source().heads(f"{cloud.site.url('git')}/local/other.git")
    with pytest.raises(Unavailable):
        source().heads(f"http://127.0.0.1:{free_port()}/local/config.git")


def test_a_webhook_can_be_lost_and_the_next_one_doubled(cloud: Running, receiver: Receiver, tmp_path: Path) -> None:
    asked = urllib3.request("PUT", f"{cloud.site.url('git')}/local/v1/webhooks", json={"drop": 1, "copies": 2})
    assert asked.status == 204
    commit(tmp_path / "w", {"a.yaml": "a: 1\n"})
    push(tmp_path / "w", cloud.url)
    second = commit(tmp_path / "w", {"a.yaml": "a: 2\n"})
    push(tmp_path / "w", cloud.url)
    one, two = taken(receiver), taken(receiver)
    assert one[1]["after"] == two[1]["after"] == second
    assert one[0]["X-GitHub-Delivery"] == two[0]["X-GitHub-Delivery"]
    assert receiver.posts.empty()
