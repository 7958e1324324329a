"""An execution as JSON text and back: since its state is plain data, that is all a restart needs.

Bytes, functions and unset variables are marked `{"$": kind, "v": …}`; a map that has a key `$` is written as pairs.
The text names the layout of the code it belongs to, so that code compiled otherwise never continues it.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from pointsman_local.workflows.errors import Place, Raised, Trace
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.state import UNSET, Callback, Fork, Frame, Program, Thread
from pointsman_local.workflows.values import FunctionRef, Value

__all__ = ["OtherCode", "error_from", "error_to", "restore", "save"]


class OtherCode(Exception):  # what the snapshot belongs to
    """The snapshot was made by code of another layout."""


def save(run: Run) -> str:
    document = {
        "layout": _layout(run.program),
        "steps": run.steps,
        "extra_assignments": run.extra_assignments,
        "thread_ids": run.thread_ids,
        "ready": [*run.ready],
        "callbacks": {number: _shallow(callback) for number, callback in run.callbacks.items()},
        "threads": [_thread(thread) for thread in run.threads.values()],
    }
    return json.dumps(_marked(document), ensure_ascii=False, separators=(",", ":"))


def restore(
    text: str,
    program: Program,
    *,
    name: str,
    env: Mapping[str, str],
    clock: Callable[[], float],
    log: Callable[[str, Value], None],
    callback_origin: str,
) -> Run:
    """Raises OtherCode."""
    document: dict[str, Any] = _unmarked(json.loads(text))
    if document["layout"] != _layout(program):
        raise OtherCode("the workflow was compiled by another version of the executor")
    run = Run(program, name=name, env=env, clock=clock, log=log, callback_origin=callback_origin)
    run.steps, run.extra_assignments = document["steps"], document["extra_assignments"]
    run.thread_ids = document["thread_ids"]
    run.ready.extend(document["ready"])
    run.callbacks = {number: Callback(**callback) for number, callback in document["callbacks"].items()}
    for saved in document["threads"]:  # parents come before their branches
        run.threads[saved["id"]] = _restored(saved, run)
    return run


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "id": thread.id,
        "parent": thread.parent,
        "branch": thread.branch,
        "depth": thread.depth,
        "calls": thread.calls,
        "ticket": thread.ticket,
        "wait": thread.wait,
        "fork": None if thread.fork is None else _shallow(thread.fork),
        "error": None if thread.error is None else error_to(thread.error),
        "frames": [[frame.unit.name, frame.pc, frame.vars, frame.value] for frame in thread.frames],
    }


def _shallow(part: Fork | Callback) -> dict[str, Any]:
    """Its fields as they are: `asdict` would take functions among the values apart."""
    return {each.name: getattr(part, each.name) for each in fields(part)}


def _restored(saved: dict[str, Any], run: Run) -> Thread:
    thread = Thread(saved["id"], saved["parent"], saved["branch"], saved["depth"], saved["calls"])
    thread.ticket, thread.wait = saved["ticket"], saved["wait"]
    thread.fork = None if saved["fork"] is None else Fork(**saved["fork"])
    thread.error = None if saved["error"] is None else error_from(saved["error"])
    for number, (unit, pc, variables, value) in enumerate(saved["frames"]):
        forked = number == 0 and thread.parent is not None
        frame = Frame(
            run, thread, run.program.units[unit], run.threads[thread.parent or 0].frames[-1] if forked else None
        )
        frame.pc, frame.vars, frame.value = pc, variables, value
        thread.frames.append(frame)
    return thread


def error_to(error: Raised) -> dict[str, Any]:
    """An error as plain data."""
    trace = [[at.step, at.routine, at.place.line, at.place.column, at.place.length] for at in error.trace]
    return {"value": error.value, "text": error.text, "uncatchable": error.uncatchable, "trace": trace}


def error_from(saved: Mapping[str, Any]) -> Raised:
    error = Raised(saved["value"], message=saved["text"], uncatchable=saved["uncatchable"])
    error.trace = [Trace(step, routine, Place(*place)) for step, routine, *place in saved["trace"]]
    return error


@lru_cache(maxsize=64)
def _layout(program: Program) -> str:
    digest = hashlib.sha256()
    for name, unit in program.units.items():
        digest.update(f"{name} {unit.slots} {len(unit.ops)} {unit.regions}\n".encode())
    return digest.hexdigest()[:16]


def _marked(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        if "$" in value:
            return {"$": "map", "v": [[key, _marked(item)] for key, item in value.items()]}
        return {key: _marked(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_marked(item) for item in value]
    if kind is bytes:
        return {"$": "bytes", "v": base64.b64encode(value).decode()}
    if kind is FunctionRef:
        return {"$": "function", "v": value.name}
    if value is UNSET:
        return {"$": "unset"}
    return value


def _unmarked(value: Any) -> Any:
    if type(value) is list:
        return [_unmarked(item) for item in value]
    if type(value) is not dict:
        return value
    match value.get("$"):
        case "map":
            return {key: _unmarked(item) for key, item in value["v"]}
        case "bytes":
            return base64.b64decode(value["v"])
        case "function":
            return FunctionRef(value["v"])
        case "unset":
            return UNSET
        case _:
            return {key: _unmarked(item) for key, item in value.items()}
