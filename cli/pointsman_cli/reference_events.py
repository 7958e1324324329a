"""`docs/reference/events.md`: the CloudEvents that pointsman publishes, from their schemas, and what comes in."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pointsman.adapters.cdevents import SPECIFICATION, TYPES
from pointsman.core import events as known
from pointsman.handlers.model_registered import AUDIT_LOG, METHODS
from pointsman.handlers.webhook import PREFIX, SENDERS

__all__ = ["events"]

ROOT = Path(__file__).resolve().parents[2]

_PROOF = {
    "github": "`X-Hub-Signature-256`, HMAC-SHA256 of the body",
    "gitlab": "`webhook-signature` where a secret begins with `whsec_`, otherwise `X-Gitlab-Token`",
    "mlflow": "`X-MLflow-Signature` over delivery id, time and body; at most 10 minutes old",
    "alertmanager": "bearer token",
    "grafana": "bearer token, or `X-Grafana-Alerting-Signature`; a signed call must be signed rightly",
}
"""Sender → how it proves itself. A sender without an entry stops the generator."""

_HEAD = (
    """\
# Events

Made by `python -m pointsman_cli.generate` from `schemas/events`: do not edit.

An event is a doorbell: a few fields, at most 4 KiB. What is true is read when it rings. Its identity is `source` and
`id`, from inside the event, never from what carried it: the same event published or delivered twice is handled once.
`pointsman events list` shows every event with its result and reason, for 30 days.

| result | means |
|---|---|
| `applied` | it led to something, which `pointsman events get` names |
| `ignored` | it is fine and changes nothing, for the reason given |
| `rejected` | it is malformed or cannot be carried out; it is not asked again |

An event that is being handled, or comes back because something was transient, is `leased`.

## What comes in

`receive_webhook` takes `POST` below `"""
    + PREFIX
    + """`. The signature is checked over the raw body, before anything is
parsed. It answers 202 once the event is published, 401 to what cannot be verified, 413 over 25 MB. A sender may have
several secrets, of which each verifies, so that they can be rotated.

| sender | path | proof | topic |
|---|---|---|---|
"""
)


def events() -> str:
    """The page. Raises KeyError for a sender or a type that nothing is said of."""
    senders = (
        f"| {name} | `{PREFIX}{name}` | {_PROOF[name]} | `{module.TOPIC}` |" for name, module in sorted(SENDERS.items())
    )
    parts = [_HEAD + "\n".join(senders), _others()]
    for kind in sorted(_types()):
        schema = json.loads((ROOT / "schemas" / "events" / f"{kind}.json").read_text())
        rows = "\n".join(_fields(schema, ""))
        parts.append(f"## `{kind}`\n\n{schema['title']}. {schema['description']}\n")
        parts.append(f"| field | type | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join([*parts, _notices()])


def _types() -> set[str]:
    return {value for name, value in vars(known).items() if name.isupper() and isinstance(value, str)}


def _others() -> str:
    methods = ", ".join(f"`{method}`" for method in METHODS)
    return f"""
Beside these, the topics take what others publish there:

| what | topic | read as |
|---|---|---|
| Cloud Monitoring's notification, schema 1.2 | `alert-fired` | one event for each incident and state |
| Vertex AI's audit log (`{AUDIT_LOG}`): {methods} | by Eventarc | an upload counts at its end, without an error |
| a CI's own `{known.MODEL_REGISTERED}` with `registry: ci` | `model-registered` | an announcement, which is kept |

A CloudEvent may come in the HTTP binding (binary or structured) or inside a Pub/Sub push envelope. What cannot be read
is recorded as `rejected`.
"""


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in schema["properties"].items():
        required = " **R**" if name in schema.get("required", ()) else ""
        inner = field.get("items", field)
        ending = "[]" if inner is not field else ""
        meaning = str(field.get("description", "")).replace("|", "\\|")
        examples = ", ".join(f"`{example}`" for example in field.get("examples", ()))
        meaning += f" Example: {examples}." if examples else ""
        yield f"| `{prefix}{name}{ending}`{required} | {_type(field)} | {meaning} |"
        if "properties" in inner:
            yield from _fields(inner, f"{prefix}{name}{ending}.")


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "map", "array": "list"}
    return " or ".join(words.get(kind, str(kind)) for kind in kinds)


def _notices() -> str:
    rows = "\n".join(f"| `{notice}` | `{kind}` |" for notice, kind in TYPES.items())
    return f"""## Notices as CDEvents

A channel of type `Webhook` gets each notice as a CDEvent ({SPECIFICATION}) in a CloudEvent, binary mode. What the
vocabulary of CDEvents has is said in its words, the rest as custom events of the tool `pointsman`. The whole notice is
in `customData`.

| notice | CDEvent |
|---|---|
{rows}
"""
