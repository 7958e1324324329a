"""Publisher and Subscriber over gRPC, as Google's clients speak it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from pointsman_local.pubsub.api import Api
from pointsman_local.pubsub.wire import Refused, message_class

__all__ = ["server"]

_REQUESTS = {
    "Publisher": {
        "CreateTopic": "Topic",
        "GetTopic": "GetTopicRequest",
        "ListTopics": "ListTopicsRequest",
        "ListTopicSubscriptions": "ListTopicSubscriptionsRequest",
        "DeleteTopic": "DeleteTopicRequest",
        "Publish": "PublishRequest",
    },
    "Subscriber": {
        "CreateSubscription": "Subscription",
        "GetSubscription": "GetSubscriptionRequest",
        "ListSubscriptions": "ListSubscriptionsRequest",
        "UpdateSubscription": "UpdateSubscriptionRequest",
        "ModifyPushConfig": "ModifyPushConfigRequest",
        "DeleteSubscription": "DeleteSubscriptionRequest",
        "Acknowledge": "AcknowledgeRequest",
        "ModifyAckDeadline": "ModifyAckDeadlineRequest",
        "Pull": "PullRequest",
    },
}
MESSAGE_BYTES_MAX = 20_000_000  # a message of 10 MB and what is around it


def server(api: Api) -> grpc.aio.Server:
    """A server without a port yet."""
    handlers = {
        f"/google.pubsub.v1.{service}/{method}": grpc.unary_unary_rpc_method_handler(
            _unary(getattr(api, _attribute(method))),
            request_deserializer=message_class(request).FromString,
            response_serializer=_serialized,
        )
        for service, methods in _REQUESTS.items()
        for method, request in methods.items()
    }
    handlers["/google.pubsub.v1.Subscriber/StreamingPull"] = grpc.stream_stream_rpc_method_handler(
        _streaming(api.streaming_pull),
        request_deserializer=message_class("StreamingPullRequest").FromString,
        response_serializer=_serialized,
    )
    made = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a silent sharer
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ]
    )
    made.add_generic_rpc_handlers((_Handlers(handlers),))
    return made


class _Handlers(grpc.GenericRpcHandler):
    """Every method there is; the unknown ones are refused by name."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        return self._handlers.get(method) or grpc.unary_unary_rpc_method_handler(_unserved(method))


def _unary(call: Callable[[Any], Awaitable[Any]]) -> Any:
    async def handle(request: Any, context: Any) -> Any:
        try:
            return await call(request)
        except Refused as error:
            await context.abort(error.code, error.message)

    return handle


def _streaming(call: Callable[[AsyncIterator[Any]], AsyncIterator[Any]]) -> Any:
    async def handle(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        try:
            async for answer in call(requests):
                yield answer
        except Refused as error:
            await context.abort(error.code, error.message)

    return handle


def _unserved(method: str) -> Any:
    async def handle(request: bytes, context: Any) -> None:
        error = Refused.unserved(method.removeprefix("/"))
        await context.abort(error.code, error.message)

    return handle


def _attribute(method: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method).lstrip("_")


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
