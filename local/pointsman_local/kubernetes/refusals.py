"""How the API says no: a `Status` object with code, reason and message, in the apiserver's own words."""

from typing import Any

from pointsman_local.kubernetes.kinds import Kind

__all__ = [
    "Refusal",
    "already_exists",
    "bad_request",
    "conflict",
    "gone",
    "invalid",
    "not_found",
    "not_implemented",
    "unsupported_media_type",
]


class Refusal(Exception):
    """An answer other than success. `as_json` is the body."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def as_json(self) -> dict[str, Any]:
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status


def _details(kind: Kind, name: str) -> dict[str, Any]:
    return {"name": name, "kind": kind.plural} | ({"group": kind.group} if kind.group else {})


def not_found(kind: Kind, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(kind, name))


def invalid(kind: Kind, name: str, faults: list[tuple[str, str]]) -> Refusal:
    """`faults` are pairs of field path and what is wrong with it."""
    text = ", ".join(f"{path}: {what}" for path, what in faults)
    causes = [{"reason": "FieldValueInvalid", "message": what, "field": path} for path, what in faults]
    message = f'{kind.name}.{kind.group or "core"} "{name}" is invalid: {text}'
    return Refusal(422, "Invalid", message, {**_details(kind, name), "kind": kind.name, "causes": causes})


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def unsupported_media_type(message: str) -> Refusal:
    return Refusal(415, "UnsupportedMediaType", message)


def gone(asked: int, oldest: int) -> Refusal:
    return Refusal(410, "Expired", f"too old resource version: {asked} ({oldest})")


def not_implemented(call: str) -> Refusal:
    """Of what the local Kubernetes API does not imitate; names the call."""
    return Refusal(501, "NotImplemented", f"{call} is not implemented by the local Kubernetes API")
