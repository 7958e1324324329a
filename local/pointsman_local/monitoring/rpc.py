"""google.monitoring.v3 over gRPC, by generic handlers: the client ships no server's code."""

from collections.abc import Callable, Iterable
from typing import Any

import grpc
from google.protobuf import empty_pb2

from pointsman_local.monitoring.alerts import Alerts
from pointsman_local.monitoring.query import list_time_series
from pointsman_local.monitoring.series import Store
from pointsman_local.monitoring.wire import Refused, message

__all__ = ["server"]

Call = Callable[[Any], Any]


def server(project: str, store: Store, alerts: Alerts, address: str) -> grpc.aio.Server:
    """A server on `address`, not started. Raises OSError when the port is taken."""
    calls = _calls(project, store, alerts)
    made = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    made.add_generic_rpc_handlers((_Handlers(calls),))
    if not made.add_insecure_port(address):
        raise OSError(f"cannot listen on {address}")
    return made


def _calls(project: str, store: Store, alerts: Alerts) -> dict[str, tuple[str, Call]]:
    """Method → the request's message, and what answers it."""

    def own(name: str) -> None:
        if name != f"projects/{project}":
            raise Refused.absent(f"The project {name} does not exist here")

    def create_policy(request: Any) -> Any:
        own(request.name)
        return alerts.create_policy(request.alert_policy)

    def delete_policy(request: Any) -> Any:
        alerts.delete_policy(request.name)
        return empty_pb2.Empty()

    def create_channel(request: Any) -> Any:
        own(request.name)
        return alerts.create_channel(request.notification_channel)

    def delete_channel(request: Any) -> Any:
        alerts.delete_channel(request.name, force=request.force)
        return empty_pb2.Empty()

    def list_policies(request: Any) -> Any:
        own(request.name)
        _refuse_choice(request)
        return message("ListAlertPoliciesResponse")(alert_policies=_all(alerts.policies.values()))

    def list_channels(request: Any) -> Any:
        own(request.name)
        _refuse_choice(request)
        return message("ListNotificationChannelsResponse")(notification_channels=_all(alerts.channels.values()))

    return {
        "MetricService/ListTimeSeries": (
            "ListTimeSeriesRequest",
            lambda request: list_time_series(request, store, project),
        ),
        "AlertPolicyService/CreateAlertPolicy": ("CreateAlertPolicyRequest", create_policy),
        "AlertPolicyService/GetAlertPolicy": ("GetAlertPolicyRequest", lambda request: alerts.policy(request.name)),
        "AlertPolicyService/ListAlertPolicies": ("ListAlertPoliciesRequest", list_policies),
        "AlertPolicyService/DeleteAlertPolicy": ("DeleteAlertPolicyRequest", delete_policy),
        "NotificationChannelService/CreateNotificationChannel": ("CreateNotificationChannelRequest", create_channel),
        "NotificationChannelService/GetNotificationChannel": (
            "GetNotificationChannelRequest",
            lambda request: alerts.channel(request.name),
        ),
        "NotificationChannelService/ListNotificationChannels": ("ListNotificationChannelsRequest", list_channels),
        "NotificationChannelService/DeleteNotificationChannel": ("DeleteNotificationChannelRequest", delete_channel),
    }


def _refuse_choice(request: Any) -> None:
    """Lists are short here, and given whole: a part of them would be mistaken for all."""
    for field in ("filter", "order_by", "page_token"):
        if getattr(request, field):
            raise Refused.unserved(f"{field} of a list")


def _all(messages: Iterable[Any]) -> list[Any]:
    return list(messages)


class _Handlers(grpc.GenericRpcHandler):
    """Every method there is; whatever else is refused by name."""

    def __init__(self, calls: dict[str, tuple[str, Call]]) -> None:
        self._handlers: dict[str, Any] = {
            f"/google.monitoring.v3.{name}": grpc.unary_unary_rpc_method_handler(
                _answering(call),
                request_deserializer=message(request).FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            for name, (request, call) in calls.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        return self._handlers.get(method) or grpc.unary_unary_rpc_method_handler(_unserved(method.lstrip("/")))


def _answering(call: Call) -> Any:
    async def handle(request: Any, context: Any) -> Any:
        try:
            return call(request)
        except Refused as refused:
            await context.abort(refused.code, refused.message)

    return handle


def _unserved(method: str) -> Any:
    async def handle(request: bytes, context: Any) -> None:
        refused = Refused.unserved(method)
        await context.abort(refused.code, refused.message)

    return handle
