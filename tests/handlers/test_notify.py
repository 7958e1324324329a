"""A notice reaches its channels; one that is down neither silences nor repeats the others."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.handlers.fakes import FakeChannel, World, at
from tests.handlers.plane import Lines

from pointsman.core.notices import ChannelRef, Notice, notice_event, notice_of
from pointsman.errors import Denied, Invalid, PointsmanError, Unavailable
from pointsman.handlers.notify import receive
from pointsman.ports import Channel

NOTICE = Notice(
    notice="RolloutRolledBack",
    title="chat-8abab22e was given back",
    text="5xx worse by 3 %",
    channels=(ChannelRef("oncall", "Slack", secret="slack-oncall"), ChannelRef("all", "Webhook", url="https://h/x")),
    service="nlp/chat",
    rollout="67668e419eba11d3",
    revision="chat-8abab22e",
    repository="https://github.com/acme-ml/model-config.git",
    commit="2f22765d04931a078909145ca628d2264c852d7d",
    state="rolled_back",
    verdict={"action": "roll_back", "metric": "5xx"},
)


def request(notice: Notice = NOTICE, **changed: Any) -> tuple[dict[str, str], bytes]:
    event = notice_event(notice, cause="67668e419eba11d3/17", now=at())
    body = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type, "data": event.data}
    return {"content-type": "application/cloudevents+json"}, json.dumps({**body, **changed}).encode()


class Channels:
    """Named channels, each a fake of its own, some of them down."""

    def __init__(self, **down: PointsmanError) -> None:
        self.channels = {
            name: FakeChannel(World(failing={"channel.send": [error]} if (error := down.get(name)) else {}))
            for name in ("oncall", "all", "status")
        }

    def __call__(self, ref: ChannelRef) -> Channel:
        return self.channels[ref.name]

    def told(self) -> list[str]:
        return [name for name, channel in self.channels.items() if channel.sent]

    def receive(self, call: tuple[dict[str, str], bytes], log: Lines | None = None) -> int:
        headers, body = call
        return receive(
            headers, body, channel=self, statuses=lambda: self.channels["status"], now=at(), log=log or Lines()
        )[1]


def test_a_notice_goes_to_its_channels_and_to_its_commit() -> None:
    channels, log = Channels(), Lines()
    assert channels.receive(request(), log) == 200
    assert channels.told() == ["oncall", "all", "status"]
    (sent,) = channels.channels["all"].sent
    assert (sent.title, sent.verdict, sent.id) == (NOTICE.title, NOTICE.verdict, "67668e419eba11d3/17")
    printed = [line for line in log.lines if line["event"] == "notice"]
    assert [(line["title"], line["severity"]) for line in printed] == [("chat-8abab22e was given back", "NOTICE")]


def test_a_notice_without_a_commit_is_no_status() -> None:
    channels = Channels()
    channels.receive(request(Notice("PoolScaled", "l4", "5 nodes", pool="l4")))
    assert channels.told() == []


@pytest.mark.parametrize("error", [Unavailable("no answer"), Denied("403")])
def test_a_channel_that_is_down_keeps_the_others_and_is_not_told_to_them_again(error: PointsmanError) -> None:
    channels, log = Channels(oncall=error), Lines()
    assert channels.receive(request(), log) == 200
    assert channels.told() == ["all", "status"]
    assert [line["code"] for line in log.lines if line["event"] == "notice-unsent"] == [error.code]


def test_when_nobody_could_be_reached_the_notice_comes_again() -> None:
    down = Unavailable("no answer")
    channels = Channels(oncall=down, all=Denied("403"), status=down)
    assert channels.receive(request()) == 503
    assert channels.receive(request()) == 200
    assert channels.told() == ["oncall", "all", "status"]


def test_when_nobody_will_ever_be_reached_it_does_not() -> None:
    assert Channels(oncall=Denied("403"), all=Invalid("no URL"), status=Denied("403")).receive(request()) == 200


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(({}, b"["), id="no-event"),
        pytest.param(request(type="org.example.other"), id="another-type"),
        pytest.param(request(data={"notice": "Whatever", "title": "t", "text": "t"}), id="unknown-notice"),
        pytest.param(request(data={"notice": "PoolScaled"}), id="no-title"),
        pytest.param(
            request(data={"notice": "PoolScaled", "title": "t", "text": "t", "channels": [{"x": 1}]}), id="odd"
        ),
        pytest.param(request(data="text"), id="no-object"),
    ],
)
def test_what_is_no_notice_is_logged_and_acknowledged(call: tuple[dict[str, str], bytes]) -> None:
    channels, log = Channels(), Lines()
    assert channels.receive(call, log) == 200
    assert channels.told() == []
    assert [line["event"] for line in log.lines] == ["notice-rejected"]


def test_a_notice_survives_its_event() -> None:
    told = notice_of(notice_event(NOTICE, cause="67668e419eba11d3/17", now=at()))
    assert told == replace(NOTICE, id="67668e419eba11d3/17", at=at())


@pytest.mark.parametrize(
    ("notice", "cause", "source", "identity"),
    [
        pytest.param(NOTICE, "r/17", "//pointsman/nlp/chat", "r/17", id="of-a-rollout"),
        pytest.param(
            Notice("PoolScaled", "t", "t", pool="l4"), "e", "//pointsman/pools/l4", "e/PoolScaled", id="of-a-pool"
        ),
        pytest.param(
            Notice("DocumentsRefused", "t", "t", repository="https://h/a.git"),
            "e",
            "//pointsman/https://h/a.git",
            "e/DocumentsRefused",
            id="of-a-repository",
        ),
    ],
)
def test_a_notice_is_known_by_what_it_is_about_and_what_led_to_it(
    notice: Notice, cause: str, source: str, identity: str
) -> None:
    event = notice_event(notice, cause=cause, now=at())
    assert (event.source, event.id) == (source, identity)


def test_a_notice_never_outgrows_an_event() -> None:
    for length in (10, 3_000, 50_000):
        notice = Notice("DocumentsRefused", "t", "é" * length, verdict={"numbers": list(range(2000))})
        data = notice_event(notice, cause="e", now=at()).data
        assert len(json.dumps(data).encode()) <= 4096
