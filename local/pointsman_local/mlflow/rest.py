"""MLflow's REST API over the registry (https://mlflow.org/docs/latest/rest-api.html), and one call of our own.

PUT /local/v1/webhooks    {"drop": 1, "copies": 3}: lose the next event, deliver each later one three times
"""

import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pointsman_local.mlflow.registry import Refused, Registry, Version
from pointsman_local.mlflow.webhooks import Webhooks

__all__ = ["application"]

_HTTP_STATUS = {"RESOURCE_DOES_NOT_EXIST": 404, "NOT_IMPLEMENTED": 501}
_NAME_FILTER = re.compile(r"name\s*=\s*(?P<quote>['\"])(?P<name>[^'\"]+)(?P=quote)", re.IGNORECASE)
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_NO_PROMPTS = "tag.`mlflow.prompt.is_prompt` != 'true'"
"""What MLflow's client adds to each search of models; no prompt is ever registered here."""


def application(registry: Registry, webhooks: Webhooks) -> web.Application:
    calls = _Calls(registry, webhooks)
    app = web.Application()
    for base in ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow"):
        app.router.add_post(f"{base}/registered-models/create", _answering(calls.create_model))
        app.router.add_get(f"{base}/registered-models/get", _answering(calls.get_model))
        app.router.add_get(f"{base}/registered-models/search", _answering(calls.search_models))
        app.router.add_get(f"{base}/registered-models/alias", _answering(calls.get_alias))
        app.router.add_post(f"{base}/registered-models/alias", _answering(calls.set_alias))
        app.router.add_delete(f"{base}/registered-models/alias", _answering(calls.delete_alias))
        app.router.add_post(f"{base}/model-versions/create", _answering(calls.create_version))
        app.router.add_get(f"{base}/model-versions/get", _answering(calls.get_version))
        app.router.add_get(f"{base}/model-versions/get-download-uri", _answering(calls.get_download_uri))
        app.router.add_get(f"{base}/model-versions/search", _answering(calls.search_versions))
    app.router.add_get("/health", _health)
    app.router.add_put("/local/v1/webhooks", _answering(calls.misbehave))
    app.router.add_route("*", "/{path:.*}", _answering(_unserved))
    return app


class _Calls:
    def __init__(self, registry: Registry, webhooks: Webhooks) -> None:
        self._registry = registry
        self._webhooks = webhooks

    async def create_model(self, fields: "_Fields") -> Any:
        tags = fields.tags()
        model = self._registry.create_model(
            fields.text("name"), fields.maybe("description"), json.dumps(tags), _now_ms()
        )
        about = {"name": model["name"], "tags": tags, "description": model["description"]}
        self._webhooks.send("registered_model", "created", about)
        return {"registered_model": self._model(model)}

    async def get_model(self, fields: "_Fields") -> Any:
        return {"registered_model": self._model(self._registry.model(fields.text("name")))}

    async def search_models(self, fields: "_Fields") -> Any:
        name = _name_filter(fields)
        return {
            "registered_models": [self._model(item) for item in self._registry.models() if name in (None, item["name"])]
        }

    async def get_alias(self, fields: "_Fields") -> Any:
        return {"model_version": _version(self._registry.by_alias(fields.text("name"), fields.text("alias")))}

    async def set_alias(self, fields: "_Fields") -> Any:
        version = self._registry.set_alias(fields.text("name"), fields.text("alias"), fields.text("version"))
        about = {"name": version.model, "alias": fields.text("alias"), "version": str(version.number)}
        self._webhooks.send("model_version_alias", "created", about)
        return {}

    async def delete_alias(self, fields: "_Fields") -> Any:
        if self._registry.delete_alias(fields.text("name"), fields.text("alias")):
            about = {"name": fields.text("name"), "alias": fields.text("alias")}
            self._webhooks.send("model_version_alias", "deleted", about)
        return {}

    async def create_version(self, fields: "_Fields") -> Any:
        tags = fields.tags()
        version = self._registry.create_version(
            fields.text("name"),
            fields.text("source"),
            fields.maybe("run_id"),
            fields.maybe("description"),
            json.dumps(tags),
            _now_ms(),
        )
        about = {
            "name": version.model,
            "version": str(version.number),
            "source": version.source,
            "run_id": version.run_id,
            "tags": tags,
            "description": version.description,
        }
        self._webhooks.send("model_version", "created", about)
        return {"model_version": _version(version)}

    async def get_version(self, fields: "_Fields") -> Any:
        return {"model_version": _version(self._registry.version(fields.text("name"), fields.text("version")))}

    async def get_download_uri(self, fields: "_Fields") -> Any:
        return {"artifact_uri": self._registry.version(fields.text("name"), fields.text("version")).source}

    async def search_versions(self, fields: "_Fields") -> Any:
        return {"model_versions": [_version(item) for item in self._registry.versions(_name_filter(fields))]}

    async def misbehave(self, fields: "_Fields") -> Any:
        self._webhooks.misbehave(drop=fields.number("drop", 0), copies=fields.number("copies", 1))
        return {}

    def _model(self, model: Any) -> dict[str, Any]:
        versions = self._registry.versions(model["name"])
        about = {
            "name": model["name"],
            "creation_timestamp": model["created_ms"],
            "last_updated_timestamp": model["updated_ms"],
            "latest_versions": [_version(item) for item in versions[:1]],
            "tags": _tags(model["tags"]),
            "aliases": [{"alias": alias, "version": str(number)} for alias, number in model["aliases"].items()],
        }
        return about if model["description"] is None else {**about, "description": model["description"]}


