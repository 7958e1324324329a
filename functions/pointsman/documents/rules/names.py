"""Rules of names and places: one Platform, no document twice, every document in a namespace that owns its folder."""

from collections.abc import Iterator
from typing import Any

from pointsman.documents.config import Config
from pointsman.documents.faults import Fault, Problem
from pointsman.documents.platform import Platform
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.read import Document
from pointsman.documents.rules.repository import NAMESPACED, Repository, folder_of, lookup

__all__ = ["assign_namespaces", "check_branch", "check_immutable", "check_twice", "platform_missing"]

_NAMESPACE = ("metadata", "namespace")


def platform_missing(repository: Repository) -> Fault | None:
    """A repository has a Platform."""
    if repository.platform is not None or repository.hides_platform():
        return None
    remedy = "add one (see examples/demo/platform.yaml)"
    return Fault(".", 1, 1, "platform-missing", "Platform", "the repository has none", remedy)


def assign_namespaces(repository: Repository) -> None:
    """Give every document its namespace, and tell those that have none, or one that is not theirs."""
    for document in repository.documents:
        written = document.metadata.get("namespace")
        owner = repository.owner(document.file)
        if document.kind in NAMESPACED:
            document.folder_namespace = owner[1] if owner else None
            document.namespace = written if isinstance(written, str) else document.folder_namespace
            if repository.ruled and document.model is not None:
                for problem in _check_namespace(repository, document, written, owner):
                    document.report(problem)
        elif document.kind in ("Platform", "AcceleratorPool"):
            if isinstance(written, str):
                document.report(
                    Problem("platform-scope", _NAMESPACE, f"{_a(document.kind)} is the platform's", "remove it")
                )
            if repository.ruled and owner is not None:
                what = f"{document.kind} is the platform's, {owner[0]} belongs to {owner[1]}"
                document.report(Problem("platform-scope", ("kind",), what, "move it out of the folder"))


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] == "A" else f"a {kind}"


def _check_namespace(
    repository: Repository, document: Document, written: Any, owner: tuple[str, str] | None
) -> Iterator[Problem]:
    assert repository.settings is not None
    listed = {item.name: item for item in repository.settings.spec.namespaces}
    if written is None:
        if owner is None and document.kind != "RolloutPolicy":
            yield Problem(
                "namespace-unclear",
                _NAMESPACE,
                f"missing, and no namespace owns {folder_of(document.file)}",
                "set it, or list the folder in Platform spec.namespaces[].paths",
            )
        return
    unknown = lookup("namespace", str(written), listed, _NAMESPACE, "list it in Platform spec.namespaces")
    if unknown is not None:
        yield unknown
    elif owner is not None and owner[1] != written:
        yield Problem(
            "foreign-namespace",
            _NAMESPACE,
            f"{owner[0]} belongs to {owner[1]}, not {written}",
            f"move the file below {listed[str(written)].paths[0].rstrip('/')}, or set namespace: {owner[1]}",
            owner[1],
        )


def check_twice(repository: Repository) -> None:
    """Of two documents of one kind, namespace and name the later one is told."""
    first: dict[tuple[str, str, str], Document] = {}
    for document in repository.documents:
        if document.name is None or not document.kind:
            continue
        # Without a namespace that is known, only the same folder tells that the same one is meant.
        home = document.namespace or ""
        if document.kind in NAMESPACED and not home and not repository.ruled:
            home = f"{document.file.rpartition('/')[0]}/"
        key = (document.kind, home, "" if document.kind == "Platform" else document.name)
        other = first.setdefault(key, document)
        if other is not document:
            name = f"{document.namespace}/{document.name}" if document.namespace else document.name
            what = f"{document.kind} {name} is also at {other.at(('metadata', 'name'))}"
            if document.kind == "Platform":
                what = f"a second Platform, the first is at {other.at(('metadata', 'name'))}"
            document.report(Problem("duplicate-document", ("metadata", "name"), what, "rename or remove one"))


def check_branch(repository: Repository, branch: str) -> None:
    """A Platform that was merged from another branch is not this branch's."""
    platform, settings = repository.platform, repository.settings
    if platform is None or settings is None or platform.model is None:
        return
    named = settings.spec.branch
    if named is not None and named != branch:
        what = f'"{named}", but this is the head of "{branch}"'
        remedy = f"set branch: {branch} or remove the field"
        platform.report(Problem("branch-mismatch", ("spec", "branch"), what, remedy, branch))


def check_immutable(repository: Repository, before: Config) -> None:
    """What was in a cluster stays there."""
    settings = repository.settings
    if settings is None or repository.platform is None or not repository.ruled:
        return
    for document in repository.of_kind("AcceleratorPool"):
        was = before.pools.get(document.name or "")
        if was is None or not isinstance(document.model, AcceleratorPool):
            continue
        old = before.platform.cluster(was.spec.cluster).name
        if _cluster(settings, document.model.spec.cluster) != old:
            remedy = "make a new pool and move the services"
            document.report(Problem("immutable", ("spec", "cluster"), f"was {old}", remedy, old))
    placed = {key.partition("/")[0] for key in before.services}
    for index, namespace in enumerate(settings.spec.namespaces):
        if namespace.name not in placed:
            continue
        old = before.platform.cluster_of(namespace.name).name
        if _cluster(settings, namespace.cluster) != old:
            path = ("spec", "namespaces", index, "cluster")
            remedy = "delete its services first (`pointsman delete`), or name another namespace"
            repository.platform.report(Problem("immutable", path, f"was {old}, where services are placed", remedy, old))


def _cluster(settings: Platform, name: str | None) -> str:
    return name or settings.spec.clusters[0].name
