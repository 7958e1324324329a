"""Rules of the Platform by itself: names and folders once, registries and channels whole, windows that open."""

from collections.abc import Iterable, Iterator

from pointsman.documents.faults import Path, Problem, nearest
from pointsman.documents.platform import FreezeWindow, Platform, RegistrySettings
from pointsman.documents.rules.alerts import check_selector
from pointsman.documents.rules.policies import check_policy, whole
from pointsman.documents.schedule import schedule_fault, time_zone_known

__all__ = ["check_platform"]


def check_platform(platform: Platform) -> Iterator[Problem]:
    """Problems of the Platform, its references aside."""
    spec = platform.spec
    yield from _once((item.name for item in spec.clusters), "clusters")
    yield from _once((item.name for item in spec.namespaces), "namespaces")
    yield from _once((item.name for item in spec.registries), "registries")
    yield from _once((item.name for item in spec.channels), "channels")
    yield from _once((item.name for item in spec.freeze_windows), "freezeWindows")
    owners: dict[str, str] = {}
    for index, namespace in enumerate(spec.namespaces):
        for number, folder in enumerate(namespace.paths):
            plain = folder.rstrip("/")
            if plain in owners:
                yield Problem(
                    "duplicate-document",
                    ("spec", "namespaces", index, "paths", number),
                    f"{plain} is also listed by namespace {owners[plain]}",
                    "list a folder once",
                )
            owners.setdefault(plain, namespace.name)
    for index, registry in enumerate(spec.registries):
        yield from _check_registry(registry, ("spec", "registries", index))
    for index, channel in enumerate(spec.channels):
        path: Path = ("spec", "channels", index)
        if channel.url is not None and channel.type != "Webhook":
            yield Problem("unknown-field", (*path, "url"), f"a {channel.type} URL is a secret", "use secret")
        elif channel.url is not None and channel.secret is not None:
            yield Problem("out-of-bounds", path, "has secret and url", "keep one")
        elif channel.url is None and channel.secret is None:
            yield Problem("missing-field", path, "has neither secret nor url", "name the secret that holds the URL")
    for index, window in enumerate(spec.freeze_windows):
        yield from _check_window(window, ("spec", "freezeWindows", index))
    if spec.defaults.rollout is not None:
        own = spec.defaults.rollout
        yield from check_policy(own, whole(own, None), ("spec", "defaults", "rollout"))


def _once(names: Iterable[str], listed: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            yield Problem(
                "duplicate-document",
                ("spec", listed, index, "name"),
                f"{name} is also {listed}[{seen[name]}]",
                "rename or remove one",
            )
        seen.setdefault(name, index)


def _check_registry(registry: RegistrySettings, path: Path) -> Iterator[Problem]:
    if registry.type == "MLflow" and registry.url is None:
        yield Problem("missing-field", (*path, "url"), "missing, for MLflow", "give the tracking server's URL")
    own = {"MLflow": ("url", "secret"), "VertexAI": ("project", "location"), "Announced": ()}[registry.type]
    for field in ("url", "secret", "project", "location"):
        if field not in own and getattr(registry, field) is not None:
            yield Problem("unknown-field", (*path, field), f"does not go with type {registry.type}", "remove it")


def _check_window(window: FreezeWindow, path: Path) -> Iterator[Problem]:
    def invalid(field: str, problem: str, remedy: str, near: str | None = None) -> Problem:
        return Problem("window-invalid", (*path, field), problem, remedy, near)

    recurring = window.schedule is not None or window.duration is not None
    single = window.start is not None or window.end is not None
    if recurring and single:
        field = "start" if window.start is not None else "end"
        yield invalid(field, "does not go with schedule and duration", "keep one of the two forms")
    elif not recurring and not single:
        yield Problem("window-invalid", path, "never opens", "give schedule and duration, or start and end")
    elif recurring and window.schedule is None:
        yield invalid("schedule", "missing", "say when the window opens, as 0 16 * * FRI")
    elif recurring and window.duration is None:
        yield invalid("duration", "missing", "say how long the window stays open, as 64h")
    elif single and window.start is None:
        yield invalid("start", "missing", "say when the window opens")
    elif window.start is not None and window.end is not None and window.end <= window.start:
        yield invalid("end", "is not after start", "let it end later")
    if window.schedule is not None and (why := schedule_fault(window.schedule)):
        yield invalid("schedule", why, "write it as 0 16 * * FRI")
    if not time_zone_known(window.time_zone):
        from zoneinfo import available_timezones

        near = nearest(window.time_zone, available_timezones())
        yield invalid(
            "timeZone", f'unknown "{window.time_zone}"', f"use an IANA name such as {near or 'Europe/Berlin'}", near
        )
    if window.selector is not None:
        yield from check_selector(window.selector, (*path, "selector"))
