"""Executions as the API shows them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pointsman_local.workflows.errors import Raised
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.service.wire import execution_class, timestamp
from pointsman_local.workflows.values import Value

__all__ = ["BILLED_STEPS", "Execution", "as_basic", "as_map", "created", "ended", "payload_text", "with_progress"]

Execution: Final = execution_class("Execution")
BILLED_STEPS: Final = "billed_steps"
"""Label that counts the steps an execution was billed for; ours, not Google's."""
BASIC: Final = ("name", "start_time", "end_time", "duration", "state", "workflow_revision_id")


def created(name: str, revision: str, argument: str, labels: Mapping[str, str], call_log_level: int, now: float) -> Any:
    execution = Execution(
        name=name,
        argument=argument,
        workflow_revision_id=revision,
        call_log_level=call_log_level,
        state="ACTIVE",
        labels=dict(labels),
    )
    execution.start_time.CopyFrom(timestamp(now))
    return execution


def ended(execution: Any, state: str, now: float, *, result: str | None, error: Raised | None, steps: int) -> Any:
    """The execution as it stays."""
    execution.state = Execution.State.Value(state)
    execution.end_time.CopyFrom(timestamp(now))
    execution.duration.FromNanoseconds(execution.end_time.ToNanoseconds() - execution.start_time.ToNanoseconds())
    execution.labels[BILLED_STEPS] = str(steps)
    if result is not None:
        execution.result = result
    if error is not None:
        execution.error.payload = payload_text(error)
        execution.error.context = error.context
        for at in error.trace:
            element = execution.error.stack_trace.elements.add(step=at.step, routine=at.routine)
            element.position.line = at.place.line
            element.position.column = at.place.column
            element.position.length = at.place.length
        for at in error.trace[::-1]:
            execution.status.current_steps.add(routine=at.routine, step=at.step)
    return execution


def with_progress(execution: Any, run: Run) -> Any:
    """What changes while it runs: the steps it is in, and how many were billed."""
    execution.labels[BILLED_STEPS] = str(run.billed_steps)
    main = next((thread for thread in run.threads.values() if thread.parent is None), None)
    for frame in main.frames if main is not None else ():
        # A frame that waits stands behind the operation that began the wait.
        step, _ = frame.unit.at[max(frame.pc - 1, 0)]
        execution.status.current_steps.add(routine=frame.unit.routine, step=step)
    return execution


def as_basic(execution: Any) -> Any:
    """The view that lists show."""
    basic = Execution()
    for field, value in execution.ListFields():
        if field.name not in BASIC:
            continue
        if field.message_type is not None:
            getattr(basic, field.name).CopyFrom(value)
        else:
            setattr(basic, field.name, value)
    return basic


def as_map(execution: Any) -> Value:
    """What a connector gives to a workflow: the REST form."""
    from google.protobuf import json_format

    fields: dict[str, Any] = json_format.MessageToDict(execution)
    return fields


def payload_text(error: Raised) -> str:
    return json.dumps(error.value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr)
