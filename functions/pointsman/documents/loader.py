"""A whole repository at a commit: every fault of every document at once, or a configuration that holds."""

from collections.abc import Iterable, Iterator, Mapping

from pointsman.documents.alert import AlertRule
from pointsman.documents.compose import DOCUMENTS_MAX, Unreadable
from pointsman.documents.config import Config, Loaded, Written
from pointsman.documents.faults import Fault, Problem
from pointsman.documents.forms import AnyDocument
from pointsman.documents.platform import Platform
from pointsman.documents.policy import PolicySpec, RolloutPolicy
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.read import Document, looks_like_ours, read
from pointsman.documents.rules.alerts import check_alert_rule
from pointsman.documents.rules.capacity import cap_below_minimum
from pointsman.documents.rules.names import (
    assign_namespaces,
    check_branch,
    check_immutable,
    check_twice,
    platform_missing,
)
from pointsman.documents.rules.platforms import check_platform
from pointsman.documents.rules.policies import check_policy, whole
from pointsman.documents.rules.pools import check_pool
from pointsman.documents.rules.references import check_references
from pointsman.documents.rules.repository import Repository
from pointsman.documents.rules.services import check_labels, check_service
from pointsman.documents.rules.serving import check_routes, check_serving, check_shadowing
from pointsman.documents.service import ModelService

__all__ = ["load"]

# What says that a document stands in the wrong place: nothing else about its surroundings is worth saying.
_MISPLACED = {"duplicate-document", "foreign-namespace", "namespace-unclear", "platform-scope"}


def load(
    files: Mapping[str, bytes], *, branch: str | None = None, before: Config | None = None, part: bool = False
) -> Loaded:
    """The configuration of a repository, or its faults, sorted by file, line and column.

    `files` is path (with `/`) → content; what is no YAML file, or does not contain `pointsman.dev/`, is not looked
    at. `branch` is the branch that this is the head of, `before` what was applied last: without them the two rules
    that need them are not asked. `part` says that the files are not the whole repository, so that nothing is said
    of what may stand elsewhere. Never raises, whatever the bytes; the order of `files` decides nothing.
    """
    documents: list[Document] = []
    faults: list[Fault] = []
    unreadable: dict[str, str] = {}
    for file in sorted(files):
        data = files[file]
        if not file.endswith((".yaml", ".yml")) or not looks_like_ours(data):
            continue
        try:
            for document in read(file, data):
                documents.append(document)
                if len(documents) > DOCUMENTS_MAX:
                    return _too_many(document, len(documents))
        except Unreadable as error:
            unreadable[file] = data.decode("utf-8", "replace")
            documents = [item for item in documents if item.file != file]
            line, column = error.place
            faults.append(Fault(file, line, column, error.code, "", str(error), error.remedy))
    repository = Repository(documents, unreadable, part)
    _judge(repository, branch, before)
    missing = platform_missing(repository)
    faults += [fault for document in documents for fault in document.faults]
    faults += [missing] if missing else []
    faults.sort(key=lambda fault: fault.order)
    config = None if faults else _config(repository)
    return Loaded(config, tuple(faults), len(documents))


def _too_many(document: Document, count: int) -> Loaded:
    line, column = document.composed.place(())
    what = f"more than {DOCUMENTS_MAX:,} documents in the repository"
    fault = Fault(document.file, line, column, "too-large", "", what, "make a second platform with its own repository")
    return Loaded(None, (fault,), count)


def _judge(repository: Repository, branch: str | None, before: Config | None) -> None:
    """Everything beyond form. A document of wrong form is spared the rules about others, not those about itself."""
    platform = repository.platform
    if platform is not None:
        _report(platform, _own_problems(platform, None))
    defaults = repository.rollout_defaults()
    for document in repository.documents:
        if document is not platform:
            _report(document, _own_problems(document, defaults))
    repository.ruled = platform is not None and platform.sound
    if platform is not None and platform.model is not None:
        _report(platform, check_references(repository, platform))
        repository.ruled = not any(_of_namespaces(fault) for fault in platform.faults)
    assign_namespaces(repository)
    check_twice(repository)
    if branch is not None:
        check_branch(repository, branch)
    if before is not None:
        check_immutable(repository, before)
    check_shadowing(repository)
    sound = {id(document) for document in repository.documents if document.sound}
    # Alert rules last: they look at what services were told.
    for document in sorted(repository.documents, key=lambda item: item.kind == "AlertRule"):
        misplaced = any(fault.code in _MISPLACED for fault in document.faults)
        if document is platform or document.model is None or misplaced or not _placed(repository, document):
            continue
        _report(document, check_references(repository, document))
        if isinstance(document.model, ModelService):
            _report(document, check_serving(repository, document, document.model))
    check_routes(repository)
    if platform is not None and id(platform) in sound and isinstance(platform.model, Platform):
        problem = cap_below_minimum(repository, platform.model)
        _report(platform, [problem] if problem else [])


def _of_namespaces(fault: Fault) -> bool:
    return fault.code != "unknown-reference" or fault.path.startswith(("spec.namespaces", "spec.clusters"))


def _placed(repository: Repository, document: Document) -> bool:
    """Whether the document's namespace is one that the Platform lists, as far as that can be told."""
    if document.namespace is None or not repository.ruled:
        return True
    return repository.tenant(document.namespace) is not None


def _own_problems(document: Document, defaults: PolicySpec | None) -> Iterator[Problem]:
    """Problems of one document by itself, leaving out what comes only from a fault of its form."""
    yield from check_labels(document.metadata, ("metadata",))
    model = document.model or document.salvage
    if model is None:
        return
    for problem in _check(model, defaults):
        if document.broken is not None and (document.hides(problem.path) or problem.code == "deadline-too-short"):
            continue
        yield problem


def _check(model: AnyDocument, defaults: PolicySpec | None) -> Iterator[Problem]:
    match model:
        case Platform():
            yield from check_platform(model)
        case AcceleratorPool():
            yield from check_pool(model)
        case RolloutPolicy():
            yield from check_policy(model.spec, whole(model.spec, defaults), ("spec",))
        case ModelService():
            yield from check_service(model)
        case AlertRule():
            yield from check_alert_rule(model)


def _report(document: Document, problems: Iterable[Problem]) -> None:
    for problem in list(problems):
        document.report(problem)


def _config(repository: Repository) -> Config | None:
    platform: Platform | None = None
    pools: dict[str, AcceleratorPool] = {}
    policies: dict[tuple[str | None, str], RolloutPolicy] = {}
    services: dict[str, ModelService] = {}
    rules: dict[str, AlertRule] = {}
    places: dict[str, Written] = {}
    for document in repository.documents:
        model, namespace = document.model, document.namespace
        assert model is not None
        name = model.metadata.name
        if namespace is not None and model.metadata.namespace is None:
            metadata = model.metadata.model_copy(update={"namespace": namespace})
            model = model.model_copy(update={"metadata": metadata})
        match model:
            case Platform():
                platform = model
            case AcceleratorPool():
                pools[name] = model
            case RolloutPolicy():
                policies[(namespace, name)] = model
            case ModelService():
                services[f"{namespace}/{name}"] = model
            case AlertRule():
                rules[f"{namespace}/{name}"] = model
        places[f"{document.kind}/{namespace or ''}/{name}"] = Written(document.file, document.composed.places)
    return Config(platform, pools, policies, services, rules, places) if platform is not None else None