@dataclass(frozen=True, slots=True)
class _Fields:
    """A call's parameters: of the query, or of the JSON body."""

    values: dict[str, Any]

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        if not isinstance(value, str) or not value:
            raise Refused("INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'.")
        return value

    def maybe(self, name: str) -> str | None:
        return self.text(name) if self.values.get(name) else None

    def number(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Refused("INVALID_PARAMETER_VALUE", f"'{name}' is no whole number.")
        return value

    def tags(self) -> dict[str, str]:
        try:
            return {str(tag["key"]): str(tag.get("value", "")) for tag in self.values.get("tags") or []}
        except (TypeError, KeyError, AttributeError):
            raise Refused("INVALID_PARAMETER_VALUE", "'tags' is no list of {key, value}.") from None


def _name_filter(fields: _Fields) -> str | None:
    """The name that a search asks for; None: every name."""
    text = fields.values.get("filter", "")
    clauses = [clause for clause in _AND.split(text.strip()) if clause and clause != _NO_PROMPTS]
    if not clauses:
        return None
    match = _NAME_FILTER.fullmatch(clauses[0])
    if match is None or len(clauses) > 1:
        raise Refused("NOT_IMPLEMENTED", f"The filter {text!r} is not imitated by the local MLflow: name = '...' is.")
    return match["name"]


def _version(version: Version) -> dict[str, Any]:
    about = {
        "name": version.model,
        "version": str(version.number),
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.created_ms,
        "current_stage": "None",
        "source": version.source,
        "run_id": version.run_id or "",
        "status": "READY",
        "tags": _tags(version.tags),
        "aliases": list(version.aliases),
    }
    return about if version.description is None else {**about, "description": version.description}


def _tags(text: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in json.loads(text).items()]


def _answering(call: Callable[[_Fields], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await call(await _read(request)))
        except Refused as error:
            status = _HTTP_STATUS.get(error.code, 400)
            return web.json_response({"error_code": error.code, "message": error.message}, status=status)

    return answer


async def _read(request: web.Request) -> _Fields:
    values: dict[str, Any] = dict(request.query)
    text = await request.text()
    if text:
        try:
            values |= json.loads(text)
        except (ValueError, TypeError):
            raise Refused("MALFORMED_REQUEST", "The request body is no JSON object.") from None
    return _Fields(values | {"": f"{request.method} {request.path}"})


async def _unserved(fields: _Fields) -> Any:
    raise Refused("NOT_IMPLEMENTED", f"{fields.values['']} is not imitated by the local MLflow")


async def _health(request: web.Request) -> web.Response:
    return web.Response(text="OK")


def _now_ms() -> int:
    return int(time.time() * 1000)
