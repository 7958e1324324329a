"""Who set which field: server-side apply and `managedFields`, after structured-merge-diff.

A field set is a set of paths; a path is a tuple of FieldsV1 elements: `f:<name>`, `k:<key fields as JSON>` of an
item in a list that is a map, `v:<value>` of one in a set. Containers are paths too where somebody owns them as
such (written as `.`). Known difference: entries are computed on objects as they are sent and defaulted here,
not by the typed schema of every field, so a list that `kinds` does not name is atomic.
"""

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pointsman_local.kubernetes.kinds import Kind, Object, Pattern

__all__ = ["ApplyConflict", "Manager", "apply", "update"]

Path = tuple[str, ...]
Owners = dict["Manager", frozenset[Path]]

# Nobody owns what identifies an object or what the server writes.
_UNOWNED = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "generateName",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "selfLink",
            "managedFields",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        )
    }
)


@dataclass(frozen=True, slots=True)
class Manager:
    """One line of `managedFields`: who, how (`Apply` or `Update`), through which subresource, in which version."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        text = json.dumps(self.name)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


class ApplyConflict(Exception):
    """Fields that others own would change: pairs of manager and field."""

    def __init__(self, conflicts: list[tuple[Manager, str]]) -> None:
        self.conflicts = conflicts
        if len(conflicts) == 1:
            text = f"Apply failed with 1 conflict: conflict with {conflicts[0][0]}: {conflicts[0][1]}"
        else:
            fields: dict[Manager, list[str]] = {}
            for manager, path in conflicts:
                fields.setdefault(manager, []).append(path)
            parts = [
                f"conflicts with {manager}:\n" + "\n".join(f"- {p}" for p in paths) for manager, paths in fields.items()
            ]
            text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(parts)
        super().__init__(text)


def apply(kind: Kind, live: Object, config: Object, manager: Manager, *, force: bool, now: str) -> Object:
    """The object that applying `config` makes of `live`, with new `managedFields`.

    Raises ApplyConflict, unless `force` takes the fields over. Fields that the manager applied before, sends no
    longer and nobody else owns are removed.
    """
    owners = _owners(live)
    fields = frozenset(_fields(kind, config)) - _UNOWNED
    dropped = owners.pop(manager, frozenset()) - fields
    merged = _merge(kind, _without_owners(live), _without_owners(config))
    owned = frozenset().union(fields, *owners.values())
    merged = _prune(kind, merged, dropped - owned, owned)
    others = _give_way(kind, live, merged, owners, force=force)
    return _with_owners(merged, live, {**others, manager: fields}, now)


def update(kind: Kind, live: Object, item: Object, manager: Manager, *, now: str) -> Object:
    """`item`, which replaces `live` (empty: a creation), with the fields that changed now owned by `manager`."""
    item = _without_owners(item)
    owners = _owners(live)
    mine = owners.pop(manager, frozenset())
    changed, removed = _difference(kind, live, item)
    others = _give_way(kind, live, item, owners, force=True)
    return _with_owners(item, live, {**others, manager: (mine - removed) | changed}, now)


def _give_way(kind: Kind, live: Object, item: Object, owners: Owners, *, force: bool) -> Owners:
    changed, removed = _difference(kind, live, item)
    lost = {manager: paths & changed for manager, paths in owners.items()}
    conflicts = [(manager, _readable(path)) for manager, paths in lost.items() for path in sorted(paths)]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    return {manager: paths - lost[manager] - removed for manager, paths in owners.items()}


# Field sets of values.


def _fields(kind: Kind, value: Any, pattern: Pattern = (), path: Path = ()) -> Iterator[Path]:
    """The leaves of an applied value, and the items of its lists that are maps."""
    if isinstance(value, dict) and value and pattern not in kind.atomic:
        for name, child in value.items():
            yield from _fields(kind, child, (*pattern, name), (*path, f"f:{name}"))
    elif isinstance(value, list) and value and (keys := kind.keys(pattern)) is not None:
        for item in value:
            at = (*path, _element(item, keys))
            yield at
            if keys:
                yield from _fields(kind, item, (*pattern, "*"), at)
    else:
        yield path


def _nodes(kind: Kind, value: Any, pattern: Pattern = (), path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node with its value; containers with None, since their children tell what differs in them."""
    if isinstance(value, dict) and value and pattern not in kind.atomic:
        if path and pattern not in kind.structs:
            yield path, None
        for name, child in value.items():
            yield from _nodes(kind, child, (*pattern, name), (*path, f"f:{name}"))
    elif isinstance(value, list) and value and (keys := kind.keys(pattern)) is not None:
        yield path, None
        for item in value:
            at = (*path, _element(item, keys))
            if keys:
                yield from _nodes(kind, item, (*pattern, "*"), at)
            else:
                yield at, None
    elif path:
        yield path, (value,)


def _difference(kind: Kind, before: Object, after: Object) -> tuple[frozenset[Path], frozenset[Path]]:
    """Paths added or changed, and paths removed."""
    old = dict(_nodes(kind, _without_owners(before)))
    new = dict(_nodes(kind, _without_owners(after)))
    changed = frozenset(
        path for path, value in new.items() if path not in old or (value and old[path] and old[path] != value)
    )
    return changed - _UNOWNED, frozenset(old.keys() - new.keys())


