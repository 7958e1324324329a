"""The same calls over HTTP and JSON, as `gcloud pubsub` sends them, and our own calls for faults.

GET    /local/v1/subscriptions/NAME            {"unacknowledged", "lost", "last_failure", "faults"}
PUT    /local/v1/subscriptions/NAME/faults     {"drop": 1, "duplicate": 3, "delay_s": 2, "reorder": 4, "lose_acks": 1}
DELETE /local/v1/subscriptions/NAME/faults     no faults
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web
from google.protobuf import json_format

from pointsman_local.counting import PATH, gauge
from pointsman_local.pubsub.api import Api
from pointsman_local.pubsub.broker import Broker, resource
from pointsman_local.pubsub.faults import Faults
from pointsman_local.pubsub.wire import Refused, message_class

__all__ = ["application"]

UNDELIVERED = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OLDEST = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNIMPLEMENTED: 501,
}


@dataclass(frozen=True, slots=True)
class _Route:
    """One call: HTTP method and path (`google.pubsub.v1`'s HTTP annotations), the request's class, and the
    field that the path names. `body` is the field that the body is, when it is not the whole request."""

    method: str
    path: str
    call: str
    request: str
    field: str
    body: str = ""


_TOPIC = "/v1/{name:projects/[^/]+/topics/[^/:]+}"
_SUBSCRIPTION = "/v1/{name:projects/[^/]+/subscriptions/[^/:]+}"
_PROJECT = "/v1/{name:projects/[^/]+}"

_ROUTES = (
    _Route("PUT", _TOPIC, "create_topic", "Topic", "name"),
    _Route("GET", _TOPIC, "get_topic", "GetTopicRequest", "topic"),
    _Route("DELETE", _TOPIC, "delete_topic", "DeleteTopicRequest", "topic"),
    _Route("POST", f"{_TOPIC}:publish", "publish", "PublishRequest", "topic"),
    _Route("GET", f"{_TOPIC}/subscriptions", "list_topic_subscriptions", "ListTopicSubscriptionsRequest", "topic"),
    _Route("GET", f"{_PROJECT}/topics", "list_topics", "ListTopicsRequest", "project"),
    _Route("PUT", _SUBSCRIPTION, "create_subscription", "Subscription", "name"),
    _Route("GET", _SUBSCRIPTION, "get_subscription", "GetSubscriptionRequest", "subscription"),
    _Route("PATCH", _SUBSCRIPTION, "update_subscription", "UpdateSubscriptionRequest", "", "subscription"),
    _Route("DELETE", _SUBSCRIPTION, "delete_subscription", "DeleteSubscriptionRequest", "subscription"),
    _Route("GET", f"{_PROJECT}/subscriptions", "list_subscriptions", "ListSubscriptionsRequest", "project"),
    _Route("POST", f"{_SUBSCRIPTION}:pull", "pull", "PullRequest", "subscription"),
    _Route("POST", f"{_SUBSCRIPTION}:acknowledge", "acknowledge", "AcknowledgeRequest", "subscription"),
    _Route(
        "POST", f"{_SUBSCRIPTION}:modifyAckDeadline", "modify_ack_deadline", "ModifyAckDeadlineRequest", "subscription"
    ),
    _Route(
        "POST", f"{_SUBSCRIPTION}:modifyPushConfig", "modify_push_config", "ModifyPushConfigRequest", "subscription"
    ),
)


def application(api: Api, broker: Broker, project: str) -> web.Application:
    app = web.Application(client_max_size=20_000_000)
    for route in _ROUTES:
        app.router.add_route(route.method, route.path, _handler(route, getattr(api, route.call)))
    faults = _FaultCalls(broker, project)
    app.router.add_get("/local/v1/subscriptions/{name}", _answering(faults.read))
    app.router.add_put("/local/v1/subscriptions/{name}/faults", _answering(faults.write))
    app.router.add_delete("/local/v1/subscriptions/{name}/faults", _answering(faults.clear))
    app.router.add_get(PATH, _answering(_Series(broker).read))
    app.router.add_route("*", "/{path:.*}", _answering(_unserved))
    return app


class _Series:
    """What Pub/Sub counts of itself, and how long its lines are now."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def read(self, request: web.Request) -> Any:
        return self._broker.counters.as_json(self._gauges(time.time()))

    def _gauges(self, now: float) -> Iterator[Mapping[str, object]]:
        for name, subscription in self._broker.subscriptions.items():
            own, oldest = resource("pubsub_subscription", name), subscription.backlog.oldest()
            yield gauge(UNDELIVERED, own, len(subscription.backlog))
            yield gauge(OLDEST, own, 0.0 if oldest is None else max(0.0, now - oldest))


class _FaultCalls:
    def __init__(self, broker: Broker, project: str) -> None:
        self._broker = broker
        self._project = project

    async def read(self, request: web.Request) -> Any:
        subscription = self._broker.subscription(self._name(request))
        return {
            "unacknowledged": len(subscription.backlog),
            "lost": subscription.lost,
            "last_failure": subscription.last_failure,
            "faults": subscription.faults.as_json(),
        }

    async def write(self, request: web.Request) -> Any:
        self._broker.set_faults(self._name(request), Faults.of(_json(await request.text())))
        return await self.read(request)

    async def clear(self, request: web.Request) -> Any:
        self._broker.set_faults(self._name(request), Faults())
        return await self.read(request)

    def _name(self, request: web.Request) -> str:
        return f"projects/{self._project}/subscriptions/{request.match_info['name']}"


def _handler(route: _Route, call: Callable[[Any], Awaitable[Any]]) -> Any:
    async def handle(request: web.Request) -> Any:
        fields = _json(await request.text())
        fields = {route.body: fields.get(route.body, fields), **_mask(request, fields)} if route.body else dict(fields)
        name = request.match_info["name"]
        if route.body:
            fields[route.body]["name"] = name
        else:
            fields[route.field] = name
        fields |= {key: request.query[key] for key in ("pageSize", "pageToken") if key in request.query}
        message = message_class(route.request)()
        try:
            json_format.ParseDict(fields, message, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise Refused.invalid(f"Invalid JSON payload received. {error}") from error
        return json_format.MessageToDict(await call(message))

    return _answering(handle)


def _mask(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    mask = body.get("updateMask") or request.query.get("updateMask")
    return {"updateMask": mask} if mask else {}


def _answering(handle: Callable[[web.Request], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await handle(request))
        except Refused as error:
            status = _HTTP_STATUS[error.code]
            problem = {"code": status, "message": error.message, "status": error.code.name}
            return web.json_response({"error": problem}, status=status)

    return answer


async def _unserved(request: web.Request) -> Any:
    raise Refused.unserved(f"{request.method} {request.path}")


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except ValueError as error:
        raise Refused.invalid("Invalid JSON payload received.") from error
    if not isinstance(data, dict):
        raise Refused.invalid("Invalid JSON payload received: no object.")
    return data
