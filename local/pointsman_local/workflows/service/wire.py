"""Google's own message classes, resource names, and the one error that both faces translate.

The client library's types are proto-plus wrappers; what lies under them is what goes over the wire, so the faces,
the store and the calls work on that. The library brings no server stubs: methods are registered by name.
"""

import re
from typing import Any, Final

import grpc
from google.cloud.workflows.executions_v1 import types as execution_types
from google.cloud.workflows_v1 import types as workflow_types
from google.longrunning import operations_pb2  # type: ignore[import-untyped]
from google.protobuf.timestamp_pb2 import Timestamp

__all__ = [
    "EXECUTION",
    "PARENT",
    "WORKFLOW",
    "CallRefused",
    "execution_class",
    "operation_class",
    "timestamp",
    "workflow_class",
]

PARENT: Final = re.compile(r"projects/([^/]+)/locations/([^/]+)")
WORKFLOW: Final = re.compile(rf"({PARENT.pattern})/workflows/([A-Za-z][A-Za-z0-9_-]{{0,63}})")
EXECUTION: Final = re.compile(rf"({WORKFLOW.pattern})/executions/([^/]+)")


class CallRefused(Exception):  # what the caller sees
    """A call that the service would refuse: the status code and message that its client shows."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def invalid(cls, message: str) -> "CallRefused":
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def absent(cls, what: str, name: str) -> "CallRefused":
        return cls(grpc.StatusCode.NOT_FOUND, f"{what} '{name}' not found")

    @classmethod
    def unserved(cls, what: str) -> "CallRefused":
        return cls(grpc.StatusCode.UNIMPLEMENTED, f"{what} is not imitated by the local Workflows")


def workflow_class(name: str) -> Any:
    """The protobuf class of `google.cloud.workflows.v1.<name>`."""
    wrapper = getattr(workflow_types, name)
    return type(wrapper.pb(wrapper()))


def execution_class(name: str) -> Any:
    """The protobuf class of `google.cloud.workflows.executions.v1.<name>`."""
    wrapper = getattr(execution_types, name)
    return type(wrapper.pb(wrapper()))


def operation_class(name: str) -> Any:
    """The protobuf class of `google.longrunning.<name>`."""
    return getattr(operations_pb2, name)


def timestamp(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(int(seconds * 1_000_000) * 1000)
    return moment
