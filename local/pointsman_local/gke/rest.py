"""The same methods over REST, as gcloud and the clients' `rest` transport speak it; instance groups; control.

Both dialects are taken: enums as names or numbers, zeros sent or left out, path parameters repeated in the
body or not. Of Compute Engine only what a node pool's `instanceGroupUrls` lead to is served.
"""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from google.protobuf import json_format

from pointsman_local.gke import shape
from pointsman_local.gke.engine import Engine, Refused
from pointsman_local.gke.methods import METHODS

__all__ = ["application"]

_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
}
_LOCATION = r"projects/[^/]+/locations/[^/]+"
_CLUSTER = rf"{_LOCATION}/clusters/[^/:]+"
_POOL = rf"{_CLUSTER}/nodePools/[^/:]+"
# Verb, path, method, the request's field that the path fills.
_ROUTES = [
    (verb, re.compile(rf"/v1/({path}){rest}"), method, name)
    for verb, path, rest, method, name in (
        ("GET", _LOCATION, "/clusters", "ListClusters", "parent"),
        ("GET", _CLUSTER, "", "GetCluster", "name"),
        ("PUT", _CLUSTER, "", "UpdateCluster", "name"),
        ("GET", _CLUSTER, "/nodePools", "ListNodePools", "parent"),
        ("POST", _CLUSTER, "/nodePools", "CreateNodePool", "parent"),
        ("GET", _POOL, "", "GetNodePool", "name"),
        ("PUT", _POOL, "", "UpdateNodePool", "name"),
        ("DELETE", _POOL, "", "DeleteNodePool", "name"),
        ("POST", _POOL, ":setSize", "SetNodePoolSize", "name"),
        ("POST", _POOL, ":setAutoscaling", "SetNodePoolAutoscaling", "name"),
        ("GET", _LOCATION, "/operations", "ListOperations", "parent"),
        ("GET", rf"{_LOCATION}/operations/[^/:]+", "", "GetOperation", "name"),
    )
]
_GROUP = re.compile(r"/compute/v1/projects/([^/]+)/zones/([^/]+)/instanceGroupManagers/([^/]+)(/listErrors)?")


def application(engine: Engine) -> web.Application:
    """The REST face, to be run on `container-rest`."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(_answer(engine, request.method, request.path, await request.text()))
        except Refused as refused:
            status = _STATUS[refused.code]
            error = {"code": status, "message": refused.message, "status": refused.code}
            return web.json_response({"error": error}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def _answer(engine: Engine, verb: str, path: str, body: str) -> Mapping[str, Any]:
    if path == "/local/v1/stock":
        return _control(engine, verb, body)
    if (found := _GROUP.fullmatch(path)) and verb in ("GET", "POST"):
        return _group(engine, found[2], found[3], errors=bool(found[4]))
    for route_verb, form, name, field in _ROUTES:
        if route_verb == verb and (found := form.fullmatch(path)):
            request_type, response_type, method = METHODS[name]
            message = request_type.pb(request_type())
            try:
                json_format.Parse(body or "{}", message, ignore_unknown_fields=True)
            except json_format.ParseError as error:
                raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
            setattr(message, field, found[1])
            answer = method(engine, request_type.wrap(message), time.time())
            fields: Mapping[str, Any] = json_format.MessageToDict(response_type.pb(answer))
            return fields
    raise Refused("UNIMPLEMENTED", f"{verb} {path} is not served by the local cloud")


def _control(engine: Engine, verb: str, body: str) -> Mapping[str, Any]:
    if verb == "PUT":
        try:
            data = json.loads(body)
            if not isinstance(data, dict):
                raise ValueError("not a JSON object")
            engine.state.keep_stock(engine.state.stock.changed(data))
        except ValueError as error:
            raise Refused("INVALID_ARGUMENT", str(error)) from error
        engine.ring()
    elif verb != "GET":
        raise Refused("UNIMPLEMENTED", f"{verb} /local/v1/stock is not served by the local cloud")
    return engine.state.stock.as_json()


def _group(engine: Engine, zone: str, name: str, *, errors: bool) -> Mapping[str, Any]:
    """A pool's instance group in one zone, as `instanceGroupManagers.get` and `.listErrors` show it."""
    for pool in engine.state.pools.values():
        if zone in pool.locations and shape.group_name(engine.site.cluster, pool.name, zone) == name:
            if errors:
                items = [
                    {
                        "error": {"code": trouble.code, "message": trouble.text},
                        "timestamp": datetime.fromtimestamp(trouble.at, UTC).isoformat(),
                    }
                    for trouble in engine.state.troubles.get(pool.name, [])
                    if trouble.zone == zone
                ]
                return {"items": items}
            nodes = [node for node in engine.state.nodes_of(pool.name) if node.zone == zone]
            actions = {
                "none": sum(1 for node in nodes if node.state == "ready" and node.registered),
                "creating": sum(1 for node in nodes if node.state != "leaving" and not node.registered),
                "deleting": sum(1 for node in nodes if node.state == "leaving"),
            }
            return {
                "kind": "compute#instanceGroupManager",
                "name": name,
                "zone": zone,
                "targetSize": actions["none"] + actions["creating"],
                "currentActions": actions,
                "status": {"isStable": actions["none"] == len(nodes)},
            }
    raise Refused(
        "NOT_FOUND",
        f"The resource 'projects/{engine.site.project}/zones/{zone}/instanceGroupManagers/{name}' was not found",
    )
