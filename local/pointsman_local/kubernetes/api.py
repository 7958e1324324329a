"""The Kubernetes API over HTTP: paths and query parameters to calls on the objects.

Whatever is not imitated answers 501 and names the call. No authentication: it listens on the loopback interface.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientConnectionResetError, web

from pointsman_local.kubernetes import discovery, watches
from pointsman_local.kubernetes.kinds import Kind, Object, find
from pointsman_local.kubernetes.logs import read_log
from pointsman_local.kubernetes.objects import Objects, Writer
from pointsman_local.kubernetes.patches import merge_patch, strategic_patch
from pointsman_local.kubernetes.refusals import Refusal, bad_request, not_implemented, unsupported_media_type
from pointsman_local.kubernetes.selectors import by_fields, by_labels
from pointsman_local.kubernetes.tables import table

__all__ = ["Api"]

# Bodies over this are refused, as by etcd's default request limit of 1.5 MiB and some room.
_BODY_MAX = 3 * 2**20


@dataclass(frozen=True, slots=True)
class _Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class Api:
    """`application` serves it; `stop` ends watches and followed logs."""

    def __init__(self, objects: Objects, logs: Path, stop: asyncio.Event) -> None:
        self._objects = objects
        self._logs = logs
        self._stop = stop
        self.application = web.Application(client_max_size=_BODY_MAX)
        self.application.router.add_route("*", "/{path:.*}", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return web.json_response(refusal.as_json(), status=refusal.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/readyz", "/livez", "/healthz"):
            return web.Response(text="ok")
        aggregated = "as=APIGroupDiscoveryList" in request.headers.get("Accept", "")
        if request.method == "GET" and (found := discovery.answer(request.path, aggregated=aggregated)):
            if found.get("kind") == "APIGroupDiscoveryList":
                return web.Response(body=json.dumps(found).encode(), headers={"Content-Type": discovery.AGGREGATED})
            return web.json_response(found)
        target = _target(request)
        self._refuse_unknown(request, target)
        if target.subresource == "log":
            return await read_log(
                request, self._objects.get(target.kind, target.namespace, target.name), self._logs, self._stop
            )
        if target.subresource == "scale":
            return web.json_response(_scale(await self._scale(request, target)))
        match request.method, bool(target.name):
            case "GET", False:
                if request.query.get("watch") in ("true", "1"):
                    return await self._watch(request, target)
                return self._list(request, target)
            case "GET", True:
                return self._one(request, target, self._objects.get(target.kind, target.namespace, target.name))
            case "POST", False:
                body = await _body(request)
                item = self._objects.create(target.kind, target.namespace, body, _writer(request, target))
                return self._one(request, target, item, status=201)
            case "PUT", True:
                body = await _body(request)
                item = self._objects.replace(target.kind, target.namespace, target.name, body, _writer(request, target))
                return self._one(request, target, item)
            case "PATCH", True:
                item, created = await self._patch(request, target)
                return self._one(request, target, item, status=201 if created else 200)
            case "DELETE", True:
                return await self._delete(request, target)
        raise not_implemented(f"{request.method} {request.path}")

    def _refuse_unknown(self, request: web.Request, target: _Target) -> None:
        """Before a body is read: what no method here does."""
        call = f"{request.method} {request.path}"
        known = (*target.kind.subresources, *(("status",) if target.kind.has_status else ()), "")
        if target.subresource not in known or (target.subresource == "log" and request.method != "GET"):
            raise not_implemented(call)
        if request.method == "DELETE" and (target.subresource or target.kind.name == "Namespace"):
            raise not_implemented(call)

    # Reading.

    def _list(self, request: web.Request, target: _Target) -> web.Response:
        matches = _selection(request, target)
        items = [item for item in self._objects.store.list(target.kind, target.namespace) if matches(item)]
        metadata = {"resourceVersion": str(self._objects.store.revision)}
        if _wants_table(request):
            return web.json_response(table(target.kind, items, metadata, whole=_whole(request)))
        if "." not in target.kind.group:  # lists of built-in kinds do not repeat in each item what they are of
            items = [
                {name: part for name, part in item.items() if name not in ("apiVersion", "kind")} for item in items
            ]
        body = {
            "kind": f"{target.kind.name}List",
            "apiVersion": target.kind.api_version,
            "metadata": metadata,
            "items": items,
        }
        return web.json_response(body)

    def _one(self, request: web.Request, target: _Target, item: Object, status: int = 200) -> web.Response:
        if request.method == "GET" and _wants_table(request):
            metadata = {"resourceVersion": item["metadata"]["resourceVersion"]}
            return web.json_response(table(target.kind, [item], metadata, whole=_whole(request)))
        return web.json_response(item, status=status)

    async def _watch(self, request: web.Request, target: _Target) -> web.StreamResponse:
        query = request.query
        asked = query.get("resourceVersion", "")
        if asked and not asked.isdigit():
            raise bad_request(f'Invalid value: "{asked}": resourceVersion')
        initial = query.get("sendInitialEvents") == "true"
        watch = watches.Watch(
            kind=target.kind,
            namespace=target.namespace,
            matches=_selection(request, target),
            revision=None if initial or not asked else int(asked),
            # Clients expect a watch to end; an apiserver picks between 30 and 60 minutes.
            timeout_s=float(query.get("timeoutSeconds") or random.uniform(1800, 3600)),
            bookmarks=query.get("allowWatchBookmarks") == "true",
            initial_end=initial,
        )
        watches.refuse_forgotten(self._objects.store, watch.revision)
        stream = watches.events(self._objects.store, watch, self._stop)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            as_table = _wants_table(request)
            async for event in stream:
                await response.write(_line(target.kind, event, as_table, request))
            await response.write_eof()
        except (ClientConnectionResetError, ConnectionError):
            pass  # the watcher went away
        finally:
            await stream.aclose()
        return response

    # Writing.

    async def _patch(self, request: web.Request, target: _Target) -> tuple[Object, bool]:
        content_type = request.content_type
        body = await _body(request)
        writer = _writer(request, target)
        place = (target.kind, target.namespace, target.name)
        if content_type == "application/apply-patch+yaml":
            if not request.query.get("fieldManager"):
                raise bad_request(
                    "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch"
                )
            return self._objects.apply(*place, body, writer, force=request.query.get("force") == "true")
        return self._objects.patch(*place, _change(request, target.kind, body), writer), False

    async def _delete(self, request: web.Request, target: _Target) -> web.Response:
        options = await _body(request) if request.can_read_body else {}
        for name in ("gracePeriodSeconds", "propagationPolicy"):
            if name in request.query:
                value = request.query[name]
                options[name] = int(value) if name == "gracePeriodSeconds" else value
        dry = bool(request.query.get("dryRun") or options.get("dryRun"))
        last = self._objects.delete(target.kind, target.namespace, target.name, options, dry=dry)
        if last["metadata"].get("deletionTimestamp") or target.kind.name == "Pod":
            return web.json_response(last)
        details = {"name": target.name, "kind": target.kind.plural, "uid": last["metadata"]["uid"]}
        if target.kind.group:
            details["group"] = target.kind.group
        return web.json_response(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def _scale(self, request: web.Request, target: _Target) -> Object:
        """The Deployment as it is, or after the scale that was sent."""
        live = self._objects.get(target.kind, target.namespace, target.name)
        if request.method == "GET":
            return live
        body = await _body(request)
        match request.method:
            case "PUT":
                scale = body
            case "PATCH":
                scale = _change(request, target.kind, body)(_scale(live))
            case _:
                raise not_implemented(f"{request.method} {request.path}")
        version = (scale.get("metadata") or {}).get("resourceVersion")
        change: Object = {"spec": {"replicas": (scale.get("spec") or {}).get("replicas", 0)}}
        if version:
            change["metadata"] = {"resourceVersion": version}
        return self._objects.patch(
            target.kind, target.namespace, target.name, lambda item: merge_patch(item, change), _writer(request, target)
        )


def _target(request: web.Request) -> _Target:
    """Raises Refusal 501 for a path of no kind here."""
    parts = [part for part in request.path.split("/") if part]
    match parts:
        case ["api", "v1", *rest]:
            group, version = "", "v1"
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise not_implemented(f"{request.method} {request.path}")
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and find(group, version, rest[2]):
        namespace, rest = rest[1], rest[2:]
    kind = find(group, version, rest[0]) if rest else None
    if (
        kind is None
        or len(rest) > 3
        or (kind.namespaced and not namespace and (len(rest) > 1 or request.method != "GET"))
    ):
        raise not_implemented(f"{request.method} {request.path}")
    return _Target(kind, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


def _writer(request: web.Request, target: _Target) -> Writer:
    agent = request.headers.get("User-Agent", "unknown").split("/")[0]
    return Writer(
        manager=request.query.get("fieldManager") or agent,
        part="status" if target.subresource == "status" else "",
        dry=bool(request.query.get("dryRun")),
        subresource=target.subresource,
    )


def _change(request: web.Request, kind: Kind, body: Object) -> Callable[[Object], Object]:
    """What a patch of either kind makes of an object."""
    match request.content_type:
        case "application/merge-patch+json":
            return lambda item: merge_patch(item, body)
        case "application/strategic-merge-patch+json":
            if "." in kind.group:
                raise unsupported_media_type(f"strategic merge patch is not supported for {kind.resource}")
            return lambda item: strategic_patch(kind, item, body)
        case "application/json-patch+json":
            raise not_implemented(f"PATCH {request.path} with {request.content_type}")
        case other:
            raise unsupported_media_type(f"the body of the request was in an unknown format: {other}")


async def _body(request: web.Request) -> Any:
    """The object that was sent, as JSON or (apply) YAML. Raises Refusal 400."""
    text = await request.text()
    try:
        body = json.loads(text)
    except ValueError:
        try:
            body = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise bad_request(f"the object provided is unrecognized: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: it is no map")
    return body


def _selection(request: web.Request, target: _Target) -> Callable[[Object], bool]:
    labels = by_labels(request.query.get("labelSelector", ""))
    fields = by_fields(request.query.get("fieldSelector", ""))
    return lambda item: labels(item) and fields(item)


def _wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


def _whole(request: web.Request) -> bool:
    return request.query.get("includeObject") == "Object"


def _line(kind: Kind, event: Object, as_table: bool, request: web.Request) -> bytes:
    if as_table and event["type"] not in ("ERROR", "BOOKMARK"):
        metadata = {"resourceVersion": event["object"]["metadata"]["resourceVersion"]}
        event = {**event, "object": table(kind, [event["object"]], metadata, whole=_whole(request))}
    return json.dumps(event).encode() + b"\n"


def _scale(deployment: Object) -> Object:
    metadata = deployment["metadata"]
    labels = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        },
        "spec": {"replicas": deployment["spec"]["replicas"]},
        "status": {
            "replicas": deployment.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }
