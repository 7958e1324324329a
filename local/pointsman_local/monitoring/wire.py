"""The client library's own message classes, as plain protobuf, and how a call is refused."""

from typing import Any

import grpc
from google.cloud import monitoring_v3

__all__ = ["Refused", "message"]


def message(name: str) -> Any:
    """The protobuf class behind `monitoring_v3.types.<name>`; nested names with dots."""
    found: Any = monitoring_v3
    for part in name.split("."):
        found = getattr(found, part)
    return found.pb(found()).__class__


class Refused(Exception):
    """A call is answered with a status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def invalid(cls, message: str) -> "Refused":
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def absent(cls, message: str) -> "Refused":
        return cls(grpc.StatusCode.NOT_FOUND, message)

    @classmethod
    def unserved(cls, what: str) -> "Refused":
        return cls(grpc.StatusCode.UNIMPLEMENTED, f"the local Monitoring does not imitate {what}")
