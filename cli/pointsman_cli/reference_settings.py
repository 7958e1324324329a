"""`docs/reference/settings.md`: every variable of the environment, asked of the code that reads it.

`adapters.endpoints.read` is called with environments that differ in one variable: what it asks for are the variables,
and the setting that changes is the one a variable sets.
"""

import ast
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pointsman.adapters import endpoints
from pointsman.adapters.endpoints import Settings, read
from pointsman.errors import Invalid

__all__ = ["OTHERS", "settings", "variables"]

ROOT = Path(__file__).resolve().parents[2]
LEAST = {"GOOGLE_CLOUD_PROJECT": "project"}
PROBES = ("probe", "full", "google", "projects/1", "127.0.0.1:1")
"""A value for each variable: any, one of those known, a fleet, or an address on the loopback interface."""

OTHERS: Mapping[str, Mapping[str, str]] = {
    "Google's clients and the host of a function": {
        "PUBSUB_EMULATOR_HOST": "`host:port` of a Pub/Sub that is not Google's. The Pub/Sub client reads it.",
        "FIRESTORE_EMULATOR_HOST": "The same for Firestore.",
        "GOOGLE_APPLICATION_CREDENTIALS": "Credentials of a machine that is not Google's (\"Application Default "
        'Credentials"). Not needed on Cloud Run, nor on a laptop.',
        "FUNCTION_TARGET": "The entry point of `functions/main.py` that this process serves (functions-framework).",
        "PORT": "Where it listens.",
        "K_SERVICE": "Name of the service, set by Cloud Run.",
        "K_REVISION": "Its revision, set by Cloud Run.",
    },
    "Workflows": {
        "GOOGLE_CLOUD_PROJECT_ID": "Built in: the project. The workflow files make names of it.",
        "GOOGLE_CLOUD_LOCATION": "Built in: the region.",
        "GOOGLE_CLOUD_WORKFLOW_ID": "Built in: the workflow's name.",
        "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": "Built in: the execution's id.",
    },
    "A model's containers": {
        "MODEL_URI": "Set by pointsman: where the model lies.",
        "MODEL_NAME": "Set by pointsman: the registry's name, or the service's.",
        "MODEL_VERSION": "Set by pointsman: the version, or the revision's 8 hex digits.",
    },
    "The command": {
        "POINTSMAN_COMMAND_URL": "URL of the function `command`, to which `pointsman abort` and the like are sent.",
        "POINTSMAN_IDENTITY_TOKEN": "Identity token of the person who asks. Default: that of the gcloud login.",
        "POINTSMAN_GOOGLE_ENDPOINT": "`host:port` on the loopback interface where `pointsman bootstrap doctor` asks in "
        "place of Google, at `/HOST/PATH`.",
        "NO_COLOR": "Set to anything: output without colour.",
        "XDG_DATA_HOME": "Where data are kept. Default: `~/.local/share`; the local cloud's are in `pointsman` there.",
    },
    "The local cloud": {
        "POINTSMAN_ENVOY": "Path of the Envoy to run. Default: that of the installed wheel, or `envoy` on the PATH.",
        "POINTSMAN_WEBHOOK_URL": "Printed for people: where webhooks are sent to.",
        "POINTSMAN_GIT_URL": "Printed for people: clone URL of the local config repository.",
        "POINTSMAN_GATEWAY_URL": "Printed for people: Envoy's address.",
        "POINTSMAN_MLFLOW_URL": "Printed for people: the local model registry.",
        "POINTSMAN_PROMETHEUS_URL": "Printed for people: Prometheus' API of the local Monitoring, for Grafana.",
        "CLOUDSDK_CONFIG": "A configuration of gcloud's own, so that yours is left alone.",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "gcloud sends no credentials.",
        "CLOUDSDK_CORE_PROJECT": "gcloud's project.",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "gcloud asks nothing.",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "gcloud reports nothing.",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "gcloud looks for no update.",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": "Where `gcloud pubsub` finds the local Pub/Sub.",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": "Where `gcloud container` finds the local GKE.",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWS": "Where `gcloud workflows` finds the local Workflows.",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWEXECUTIONS": "The same for executions.",
    },
}
"""What is read elsewhere than in `adapters.endpoints`, by who reads it."""

_HEAD = """\
# Settings

Made by `python -m pointsman_cli.generate`: do not edit.

A deployment's settings are variables of the environment, read once by `functions/pointsman/adapters/endpoints.py`.
What is missing is said at once, all together. What users decide is in [documents](documents.md), not here.

On a laptop `pointsman local env` prints all of them. An endpoint is taken on the loopback interface only.

## Functions and command

| variable | default | needed by | meaning |
|---|---|---|---|
"""


class _Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: list[str] = []

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.append(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.names.append(key)
        return super().__getitem__(key)


def settings() -> str:
    """The page. Raises LookupError for a variable that sets nothing, or a setting without a docstring."""
    needed = _needed()
    meanings = dict(_docstrings())
    rows = []
    for variable in variables():
        field = _field(variable)
        default = _default(field) if variable not in LEAST else ""
        by = "all" if variable in LEAST else ", ".join(f"`{name}`" for name in needed.get(variable, ()))
        rows.append(f"| `{variable}` | {default} | {by} | {_meaning(variable, field, meanings[field])} |")
    parts = [_HEAD + "\n".join(rows)]
    for title, others in OTHERS.items():
        lines = [f"| `{variable}` | {meaning} |" for variable, meaning in others.items()]
        parts.append("\n".join([f"\n## {title}\n", "| variable | meaning |", "|---|---|", *lines]))
    return "\n".join([*parts, ""])


def variables() -> Sequence[str]:
    """The variables that `read` asks for, in its order."""
    environ = _Asked(LEAST)
    read(environ)
    return list(dict.fromkeys(environ.names))


def _field(variable: str) -> str:
    """The setting that a variable sets."""
    before = read(LEAST)
    for probe in PROBES:
        try:
            after = read({**LEAST, variable: probe})
        except Invalid:
            continue
        names = [field.name for field in dataclasses.fields(Settings)]
        changed = [name for name in names if getattr(before, name) != getattr(after, name)]
        if changed:
            return changed[0]
    raise LookupError(f"{variable} sets nothing")


def _default(field: str) -> str:
    value = getattr(read(LEAST), field)
    if not isinstance(value, str):
        return "Google's own" if field == "endpoints" else ""
    return f"`{value}`" if value else ""


def _meaning(variable: str, field: str, text: str) -> str:
    if field == "endpoints":
        service = variable.removeprefix("POINTSMAN_").removesuffix("_ENDPOINT").lower()
        return f"gRPC `host:port` of `{service}`, where it is not Google's."
    if field == "step_urls":
        return f"URL of the function `{variable.removesuffix('_URL').lower()}`."
    return text


def _docstrings() -> Iterator[tuple[str, str]]:
    """Field of `Settings` → the text below it."""
    tree = ast.parse(Path(endpoints.__file__).read_text())
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(text.value.value).split())


def _needed() -> Mapping[str, Sequence[str]]:
    """Variable → the entry points that do not start without it, as `functions/main.py` asks for them."""
    found: dict[str, list[str]] = {}
    for function in ast.parse((ROOT / "functions" / "main.py").read_text()).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "settings":
                for name in call.args:
                    if isinstance(name, ast.Constant):
                        found.setdefault(str(name.value), []).append(function.name)
    return found