def _element(item: Any, keys: tuple[str, ...]) -> str:
    if not keys:
        return "v:" + json.dumps(item, separators=(",", ":"))
    found = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return "k:" + json.dumps({key: value for key, value in found.items() if value is not None}, separators=(",", ":"))


_KEY_DEFAULTS = {"protocol": "TCP"}


def _readable(path: Path) -> str:
    """`.spec.containers[name="s"].image`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        match kind:
            case "f":
                text += f".{rest}"
            case "k":
                text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
            case _:
                text += f"[={rest}]"
    return text


# Merging and removing.


def _merge(kind: Kind, live: Any, config: Any, pattern: Pattern = ()) -> Any:
    if isinstance(live, dict) and isinstance(config, dict) and pattern not in kind.atomic:
        merged = dict(live)
        for name, value in config.items():
            merged[name] = _merge(kind, live.get(name), value, (*pattern, name))
        return merged
    keys = kind.keys(pattern) if isinstance(live, list) and isinstance(config, list) else None
    if keys is None:
        return copy.deepcopy(config)
    old = {_element(item, keys): item for item in live}
    new = {_element(item, keys): item for item in config}
    return [_merge(kind, old.get(at), new[at], (*pattern, "*")) if at in new else old[at] for at in _order(old, new)]


def _order(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Items of both: the new list's in its order, in the places of those they share; the others where they are."""
    there, coming, order = set(old), list(new), list[str]()
    applied = set(coming)
    for at in old:
        if at not in applied:
            order.append(at)
        while at in applied and coming:
            order.append(coming.pop(0))
            if order[-1] in there:
                break
    return order + coming


def _prune(kind: Kind, value: Any, dropped: frozenset[Path], owned: frozenset[Path]) -> Any:
    """`value` without the fields of `dropped`; an item goes only when nobody owns anything in it."""
    kept = {path[:length] for path in owned for length in range(1, len(path) + 1)}
    return _without(kind, value, frozenset(path for path in dropped if path not in kept), kept)


def _without(
    kind: Kind, value: Any, gone: frozenset[Path], kept: set[Path], pattern: Pattern = (), path: Path = ()
) -> Any:
    if isinstance(value, dict) and pattern not in kind.atomic:
        result = {}
        for name, child in value.items():
            at = (*path, f"f:{name}")
            if at in gone:
                continue
            left = _without(kind, child, gone, kept, (*pattern, name), at)
            if child and left in ({}, []) and at not in kept:
                continue  # emptied by this apply
            result[name] = left
        return result
    keys = kind.keys(pattern) if isinstance(value, list) else None
    if keys is None:
        return value
    items = []
    for item in value:
        at = (*path, _element(item, keys))
        if at in gone:
            continue
        if keys and at in kept:
            # Its key fields stay with it, whoever sent them.
            inner = _without(
                kind, item, frozenset(one for one in gone if one[: len(at)] == at), kept, (*pattern, "*"), at
            )
            items.append({**{key: item[key] for key in keys if key in item}, **inner})
        else:
            items.append(item)
    return items


# The wire form.


def _without_owners(item: Object) -> Object:
    metadata = item.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return item
    return {**item, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _owners(item: Object) -> Owners:
    return {
        _manager(entry): frozenset(_decode(entry["fieldsV1"]))
        for entry in item.get("metadata", {}).get("managedFields") or []
    }


def _manager(entry: Object) -> Manager:
    return Manager(entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", ""))


def _with_owners(item: Object, live: Object, owners: Owners, now: str) -> Object:
    """Entries without a field vanish; one whose fields did not change keeps its time."""
    times = {
        _manager(entry): (entry["time"], frozenset(_decode(entry["fieldsV1"])))
        for entry in live.get("metadata", {}).get("managedFields") or []
    }
    entries = []
    for manager, paths in owners.items():
        if not paths:
            continue
        time, before = times.get(manager, (now, frozenset()))
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": time if before == paths else now,
            "fieldsType": "FieldsV1",
            "fieldsV1": _encode(paths),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    entries.sort(key=lambda one: (one["operation"], one["time"], one["manager"]))
    metadata = {name: value for name, value in item["metadata"].items() if name != "managedFields"}
    return {**item, "metadata": {**metadata, "managedFields": entries} if entries else metadata}


def _encode(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):  # a container comes before what is in it
        node = tree
        for element in path[:-1]:
            node = node.setdefault(element, {})
        node.setdefault(path[-1], {})
    within = {path[:length] for path in paths for length in range(1, len(path))}
    for path in within & paths:
        node = tree
        for element in path:
            node = node[element]
        node["."] = {}
    return tree


def _decode(tree: Object, path: Path = ()) -> Iterator[Path]:
    for element, inner in tree.items():
        if element == ".":
            yield path
        elif inner:
            yield from _decode(inner, (*path, element))
        else:
            yield (*path, element)
