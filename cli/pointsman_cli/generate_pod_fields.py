"""Makes `pointsman/documents/pod_fields.py` from the official Kubernetes client's models.

`python -m pointsman_cli.generate_pod_fields` rewrites the table. Run it when the client was upgraded: deployed
code must know the fields of a pod template without importing the client.
"""

import re
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["main", "table"]

ROOT = "PodTemplateSpec"

# Strings for OpenAPI, quantities for everybody else: YAML may give them as numbers.
QUANTITIES = {
    ("ResourceRequirements", "limits"),
    ("ResourceRequirements", "requests"),
    ("VolumeResourceRequirements", "limits"),
    ("VolumeResourceRequirements", "requests"),
    ("PodSpec", "overhead"),
    ("EmptyDirVolumeSource", "sizeLimit"),
    ("ResourceFieldSelector", "divisor"),
}
SCALARS = {"str": "", "int": "int", "bool": "bool", "datetime": "time", "float": "number"}

HEADER = '''"""The fields of a Kubernetes PodTemplateSpec, with their types.

Made by `python -m pointsman_cli.generate_pod_fields` from the official client {version}: do not edit. One type a line:
its name, then its fields; `!` marks required ones. A field without a type is text; `[T]` is a list, `{{T}}` a map.
"""

CLIENT = "{version}"

TYPES = """\\
{types}"""
'''


def _short(name: str) -> str:
    return re.sub(r"^(Core)?V\d+", "", name)


def _type(kind: str, field: str, text: str) -> tuple[str, str | None]:
    """Our notation of a type, and the client's type that it refers to."""
    if (kind, field) in QUANTITIES:
        return ("{quantity}" if text.startswith("Dict") else "quantity"), None
    if text == "object":
        return ("object" if kind == "ManagedFieldsEntry" else "int-or-text"), None
    if text in SCALARS:
        return SCALARS[text], None
    if match := re.fullmatch(r"List\[(.*)\]", text):
        inner, refers = _type(kind, field, match.group(1))
        return f"[{inner}]", refers
    if match := re.fullmatch(r"Dict\[str, (.*)\]", text):
        inner, refers = _type(kind, field, match.group(1))
        return f"{{{inner}}}", refers
    return _short(text), text


def table() -> dict[str, list[str]]:
    """Type → its fields, as the installed client has them."""
    from kubernetes import client

    found: dict[str, list[str]] = {}
    waiting = [f"V1{ROOT}"]
    while waiting:
        name = waiting.pop()
        kind = _short(name)
        if kind in found:
            continue
        model: Any = getattr(client, name)
        found[kind] = fields = []
        required = {item.serialization_alias or own for own, item in model.model_fields.items() if item.is_required()}
        for attribute, field in sorted(model.attribute_map.items(), key=lambda item: str(item[1])):
            text, refers = _type(kind, field, model.openapi_types[attribute])
            fields.append(f"{field}{'!' if field in required else ''}{':' + text if text else ''}")
            if refers:
                waiting.append(refers)
    return dict(sorted(found.items()))


def source() -> str:
    """The module's text."""
    lines: list[str] = []
    for kind, fields in table().items():
        lines += textwrap.wrap(
            f"{kind} {' '.join(fields)}", 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return HEADER.format(version=version("kubernetes"), types="\n".join(lines) + "\n")


def main() -> int:
    """Rewrite the table in the working tree."""
    target = Path(__file__).resolve().parents[2] / "functions/pointsman/documents/pod_fields.py"
    target.write_text(source())
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
