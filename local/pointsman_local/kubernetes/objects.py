"""What a write means: identity, generation, status apart from the rest, ownership, deletion with its dependents.

Between the store, which knows only revisions, and those who write: the API for clients, and the controllers
here, which use `modify` and `delete`. Controllers' writes do not appear in `managedFields`.
"""

import copy
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman_local.kubernetes import ownership
from pointsman_local.kubernetes.defaults import with_defaults
from pointsman_local.kubernetes.kinds import KINDS, Kind, Object, named
from pointsman_local.kubernetes.ownership import Manager
from pointsman_local.kubernetes.refusals import Refusal, already_exists, bad_request, conflict, invalid, not_found
from pointsman_local.kubernetes.store import Store
from pointsman_local.kubernetes.validation import faults

__all__ = ["Objects", "Writer", "random_suffix", "timestamp"]

_POD = named("Pod")
_NODE = named("Node")
_NAMESPACE = named("Namespace")

# Metadata that only the server writes.
_SYSTEM = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)

# Without vowels, like Kubernetes' own, so that no words come out.
_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("aeiou013")))


def timestamp(at: datetime | None = None) -> str:
    """RFC 3339 in UTC to the second, as Kubernetes writes times."""
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_suffix() -> str:
    return "".join(random.choices(_LETTERS, k=5))


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, to which part (empty: all but the status; `status`), and whether only to see what would be."""

    manager: str
    part: str = ""
    dry: bool = False
    subresource: str = ""


class Objects:
    """The objects as clients and controllers may change them. Refusals are raised before anything is stored."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Raises Refusal 404."""
        found = self.store.get(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def create(self, kind: Kind, namespace: str, body: Object, writer: Writer) -> Object:
        body = _placed(kind, namespace, _without_nulls(body))
        metadata = body["metadata"]
        if "name" not in metadata and "generateName" in metadata:
            metadata["name"] = metadata["generateName"] + random_suffix()
        if self.store.get(kind, namespace, metadata.get("name", "")):
            raise already_exists(kind, metadata["name"])
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        item = self._new(kind, body)
        item = ownership.update(kind, {}, item, _manager(kind, writer, "Update"), now=timestamp())
        return item if writer.dry else self._insert(kind, namespace, item)

    def replace(self, kind: Kind, namespace: str, name: str, body: Object, writer: Writer) -> Object:
        live = self.get(kind, namespace, name)
        return self._update(kind, live, _placed(kind, namespace, _without_nulls(body), name), writer)

    def patch(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object], writer: Writer
    ) -> Object:
        live = self.get(kind, namespace, name)
        body = change(copy.deepcopy(live))
        # A patch that names no version is good for any: what it was computed from is the live one.
        return self._update(kind, live, _placed(kind, namespace, _without_nulls(body), name), writer)

    def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, writer: Writer, *, force: bool
    ) -> tuple[Object, bool]:
        """Server-side apply: the object as it is then, and whether it was created."""
        body = _placed(kind, namespace, _without_nulls(body), name)
        if body["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        config = _part(kind, body, writer.part)
        live = self.store.get(kind, namespace, name)
        _check_identity(kind, live, body)
        if live is None and writer.part:
            raise not_found(kind, name)
        manager = _manager(kind, writer, "Apply")
        try:
            applied = ownership.apply(kind, live or {}, config, manager, force=force, now=timestamp())
        except ownership.ApplyConflict as error:
            causes = [
                {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
                for manager, path in error.conflicts
            ]
            raise Refusal(409, "Conflict", str(error), {"causes": causes}) from None
        if live is None:
            owners = applied["metadata"].pop("managedFields", None)
            item = self._new(kind, applied)
            if owners:
                item["metadata"]["managedFields"] = owners
            return (item if writer.dry else self._insert(kind, namespace, item)), True
        return self._settle(kind, live, applied, writer), False

    def modify(self, kind: Kind, namespace: str, name: str, change: Callable[[Object], None]) -> Object | None:
        """A controller's own write, of any part; None when the object is gone. No change is no write."""
        live = self.store.get(kind, namespace, name)
        if live is None:
            return None
        item = copy.deepcopy(live)
        change(item)
        return live if item == live else self.store.put(kind, item)

    def add(self, kind: Kind, namespace: str, body: Object) -> Object:
        """A controller's own creation. Raises Refusal 409 when it exists."""
        if self.store.get(kind, namespace, body["metadata"]["name"]):
            raise already_exists(kind, body["metadata"]["name"])
        return self._insert(kind, namespace, self._new(kind, _placed(kind, namespace, body)))

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Object | None = None, *, dry: bool = False
    ) -> Object:
        """Delete, by DeleteOptions: preconditions, grace of pods, what becomes of dependents.

        Gives the object with its `deletionTimestamp` when it stays for a while, its last state otherwise.
        `Foreground` is treated as `Background`.
        """
        options = options or {}
        live = self.get(kind, namespace, name)
        _check_preconditions(kind, live, options.get("preconditions") or {})
        if dry:
            return live
        grace_s = _grace_s(kind, live, options)
        if grace_s == 0 and not live["metadata"].get("finalizers"):
            return self.remove(kind, live, orphan=options.get("propagationPolicy") == "Orphan")
        until = datetime.now(UTC) + timedelta(seconds=grace_s)

        def leave(item: Object) -> None:
            metadata = item["metadata"]
            if grace_s < metadata.get("deletionGracePeriodSeconds", grace_s + 1):
                metadata |= {"deletionTimestamp": timestamp(until), "deletionGracePeriodSeconds": grace_s}

        return self.modify(kind, namespace, name, leave) or live

    def remove(self, kind: Kind, item: Object, *, orphan: bool = False) -> Object:
        """Take an object out of the store now, and delete what only it owned (`orphan`: set that free)."""
        metadata = item["metadata"]
        last = self.store.remove(kind, metadata.get("namespace", ""), metadata["name"])
        for other in KINDS:
            for dependent in self.store.list(other):
                owners = dependent["metadata"].get("ownerReferences") or []
                left = [owner for owner in owners if owner["uid"] != metadata["uid"]]
                if len(left) == len(owners):
                    continue
                where = (dependent["metadata"].get("namespace", ""), dependent["metadata"]["name"])
                if left or orphan:
                    self.modify(other, *where, _owned_by(left))
                else:
                    self.delete(other, *where)
        return last

    def _insert(self, kind: Kind, namespace: str, item: Object) -> Object:
        """Store a new object, and its namespace where there is none yet.

        So does the admission plugin NamespaceAutoProvision: on a laptop nobody made the Platform's namespaces.
        """
        if kind.namespaced and not self.store.get(_NAMESPACE, "", namespace):
            self.add(_NAMESPACE, "", {"metadata": {"name": namespace}})
        return self.store.put(kind, item)

    def _new(self, kind: Kind, body: Object) -> Object:
        if kind.has_status and kind is not _NODE:  # a kubelet registers its node whole
            body = {name: value for name, value in body.items() if name != "status"}
        metadata = {
            **{name: value for name, value in body["metadata"].items() if name != "managedFields"},
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(),
            "generation": 1,
        }
        item = with_defaults(kind, {**body, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata})
        if found := faults(kind, item, None):
            raise invalid(kind, metadata.get("name", ""), found)
        return item

    def _update(self, kind: Kind, live: Object, body: Object, writer: Writer) -> Object:
        _check_identity(kind, live, body)
        item = _part_over(kind, live, body, writer.part)
        if not writer.part:
            item = with_defaults(kind, item)
        item = ownership.update(kind, live, item, _manager(kind, writer, "Update"), now=timestamp())
        return self._settle(kind, live, item, writer)

    def _settle(self, kind: Kind, live: Object, item: Object, writer: Writer) -> Object:
        """Store `item` in place of `live`, unless nothing differs."""
        old = live["metadata"]
        metadata = {name: value for name, value in item["metadata"].items() if name not in _SYSTEM}
        metadata |= {name: old[name] for name in _SYSTEM if name in old}
        item = {**item, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
        if not writer.part:
            item = with_defaults(kind, item)
            if found := faults(kind, item, live):
                raise invalid(kind, metadata["name"], found)
            if _desired(item) != _desired(live):
                metadata = item["metadata"] = {**item["metadata"], "generation": old.get("generation", 0) + 1}
        if writer.dry or item == live:
            return item
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and kind is not _POD:
            return self.remove(kind, live)
        return self.store.put(kind, item)


def _owned_by(owners: list[Object]) -> Callable[[Object], None]:
    def change(item: Object) -> None:
        item["metadata"]["ownerReferences"] = owners

    return change


def _placed(kind: Kind, namespace: str, body: Any, name: str = "") -> Object:
    """`body` with a metadata that agrees with the path it was sent to. Raises Refusal 400."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise bad_request("the body is no Kubernetes object")
    metadata = dict(body.get("metadata") or {})
    if body.get("kind", kind.name) != kind.name or body.get("apiVersion", kind.api_version) != kind.api_version:
        said = f"{body.get('apiVersion')}, Kind={body.get('kind')}"
        raise bad_request(f"the object ({said}) does not match the expected {kind.api_version}, Kind={kind.name}")
    if name and metadata.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if kind.namespaced:
        if metadata.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata.pop("namespace", None)
    return {**body, "metadata": metadata}


def _check_identity(kind: Kind, live: Object | None, body: Object) -> None:
    """A `resourceVersion` or `uid` that is sent must hold."""
    name, sent = body["metadata"]["name"], body["metadata"]
    if live is None:
        if sent.get("resourceVersion") or sent.get("uid"):
            raise conflict(kind, name, "the object does not exist, but a resourceVersion or uid of it was given")
        return
    if sent.get("uid") and sent["uid"] != live["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {live['metadata']['uid']}"
        raise conflict(kind, name, why)
    if sent.get("resourceVersion") and sent["resourceVersion"] != live["metadata"]["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(kind, name, why)


def _check_preconditions(kind: Kind, live: Object, wanted: Object) -> None:
    for field, said in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        there = live["metadata"][field]
        if wanted.get(field) and wanted[field] != there:
            why = f"Precondition failed: {said} in precondition: {wanted[field]}, {said} in object meta: {there}"
            raise conflict(kind, live["metadata"]["name"], why)


def _grace_s(kind: Kind, live: Object, options: Object) -> int:
    """Only pods that may be running linger."""
    if kind is not _POD or not live["spec"].get("nodeName") or live["status"]["phase"] in ("Succeeded", "Failed"):
        return 0
    asked = options.get("gracePeriodSeconds")
    return int(live["spec"]["terminationGracePeriodSeconds"] if asked is None else asked)


def _part(kind: Kind, body: Object, part: str) -> Object:
    """What of an applied configuration counts."""
    if part:
        identity = {name: body["metadata"][name] for name in ("name", "namespace") if name in body["metadata"]}
        return {"metadata": identity, **({part: body[part]} if part in body else {})}
    return {name: value for name, value in body.items() if not (kind.has_status and name == "status")}


def _part_over(kind: Kind, live: Object, body: Object, part: str) -> Object:
    if part:
        item = {**live, "metadata": {**live["metadata"]}}
        item.pop(part, None)
        return item | ({part: body[part]} if part in body else {})
    item = {name: value for name, value in body.items() if name != "status" or not kind.has_status}
    return item | ({"status": live["status"]} if kind.has_status and "status" in live else {})


def _manager(kind: Kind, writer: Writer, operation: str) -> Manager:
    return Manager(writer.manager, operation, kind.api_version, writer.subresource or writer.part)


def _desired(item: Object) -> Object:
    return {name: value for name, value in item.items() if name not in ("metadata", "status")}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(child) for name, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value
