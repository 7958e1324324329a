"""Google's own message classes, and the one error every face translates.

The client library's types are proto-plus wrappers; what lies under them is what goes over the wire, so both faces
and the store work on that. The library brings no server stubs: methods are registered by name (`grpc_face`).
"""

from typing import Any

import grpc
from google.pubsub_v1 import types

__all__ = ["Refused", "message_class"]


class Refused(Exception):
    """A call that Pub/Sub would refuse: the status code and message that its client shows."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def invalid(cls, message: str) -> "Refused":
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def absent(cls, name: str) -> "Refused":
        return cls(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rsplit('/', 1)[-1]}).")

    @classmethod
    def failed_precondition(cls, message: str) -> "Refused":
        return cls(grpc.StatusCode.FAILED_PRECONDITION, message)

    @classmethod
    def unserved(cls, what: str) -> "Refused":
        return cls(grpc.StatusCode.UNIMPLEMENTED, f"{what} is not imitated by the local Pub/Sub")


def message_class(name: str) -> Any:
    """The protobuf class of `google.pubsub.v1.<name>`."""
    wrapper = getattr(types, name)
    return type(wrapper.pb(wrapper()))
