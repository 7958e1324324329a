"""A subscription's filter: the whole language, since it has three operators and three tests.

    attributes:key                       the key is there
    attributes.key = "value"             (or !=, which also holds when the key is not there)
    hasPrefix(attributes.key, "text")
    AND, OR, NOT (or -), parentheses; AND and OR are mixed with parentheses only

https://cloud.google.com/pubsub/docs/subscription-message-filter#filtering_syntax
"""

import re
from collections.abc import Callable, Mapping

from pointsman_local.pubsub.wire import Refused

__all__ = ["Filter", "parse"]

Filter = Callable[[Mapping[str, str]], bool]

# https://cloud.google.com/pubsub/quotas#resource_limits
FILTER_BYTES_MAX = 256

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>!=|[=:.,()-]))',
    re.DOTALL,
)


def parse(text: str) -> Filter:
    """The test a message's attributes must pass. Raises Refused for what is no filter."""
    if len(text.encode()) > FILTER_BYTES_MAX:
        raise Refused.invalid(f"Filter is longer than {FILTER_BYTES_MAX} bytes.")
    if not text.strip():
        return lambda attributes: True
    return _Parser(text).whole()


class _Parser:
    """Recursive descent; a filter of 256 bytes cannot nest deeper than Python's stack."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._wrong()
            self._tokens.append(match[match.lastgroup or 0])
            place = match.end()
        self._next = 0

    def whole(self) -> Filter:
        test = self._expression()
        if self._next != len(self._tokens):
            raise self._wrong()
        return test

    def _expression(self) -> Filter:
        tests = [self._term()]
        operator = self._peek()
        if operator not in ("AND", "OR"):
            return tests[0]
        while self._peek() == operator:
            self._take()
            tests.append(self._term())
        if self._peek() in ("AND", "OR"):
            raise self._wrong()  # AND beside OR without parentheses
        combine = all if operator == "AND" else any
        return lambda attributes: combine(test(attributes) for test in tests)

    def _term(self) -> Filter:
        if self._peek() in ("NOT", "-"):
            self._take()
            test = self._term()
            return lambda attributes: not test(attributes)
        if self._peek() == "(":
            self._take()
            test = self._expression()
            self._take(")")
            return test
        return self._test()

    def _test(self) -> Filter:
        if self._peek() == "hasPrefix":
            self._take()
            self._take("(")
            self._take("attributes")
            self._take(".")
            key = self._key()
            self._take(",")
            prefix = self._string()
            self._take(")")
            return lambda attributes: attributes.get(key, "").startswith(prefix) and key in attributes
        self._take("attributes")
        if self._peek() == ":":
            self._take()
            present = self._key()
            return lambda attributes: present in attributes
        self._take(".")
        name = self._key()
        operator = self._take()
        value = self._string()
        if operator == "=":
            return lambda attributes: attributes.get(name) == value
        if operator == "!=":
            return lambda attributes: attributes.get(name) != value
        raise self._wrong()

    def _key(self) -> str:
        token = self._peek()
        return self._string() if token.startswith('"') else self._word()

    def _word(self) -> str:
        token = self._take()
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", token):
            raise self._wrong()
        return token

    def _string(self) -> str:
        token = self._take()
        if not token.startswith('"'):
            raise self._wrong()
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise self._wrong()
        self._next += 1
        return token

    def _wrong(self) -> Refused:
        return Refused.invalid(f"Invalid filter: {self._text}")
