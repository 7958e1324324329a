"""Rules of a ModelService by itself: one source of its model, a port to send traffic to, pinned images."""

from collections.abc import Iterator, Mapping
from typing import cast

from pointsman.documents.faults import Path, Problem
from pointsman.documents.pod_template import containers
from pointsman.documents.rules.policies import check_cohort
from pointsman.documents.service import Model, ModelService

__all__ = ["RESERVED", "TEMPLATE", "check_labels", "check_service", "serving_port"]

RESERVED = "pointsman.dev/"
TEMPLATE: Path = ("spec", "template")


def check_service(service: ModelService) -> Iterator[Problem]:
    """Problems of one service, its references aside."""
    spec = service.spec
    yield from check_model(spec.model, ("spec", "model"))
    if spec.experiment is not None:
        path: Path = ("spec", "experiment")
        yield from check_model(spec.experiment.model, (*path, "model"))
        if spec.experiment.start is not None and spec.experiment.end <= spec.experiment.start:
            yield Problem("out-of-bounds", (*path, "end"), "is not after start", "let it end later")
        if spec.experiment.cohort is not None:
            yield from check_cohort(spec.experiment.cohort, (*path, "cohort"))
    yield from _check_ports(spec.template)
    yield from _check_images(spec.template)
    metadata = _map(spec.template.get("metadata"))
    yield from check_labels(metadata, (*TEMPLATE, "metadata"))
    pod = _map(spec.template.get("spec"))
    if any(str(key).startswith(RESERVED) for key in _map(pod.get("nodeSelector"))):
        yield _reserved((*TEMPLATE, "spec", "nodeSelector"), "name the pool in spec.pool")
    if pod.get("restartPolicy") not in (None, "Always"):
        yield Problem(
            "out-of-bounds",
            (*TEMPLATE, "spec", "restartPolicy"),
            f"{pod['restartPolicy']!r}: servers are always restarted",
            "remove it",
        )


def check_labels(metadata: Mapping[str, object], path: Path) -> Iterator[Problem]:
    """Labels and annotations under our own prefix are ours."""
    for name in ("labels", "annotations"):
        if any(str(key).startswith(RESERVED) for key in _map(metadata.get(name))):
            yield _reserved((*path, name), "use your own prefix")


def check_model(model: Model, path: Path) -> Iterator[Problem]:
    """Exactly one of `uri` and `name`; with `name`, exactly one of `alias` and `version`."""
    if model.uri is not None:
        also = next((field for field in ("name", "alias", "registry") if getattr(model, field) is not None), None)
        if also is not None:
            yield Problem("model-source", path, f"has uri and {also}", "keep one")
    elif model.name is None:
        yield Problem("model-source", path, "has neither uri nor name", "give one of them")
    elif model.alias is not None and model.version is not None:
        yield Problem("model-source", path, "has alias and version", "keep one")
    elif model.alias is None and model.version is None:
        yield Problem("model-source", path, "has neither alias nor version", "give one of them")


def serving_port(template: Mapping[str, object]) -> Mapping[str, object] | None:
    """The port that traffic goes to: the first container's `http` or `h2c`, or its only one. None: unclear."""
    first = next(containers(template, ()), None)
    listed = first[0].get("ports") if first else None
    ports = [port for port in listed if isinstance(port, dict)] if isinstance(listed, list) else []
    for name in ("http", "h2c"):
        for port in ports:
            if port.get("name") == name:
                return port
    return ports[0] if len(ports) == 1 else None


def _check_ports(template: Mapping[str, object]) -> Iterator[Problem]:
    first = next(containers(template, TEMPLATE), None)
    if first is None or first[1][-2:] != ("containers", 0) or serving_port(template) is not None:
        return
    container, path = first
    listed = container.get("ports")
    count = len(listed) if isinstance(listed, list) else 0
    what = f"{count} ports, none named http or h2c" if count else "none: traffic has nowhere to go"
    remedy = "name the serving one http" if count else "list the port that the server listens on"
    yield Problem("port-unclear", (*path, "ports"), what, remedy)


def _check_images(template: Mapping[str, object]) -> Iterator[Problem]:
    for container, path in containers(template, TEMPLATE):
        image = container.get("image")
        if not isinstance(image, str) or "@" in image:
            continue
        _, _, tag = image.rpartition("/")[2].partition(":")
        if tag in ("", "latest"):
            yield Problem(
                "image-unpinned",
                (*path, "image"),
                f'tag "{tag}" can change under a revision' if tag else "no tag: that is latest, and can change",
                "use a digest or another tag",
            )


def _reserved(path: Path, remedy: str) -> Problem:
    return Problem("reserved-label", path, f"{RESERVED} is reserved", remedy)


def _map(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
