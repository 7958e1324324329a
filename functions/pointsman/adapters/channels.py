"""Where notices go: Slack, Google Chat, a webhook, the console. (Commit statuses: `commit_statuses`.)"""

import json
import sys
from typing import TextIO
from urllib.parse import quote

from pointsman.adapters.cdevents import cdevent, headers
from pointsman.adapters.posting import Poster
from pointsman.core.notices import ChannelRef, Notice
from pointsman.errors import Invalid
from pointsman.ports import Channel, Secrets

__all__ = ["Console", "GoogleChat", "Slack", "Webhook", "connect"]

JSON_TYPE = {"Content-Type": "application/json; charset=utf-8"}
SLACK_TEXT_MAX = 3000
"""Slack cuts messages at 4,000 characters ("Truncating really long messages" in its changelog)."""
CHAT_BYTES_MAX = 30_000
"""Google Chat takes 32,000 bytes a message ("Limits" of the Chat API)."""


class Slack:
    """An incoming webhook. It cannot start or find a thread: each notice stands by itself."""

    def __init__(self, name: str, url: str, poster: Poster) -> None:
        self._name = name
        self._url = url
        self._poster = poster

    def send(self, notice: Notice) -> None:
        text = f"*{_escaped(notice.title)}*\n{_cut(_escaped(notice.text), SLACK_TEXT_MAX)}{_link(notice)}"
        self._poster.post(self._name, self._url, json.dumps({"text": text}).encode(), JSON_TYPE)


class GoogleChat:
    """A space's incoming webhook. A rollout's notices share a thread."""

    def __init__(self, name: str, url: str, poster: Poster) -> None:
        self._name = name
        self._url = url
        self._poster = poster

    def send(self, notice: Notice) -> None:
        text = _cut(_escaped(notice.text), CHAT_BYTES_MAX // 4)
        body = {
            "text": f"*{_escaped(notice.title)}*\n{text}{_link(notice)}",
            "thread": {"threadKey": notice.thread},
        }
        joint = "&" if "?" in self._url else "?"
        url = f"{self._url}{joint}messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
        self._poster.post(self._name, url, json.dumps(body).encode(), JSON_TYPE)


class Webhook:
    """Anybody's endpoint: each notice is a CDEvent in a CloudEvent."""

    def __init__(self, name: str, url: str, poster: Poster) -> None:
        self._name = name
        self._url = url
        self._poster = poster

    def send(self, notice: Notice) -> None:
        event = cdevent(notice)
        self._poster.post(self._name, self._url, json.dumps(event).encode(), headers(event))


class Console:
    """One readable line on `out`, for who watches a terminal."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def send(self, notice: Notice) -> None:
        out = self._out or sys.stdout
        line = " ".join(f"{notice.title}: {notice.text}".split())
        out.write("".join(letter for letter in line if letter.isprintable()) + "\n")
        out.flush()


def connect(ref: ChannelRef, secrets: Secrets) -> Channel:
    """The channel that a notice names. Raises Invalid without a URL, and what reading its secret raises."""
    url = secrets.read(ref.secret) if ref.secret else ref.url
    if not url:
        raise Invalid("the channel has neither a secret nor a URL", where=ref.name)
    kinds: dict[str, type[Slack | GoogleChat | Webhook]] = {
        "Slack": Slack,
        "GoogleChat": GoogleChat,
        "Webhook": Webhook,
    }
    return kinds[ref.type](ref.name, url, Poster())


def _escaped(text: str) -> str:
    """Slack's three control characters, which Google Chat takes for the same: nothing a document says becomes a
    link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(notice: Notice) -> str:
    """The notice's URL, if it is one, with what would end the link early spelled out."""
    if not notice.url or not notice.url.startswith(("https://", "http://")):
        return ""
    return f"\n<{quote(notice.url, safe=':/?#[]@!$&()*+,;=%~')}|Details>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
