"""How senders prove themselves. Every comparison takes the same time, and every active secret is tried."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

__all__ = ["bearer", "decoded_key", "equals_any", "hmac_base64", "hmac_hex", "timely", "v1_signatures"]


def hmac_hex(secret: bytes, message: bytes) -> bytes:
    return hmac.new(secret, message, sha256).hexdigest().encode()


def hmac_base64(secret: bytes, message: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret, message, sha256).digest())


def equals_any(given: Iterable[str], expected: Sequence[bytes]) -> bool:
    """Whether one of `given` is one of `expected`. No early exit: the time tells nothing of which, or how nearly."""
    # Headers may hold anything; compare_digest refuses text that is not ASCII, bytes it takes.
    results = [
        hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other) for one in given for other in expected
    ]
    return any(results)


def v1_signatures(header: str) -> list[str]:
    """The `v1` signatures of a header in the form of Standard Webhooks, `v1,<base64>` with spaces between."""
    return [item.removeprefix("v1,") for item in header.split(" ") if item.startswith("v1,")]


def timely(stamp: str, now: datetime, window_s: float) -> bool:
    """Whether a timestamp header (Unix seconds) lies within the replay window, on either side of now."""
    return stamp.isascii() and stamp.isdigit() and len(stamp) < 12 and abs(now.timestamp() - int(stamp)) <= window_s


def bearer(headers: Mapping[str, str]) -> str:
    """The bearer token of the Authorization header, or nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def decoded_key(text: str) -> bytes | None:
    """A base64 key, or None."""
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None
