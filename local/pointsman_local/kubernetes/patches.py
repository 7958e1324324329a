"""JSON merge patch (RFC 7396), and the strategic merge patch that Kubernetes' clients send for built-in kinds."""

from typing import Any

from pointsman_local.kubernetes.kinds import Kind, Pattern

__all__ = ["merge_patch", "strategic_patch"]


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` as the patch wants it; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_patch(kind: Kind, target: Any, patch: Any, pattern: Pattern = ()) -> Any:
    """As a merge patch, but lists that are maps merge by their first key field.

    Understood are `$patch: delete` and `$patch: replace`; orders (`$setElementOrder`) and `$retainKeys` are left out.
    """
    if isinstance(patch, list):
        keys = kind.keys(pattern)
        return (
            patch
            if keys is None
            else _merge_lists(kind, target if isinstance(target, list) else [], patch, keys, pattern)
        )
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith(("$setElementOrder/", "$retainKeys")):
            continue
        if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(name, None)
        else:
            result[name] = strategic_patch(kind, result.get(name), value, (*pattern, name))
    return result


def _merge_lists(kind: Kind, target: list[Any], patch: list[Any], keys: tuple[str, ...], pattern: Pattern) -> list[Any]:
    if not keys:
        return [*target, *(item for item in patch if item not in target)]
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    key = keys[0]
    result = list(target)
    for item in patch:
        at = next((number for number, old in enumerate(result) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item.get(key)]
        elif at is None:
            result.append(item)
        else:
            result[at] = strategic_patch(kind, result[at], item, (*pattern, "*"))
    return result
