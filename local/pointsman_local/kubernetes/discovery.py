"""What the API says of itself: versions, groups and resources, in the old form and in the aggregated one."""

from itertools import groupby

from pointsman_local.kubernetes.kinds import KINDS, Kind, Object

__all__ = ["AGGREGATED", "answer"]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
# The release whose behaviour is imitated; clients compare minor versions.
_VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.0-pointsman-local", "platform": "local"}


def answer(path: str, *, aggregated: bool) -> Object | None:
    """The answer to a GET of `path`; None when it is none of discovery's."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["version"]:
            return dict(_VERSION)
        case ["api"]:
            return _aggregate([""]) if aggregated else {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            return _aggregate(_groups()) if aggregated else _group_list()
        case ["api", "v1"]:
            return _resources("", "v1")
        case ["apis", group, version] if group in _groups():
            return _resources(group, version)
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
    return None


def _groups() -> list[str]:
    return [group for group, _ in groupby(kind.group for kind in KINDS) if group]


def _group(group: str) -> Object:
    version = next(kind.version for kind in KINDS if kind.group == group)
    one = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [one], "preferredVersion": one}


def _group_list() -> Object:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in _groups()]}


def _subresources(kind: Kind) -> list[tuple[str, str, list[str]]]:
    """Name, kind of the answer, verbs."""
    named = {"scale": ("Scale", ["get", "patch", "update"]), "log": ("Pod", ["get"])}
    status = [("status", kind.name, ["get", "patch", "update"])] if kind.has_status else []
    return status + [(name, *named[name]) for name in kind.subresources]


def _resources(group: str, version: str) -> Object:
    resources: list[Object] = []
    for kind in KINDS:
        if (kind.group, kind.version) != (group, version):
            continue
        resources.append(
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": _VERBS,
                "shortNames": list(kind.short),
            }
        )
        resources += [
            {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind_,
                "verbs": verbs,
            }
            for name, kind_, verbs in _subresources(kind)
        ]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _aggregate(groups: list[str]) -> Object:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": next(kind.version for kind in KINDS if kind.group == group),
                        "resources": [_aggregated(kind) for kind in KINDS if kind.group == group],
                        "freshness": "Current",
                    }
                ],
            }
            for group in groups
        ],
    }


def _aggregated(kind: Kind) -> Object:
    def response(name: str) -> Object:
        return {"group": kind.group, "version": kind.version, "kind": name}

    return {
        "resource": kind.plural,
        "responseKind": response(kind.name),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "shortNames": list(kind.short),
        "verbs": _VERBS,
        "subresources": [
            {"subresource": name, "responseKind": response(kind_), "verbs": verbs}
            for name, kind_, verbs in _subresources(kind)
        ],
    }
