"""What registries name now, for services that follow one: asked when the bell rings, believed only then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pointsman.core.revision import ModelVersion
from pointsman.documents.effective import EffectiveService
from pointsman.documents.platform import RegistrySettings
from pointsman.errors import PointsmanError
from pointsman.ports import Registry

__all__ = ["Answers", "ask"]


@dataclass(frozen=True, slots=True)
class Answers:
    """By `<namespace>/<name>`: what the registry named (None: nothing of that name), or why it said nothing."""

    versions: Mapping[str, ModelVersion | None] = field(default_factory=dict)
    silent: Mapping[str, PointsmanError] = field(default_factory=dict)


def ask(services: Mapping[str, EffectiveService], registry: Callable[[RegistrySettings], Registry]) -> Answers:
    """Resolve the model of every service that follows a registry. A registry's silence concerns its services alone."""
    versions: dict[str, ModelVersion | None] = {}
    silent: dict[str, PointsmanError] = {}
    for key, service in services.items():
        model = service.model
        if model.name is None or service.registry is None:
            continue
        try:
            found = registry(service.registry)
            if model.version is not None:
                versions[key] = found.resolve(model.name, version=model.version)
            else:
                versions[key] = found.resolve(model.name, alias=model.alias)
        except PointsmanError as error:
            silent[key] = error
    return Answers(versions, silent)
