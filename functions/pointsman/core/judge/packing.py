"""JSON in little room: the same bytes for the same content, where the compressor is the same."""

from base64 import b64decode, b64encode
from json import dumps, loads
from typing import cast
from zlib import compress, decompress

from pointsman.core.names import JSON

__all__ = ["packed", "unpacked"]


def packed(content: JSON) -> str:
    """Compressed, as text: counters of dozens of pods would otherwise fill a ledger's record."""
    return b64encode(compress(dumps(content, separators=(",", ":")).encode(), 1)).decode()


def unpacked(text: str) -> JSON:
    return cast("JSON", loads(decompress(b64decode(text))))
