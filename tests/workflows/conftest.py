"""Running a workflow's source in virtual time, as `pointsman workflows run` does."""

import json
import textwrap
from dataclasses import dataclass, field
from typing import Any

import pytest

from pointsman_local.workflows.compiler import deploy
from pointsman_local.workflows.errors import Refused
from pointsman_local.workflows.rehearsal import environment, rehearse


@dataclass
class Ended:
    """How it went: `result` of a success, `payload` and `context` of a failure, `refused` of a deployment."""

    result: Any = None
    payload: Any = None
    context: str | None = None
    refused: str | None = None
    logs: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        return list(self.payload["tags"]) if isinstance(self.payload, dict) else []


class Rehearsing:
    def __call__(self, source: str, data: Any = None, env: dict[str, str] | None = None) -> Ended:
        ended = Ended()
        try:
            program = deploy(textwrap.dedent(source))
        except Refused as refused:
            ended.refused = refused.message
            return ended
        variables = {**environment("tested", "lab", "us-central1"), **(env or {})}
        outcome = rehearse(program, data, variables, lambda severity, payload: ended.logs.append((severity, payload)))
        if outcome.error is not None:
            ended.payload, ended.context = outcome.error.value, outcome.error.context
        else:
            assert outcome.result is not None
            ended.result = json.loads(outcome.result)
        return ended

    def value(self, expression: str, **variables: Any) -> Ended:
        """Return one expression's value, with `variables` assigned before."""
        steps: list[Any] = [{"assign_all": {"assign": [{name: value} for name, value in variables.items()]}}]
        steps = steps if variables else []
        return self(json.dumps([*steps, {"answer": {"return": f"${{{expression}}}"}}]))


@pytest.fixture(scope="session")
def run() -> Rehearsing:
    return Rehearsing()
