"""All documents of a commit side by side: who is called what, and which folder belongs to whom."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from pointsman.documents.faults import LENGTHS, Path, Problem, likely, nearest
from pointsman.documents.forms import KINDS
from pointsman.documents.platform import NamespaceSettings, Platform
from pointsman.documents.policy import PolicySpec, RolloutPolicy
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.read import Document
from pointsman.documents.service import ModelService

__all__ = ["Repository", "folder_of", "lookup"]

NAMESPACED = ("ModelService", "AlertRule", "RolloutPolicy")


@dataclass(slots=True)
class Repository:
    """The documents in the order of file and place, and what could not be read.

    `settings` is the Platform as far as it can be used for looking names up; `ruled` says that it is without
    fault, so that the rules of its namespaces hold. `part`: the files are not the whole repository. `anonymous` are
    documents whose kind nobody knows.
    """

    documents: list[Document]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    part: bool = False
    ruled: bool = False

    def __post_init__(self) -> None:
        self._by_kind: dict[str, list[Document]] = {}
        self._by_name: dict[tuple[str, str], list[Document]] = {}
        for document in self.documents:
            self._by_kind.setdefault(document.kind, []).append(document)
            if document.name is not None:
                self._by_name.setdefault((document.kind, document.name), []).append(document)
        self._hidden_words = {word for text in self.unreadable.values() for word in re.findall(r"[-\w]+", text)}
        self._by_length: dict[tuple[str, int], list[str]] = {}
        for kind, name in self._by_name:
            self._by_length.setdefault((kind, len(name)), []).append(name)
        self._pools_used: dict[str | None, tuple[Set[str], bool]] = {}
        self._unnamed = {document.kind for document in self.documents if document.name is None}
        self.anonymous = [document for document in self.documents if document.kind not in KINDS]
        self.platform = next(iter(self.of_kind("Platform")), None)
        model = self.platform and (self.platform.model or self.platform.salvage)
        self.settings = model if isinstance(model, Platform) else None
        tenants = self.settings.spec.namespaces if self.settings else ()
        folders = ((folder.rstrip("/"), item.name) for item in tenants for folder in item.paths)
        self._folders = sorted(folders, key=lambda pair: -len(pair[0]))

    anonymous: list[Document] = field(init=False)
    _by_kind: dict[str, list[Document]] = field(init=False, repr=False)
    _by_name: dict[tuple[str, str], list[Document]] = field(init=False, repr=False)
    _by_length: dict[tuple[str, int], list[str]] = field(init=False, repr=False)
    _hidden_words: set[str] = field(init=False, repr=False)
    _pools_used: dict[str | None, tuple[Set[str], bool]] = field(init=False, repr=False)
    _unnamed: set[str] = field(init=False, repr=False)
    _folders: list[tuple[str, str]] = field(init=False, repr=False)
    platform: Document | None = field(init=False)
    settings: Platform | None = field(init=False)

    def of_kind(self, kind: str) -> list[Document]:
        """Documents of a kind, faulty ones too."""
        return self._by_kind.get(kind, [])

    def named(self, kind: str, name: str) -> list[Document]:
        """Documents of a kind and name, in any namespace, faulty ones too."""
        return self._by_name.get((kind, name), [])

    def names_like(self, kind: str, name: str) -> list[str]:
        """Names of a kind's documents that may be meant by this one."""
        lengths = range(len(name) - LENGTHS, len(name) + LENGTHS + 1)
        return likely(name, (item for length in lengths for item in self._by_length.get((kind, length), ())))

    def pools_used(self, namespace: str | None) -> tuple[Set[str], bool]:
        """Pools that the namespace's services use, and whether more may be meant: to be asked when all are judged.

        Who has a service with a fault in its form or its pool may have meant to use another one with it.
        """
        if namespace not in self._pools_used:
            services = [item for item in self.of_kind("ModelService") if item.may_be_in(namespace)]
            pools = {pool for item in services if (pool := self.pool_of(item)) is not None}
            unclear = any(
                item.model is None or item.faulty_at("spec.pool", "accelerator-mismatch") for item in services
            )
            self._pools_used[namespace] = pools, unclear or bool(self.anonymous)
        return self._pools_used[namespace]

    def owner(self, file: str) -> tuple[str, str] | None:
        """The folder that the file is in, of those that belong to a namespace, and that namespace."""
        return next(((folder, name) for folder, name in self._folders if file.startswith(f"{folder}/")), None)

    def tenant(self, namespace: str | None) -> NamespaceSettings | None:
        """What the Platform says of a namespace, if its rules hold."""
        return self.settings.namespace(namespace) if self.ruled and self.settings and namespace else None

    def find(self, kind: str, name: str, *scopes: str | None) -> Document | None:
        """The first document of this kind and name in the first of these scopes that has one (None: platform)."""
        for scope in scopes:
            for document in self.named(kind, name):
                if document.namespace == scope:
                    return document
        return None

    def may_hide(self, kind: str, name: str) -> bool:
        """Whether a document of this name may stand in a file that cannot be read, or in one that was not given.

        So may one that has no kind, or of this kind no name.
        """
        if kind in self._unnamed:
            return True
        if any(document.name in (None, name) for document in self.anonymous):
            return True
        return name in self._hidden_words or (self.part and self.platform is None)

    def hides_platform(self) -> bool:
        """Whether the Platform may stand in a file that cannot be read, or in one that was not given."""
        return (
            self.part
            or bool(self.anonymous)
            or any(re.search(r"kind:\s*[\"']?Platform\b", text) for text in self.unreadable.values())
        )

    def pool_of(self, service: Document) -> str | None:
        """Name of the pool that a service asks for, or gets by default; faulty ones too."""
        spec = service.data.get("spec")
        name = spec.get("pool") if isinstance(spec, dict) else None
        if isinstance(name, str):
            return name
        return self.settings.spec.defaults.pool if self.settings else None

    def pool(self, name: str) -> AcceleratorPool | None:
        """The pool of this name, if it is without fault."""
        found = self.find("AcceleratorPool", name, None)
        return found.model if found and found.sound and isinstance(found.model, AcceleratorPool) else None

    def rollout_defaults(self) -> PolicySpec | None:
        """What the Platform says policies say, unless the Platform is faulty."""
        if self.platform is None or not self.platform.sound or self.settings is None:
            return None
        return self.settings.spec.defaults.rollout

    def policy_document(self, service: ModelService, namespace: str) -> tuple[str | None, Document | None]:
        """The policy that a service follows: its name (None: built in), and the document if there is one."""
        if service.spec.policy is not None:
            return service.spec.policy, self.find("RolloutPolicy", service.spec.policy, namespace, None)
        tenant = self.settings.namespace(namespace) if self.settings else None
        if tenant is not None and tenant.policy is not None:
            return tenant.policy, self.find("RolloutPolicy", tenant.policy, namespace, None)
        name = self.settings.spec.defaults.policy if self.settings else None
        return name, self.find("RolloutPolicy", name, None) if name is not None else None

    def policy_spec(self, document: Document | None) -> PolicySpec | None:
        """The policy's spec; None where its form is wrong."""
        return document.model.spec if document and isinstance(document.model, RolloutPolicy) else None


def folder_of(file: str) -> str:
    """The folder of a file, for people."""
    folder, slash, _ = file.rpartition("/")
    return f"{folder}/" if slash else "the repository's root"


def lookup(kind: str, name: str, known: Iterable[str], path: Path, add: str) -> Problem | None:
    """`unknown-reference` unless the name is known; `add` is the remedy where none is near."""
    names = sorted(set(known))
    if name in names:
        return None
    near = nearest(name, names)
    return Problem("unknown-reference", path, f'no {kind} "{name}"', f'did you mean "{near}"?' if near else add, near)
