"""What an apiserver would refuse: the rules that pointsman's own mistakes would break, not all of them."""

import re
from collections.abc import Iterator
from typing import Any

from pointsman_local.kubernetes.kinds import Kind, Object, Pattern
from pointsman_local.kubernetes.quantities import quantity
from pointsman_local.kubernetes.selectors import selects

__all__ = ["faults"]

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LABEL_KEY = re.compile(r"^(([a-z0-9]([-a-z0-9.]*[a-z0-9])?)/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
# https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec
_RULES_MAX, _BACKENDS_MAX, _MATCHES_MAX, _WEIGHT_MAX = 16, 16, 64, 1_000_000
# https://gateway-api.sigs.k8s.io/geps/gep-2257/: at most five digits a unit
_DURATION = re.compile(r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")

Fault = tuple[str, str]


def faults(kind: Kind, item: Object, live: Object | None) -> list[Fault]:
    """Pairs of field path and what is wrong with it; `live` is the object that would be replaced."""
    found = [*_metadata(kind, item["metadata"]), *_lists(kind, item)]
    if found:
        return found  # the rest may rely on these
    match kind.name:
        case "Deployment":
            found += _deployment(item, live)
        case "Pod":
            found += _pod_spec(item.get("spec", {}), "spec")
        case "Service":
            found += _service(item)
        case "HTTPRoute":
            found += _route(item)
    return found


def _metadata(kind: Kind, metadata: Object) -> Iterator[Fault]:
    name = metadata.get("name", "")
    form, limit = (_LABEL, 63) if kind.name in ("Namespace", "Service") else (_SUBDOMAIN, 253)
    if not isinstance(name, str) or not form.match(name) or len(name) > limit:
        yield (
            "metadata.name",
            f'Invalid value: "{name}": must be lower case alphanumeric characters, `-`, at most {limit}',
        )
    labels = metadata.get("labels") or {}
    yield from _labels(labels, "metadata.labels")
    for key, value in (metadata.get("annotations") or {}).items():
        if not isinstance(value, str):
            yield f"metadata.annotations.{key}", f"Invalid value: {value!r}: must be a string"


def _labels(labels: Any, path: str) -> Iterator[Fault]:
    if not isinstance(labels, dict):
        yield path, "Invalid value: must be a map of strings"
        return
    for key, value in labels.items():
        if not _LABEL_KEY.match(key) or len(key.rsplit("/", 1)[-1]) > 63:
            yield path, f'Invalid value: "{key}": no label name'
        if not isinstance(value, str) or not _LABEL_VALUE.match(value) or len(value) > 63:
            yield path, f'Invalid value: "{value}": a label has at most 63 letters, digits, `-`, `_`, `.`'


def _lists(kind: Kind, value: Any, pattern: Pattern = ()) -> Iterator[Fault]:
    """Lists that are maps hold maps with their key fields, each key once."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _lists(kind, child, (*pattern, name))
    elif isinstance(value, list) and (keys := kind.keys(pattern)) is not None:
        path = ".".join(pattern)
        seen = set()
        for item in value:
            if keys and not isinstance(item, dict):
                yield path, "Invalid value: must be a list of maps"
                return
            identity = tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys) if keys else item
            if keys and identity[0] is None:
                yield f"{path}.{keys[0]}", "Required value"
            elif identity in seen:
                yield path, f"Duplicate value: {identity!r}"
            seen.add(identity)
            yield from _lists(kind, item, (*pattern, "*"))


def _deployment(item: Object, live: Object | None) -> Iterator[Fault]:
    spec = item["spec"]
    if not isinstance(spec["replicas"], int) or spec["replicas"] < 0:
        yield "spec.replicas", f"Invalid value: {spec['replicas']!r}: must be greater than or equal to 0"
    labels = spec["template"]["metadata"].get("labels") or {}
    selector = spec.get("selector") or {}
    yield from _labels(labels, "spec.template.metadata.labels")
    if not selector:
        yield "spec.selector", "Required value"
    elif not selects(selector, labels):
        yield "spec.template.metadata.labels", "Invalid value: `selector` does not match template `labels`"
    if live and live["spec"].get("selector") != selector:
        yield "spec.selector", "Invalid value: field is immutable"
    yield from _pod_spec(spec["template"]["spec"], "spec.template.spec")


def _pod_spec(spec: Object, path: str) -> Iterator[Fault]:
    if not spec.get("containers"):
        yield f"{path}.containers", "Required value"
    for number, container in enumerate(spec.get("containers") or []):
        at = f"{path}.containers[{number}]"
        if not container.get("image"):
            yield f"{at}.image", "Required value"
        for name in ("command", "args"):
            if not all(isinstance(word, str) for word in container.get(name) or []):
                yield f"{at}.{name}", "Invalid value: must be a list of strings"
        for variable in container.get("env") or []:
            if not isinstance(variable.get("value", ""), str):
                yield f"{at}.env", f"Invalid value: {variable['value']!r} of {variable['name']}: must be a string"
        for group in ("requests", "limits"):
            for resource, amount in (container.get("resources", {}).get(group) or {}).items():
                try:
                    quantity(amount)
                except ValueError as error:
                    yield f"{at}.resources.{group}[{resource}]", f"Invalid value: {error}"


def _service(item: Object) -> Iterator[Fault]:
    if not item["spec"].get("ports"):
        yield "spec.ports", "Required value"
    for number, port in enumerate(item["spec"].get("ports") or []):
        if not isinstance(port.get("port"), int) or not 0 < port["port"] < 65536:
            yield f"spec.ports[{number}].port", f"Invalid value: {port.get('port')!r}: must be between 1 and 65535"


def _route(item: Object) -> Iterator[Fault]:
    rules = item["spec"].get("rules") or []
    if len(rules) > _RULES_MAX:
        yield "spec.rules", f"Too many: {len(rules)}: must have at most {_RULES_MAX} items"
    for number, rule in enumerate(rules):
        at = f"spec.rules[{number}]"
        for name, limit in (("backendRefs", _BACKENDS_MAX), ("matches", _MATCHES_MAX)):
            if len(rule.get(name) or []) > limit:
                yield f"{at}.{name}", f"Too many: {len(rule[name])}: must have at most {limit} items"
        for index, backend in enumerate(rule.get("backendRefs") or []):
            weight = backend.get("weight")
            if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= _WEIGHT_MAX:
                yield (
                    f"{at}.backendRefs[{index}].weight",
                    f"Invalid value: {weight!r}: must be between 0 and {_WEIGHT_MAX}",
                )
        for name, text in (rule.get("timeouts") or {}).items():
            if not _DURATION.match(str(text)):
                yield f"{at}.timeouts.{name}", f'Invalid value: "{text}": should match {_DURATION.pattern}'
        for match in rule.get("matches") or []:
            if not str(match["path"]["value"]).startswith("/"):
                yield f"{at}.matches.path.value", f'Invalid value: "{match["path"]["value"]}": must start with `/`'
