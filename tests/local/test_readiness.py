"""Is it there? Only an answer to a real request says so: not an open port, and not somebody else's words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from pointsman_local import readiness
from pointsman_local.readiness import answers, checks
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import deployed, load

FUNCTIONS = tuple(f"functions/{name}" for name in load(deployed()).functions)


def site_with(port: int) -> Site:
    return Site(Path("/nowhere"), "p", "us-central1", "c1", dict.fromkeys((*ENDPOINTS, *FUNCTIONS), port))


@asynccontextmanager
async def saying(content: bytes | None) -> AsyncIterator[int]:
    """A server that says `content` to everybody, or nothing and waits; its port."""

    talking: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.append(asyncio.current_task())
        await reader.read(1)
        if content is None:
            await reader.read()
        else:
            writer.write(content)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*(task for task in talking if task))


async def _ask(endpoint: str, content: bytes | None) -> bool:
    async with saying(content) as port:
        return await answers(checks(site_with(port), 4)[endpoint])


def http(status: int, body: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GOAWAY = b"\x00\x00\x00\x07\x00\x00\x00\x00\x00"
FOUR_TOPICS = '{"topics": [' + ", ".join(f'{{"name": "projects/p/topics/{name}"}}' for name in "abcd") + "]}"


@pytest.mark.parametrize(
    ("endpoint", "content", "there"),
    [
        pytest.param("kubernetes", http(200, "ok"), True, id="its-answer"),
        pytest.param("kubernetes", http(503), False, id="another-status"),
        pytest.param("kubernetes", b"", False, id="closed-without-a-word"),
        pytest.param("kubernetes", b"220 mail.example.com ESMTP", False, id="no-http"),
        pytest.param("kubernetes", b"\xff\xfe\x00", False, id="no-text"),
        pytest.param("pubsub-rest", http(200, FOUR_TOPICS), True, id="every-topic-is-there"),
        pytest.param("pubsub-rest", http(200, FOUR_TOPICS.replace("topics/d", "x")), True, id="by-their-number"),
        pytest.param("pubsub-rest", http(200, '{"topics": []}'), False, id="no-topic-yet"),
        pytest.param("gateway", http(404), True, id="a-gateway-without-routes"),
        pytest.param("functions/command", http(401), True, id="a-function-asks-for-a-token"),
        pytest.param("functions/receive_webhook", http(405), True, id="the-receiver-wants-post"),
        pytest.param("functions/command", http(500), False, id="a-function-that-is-broken"),
        pytest.param("pubsub", SETTINGS, True, id="grpc-says-its-settings"),
        pytest.param("pubsub", GOAWAY, False, id="grpc-says-goodbye"),
        pytest.param("pubsub", SETTINGS[:5], False, id="half-a-frame"),
        pytest.param("pubsub", http(400), False, id="http-1-where-grpc-should-be"),
    ],
)
def test_it_is_there_when_it_answers_as_only_it_does(endpoint: str, content: bytes, there: bool) -> None:
    assert asyncio.run(_ask(endpoint, content)) is there


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ANSWER_S", 0.05)
    assert asyncio.run(_ask("kubernetes", None)) is False


def test_a_port_that_nobody_listens_on_is_no_answer(free_port: object) -> None:
    assert callable(free_port)
    assert asyncio.run(answers(checks(site_with(free_port()), 4)["kubernetes"])) is False


def test_every_endpoint_and_function_is_asked() -> None:
    assert set(checks(site_with(1), 4)) == {*ENDPOINTS, *FUNCTIONS}
