"""The machine that runs compiled workflows, and everything it knows, as plain data.

A workflow's code is a list of operations for each routine and each parallel branch. An operation is a closure that
takes its frame and gives the index of the next one; a negative answer hands control back (SWITCH, BLOCK, DONE,
PAUSE). Threads (the main one and one a parallel branch) are stacks of frames and take turns only where one waits
or pauses at a backward jump, so one assignment is atomic. Since loops, retries and calls keep their state in slots
of their frame, threads and callbacks *are* the snapshot (`snapshots`): nothing is replayed after a restart.

Waiting is a plain map with `kind`: `sleep` and `callback` (ended by `expire`, `deliver`), `http` and `connector`
(ended by whoever performs them, through `resume` or `fail`), `join` (ended by the last branch).
"""

import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pointsman_local.workflows.errors import (
    Raised,
    Trace,
    resource_error,
    timeout_error,
    type_error,
    value_error,
)
from pointsman_local.workflows.state import Callback, Fork, Frame, Outcome, Program, Thread, Unit, Wait
from pointsman_local.workflows.stdlib.catalogue import CALL_METHODS
from pointsman_local.workflows.values import Value, encode_json, size

__all__ = ["BLOCK", "CONCURRENT_MAX", "DONE", "PAUSE", "SWITCH", "Run", "too_deep"]

SWITCH: Final = -1
BLOCK: Final = -2
DONE: Final = -3
PAUSE: Final = -4

STEPS_MAX: Final = 100_000  # "Quotas and limits": steps an execution
CALLS_MAX: Final = 20  # call stack depth
PARALLEL_DEPTH_MAX: Final = 2
CONCURRENT_MAX: Final = 20  # branches and iterations at once
BRANCH_ERRORS_MAX: Final = 100
MEMORY_BYTES_MAX: Final = 512 * 1024


def too_deep() -> Raised:
    """Of lists or maps within one another beyond what this machine follows."""
    return resource_error("MemoryLimitExceededError", "a value is nested too deep")


class Run:
    """One execution. Times are Unix seconds of `clock`; `log` takes entries of sys.log: severity and payload."""

    def __init__(
        self,
        program: Program,
        *,
        name: str,
        env: Mapping[str, str],
        clock: Callable[[], float],
        log: Callable[[str, Value], None],
        callback_origin: str = "https://workflowexecutions.googleapis.com",
    ) -> None:
        self.program = program
        self.name = name
        self.env = env
        self.clock = clock
        self.log = log
        self.callback_origin = callback_origin
        self.steps = 0
        self.extra_assignments = 0
        self.allocated = 0
        self.pause_at = STEPS_MAX
        self.threads: dict[int, Thread] = {}
        self.thread_ids = 0
        self.ready: deque[int] = deque()
        self.callbacks: dict[str, Callback] = {}
        self.outcome: Outcome | None = None

    @property
    def billed_steps(self) -> int:
        """Steps, and every assignment of a step after its first."""
        return self.steps + self.extra_assignments

    def start(self, argument: Value) -> None:
        unit = self.program.units["main"]
        thread = self._thread(None, "", 0, 0)
        frame = Frame(self, thread, unit)
        if self.program.takes_argument:
            frame.vars[0] = argument
            self.charge(argument)
        thread.frames.append(frame)
        self.ready.append(thread.id)

    def advance(self, steps: int = STEPS_MAX) -> bool:
        """Run until every thread waits or about `steps` more steps were made. Whether there is more to do at once."""
        self.pause_at = min(self.steps + steps, STEPS_MAX)
        while self.ready and self.outcome is None:
            thread = self.threads.get(self.ready.popleft())
            if thread is not None and self._go(thread) == PAUSE:
                self.ready.append(thread.id)
                if self.steps >= self.pause_at:
                    return True
        return False

    def _go(self, thread: Thread) -> int:
        frame = thread.frames[-1]
        if thread.error is not None:
            error, thread.error = thread.error, None
            if not self._unwind(thread, frame.pc, error):
                return DONE
        while True:
            frame = thread.frames[-1]
            ops = frame.unit.ops
            pc = frame.pc
            try:
                while pc >= 0:
                    pc = ops[pc](frame)
            except Raised as error:
                if not self._unwind(thread, pc, error):
                    return DONE
                continue
            except RecursionError:
                if not self._unwind(thread, pc, too_deep()):
                    return DONE
                continue
            if pc == DONE:
                self._finished(thread)
            if pc != SWITCH:
                return pc

    def _unwind(self, thread: Thread, pc: int, error: Raised) -> bool:
        """Find who catches it. False when nobody does: the thread has ended."""
        while thread.frames:
            frame = thread.frames[-1]
            if error.passing:
                error.passing = False  # rethrown here: this frame is in its trace already
            else:
                step, place = frame.unit.at[pc]
                error.trace.append(Trace(step, frame.unit.routine, error.place or place))
            error.place = None
            if not error.uncatchable:
                for first, last, handler in frame.unit.regions:
                    if first <= pc < last:
                        frame.value = error
                        frame.pc = handler
                        return True
            thread.frames.pop()
            if thread.frames:
                pc = thread.frames[-1].pc
        self._failed(thread, error)
        return False

    def pause(self, frame: Frame, pc: int) -> int:
        """Of a backward jump once `pause_at` is reached. Raises ResourceLimitError at the limit of steps."""
        self.keep_limit()
        if self.steps < self.pause_at:
            return pc
        frame.pc = pc
        return PAUSE

    def keep_limit(self) -> None:
        """Raises ResourceLimitError beyond the limit of steps.

        Asked by jumps back, calls, whatever acts outside, and at the end: all that could make it more, or be seen.
        """
        if self.steps > STEPS_MAX:
            raise resource_error(None, f"the limit of {STEPS_MAX} executed steps was reached")

    # Memory: what is assigned is added up, and everything is counted afresh when the sum passes the limit.

    def charge(self, value: Value) -> None:
        """Note memory taken. Raises ResourceLimitError when the variables together take too much."""
        self.allocated += size(value)
        if self.allocated > MEMORY_BYTES_MAX:
            self.measure()

    def measure(self) -> None:
        frames = [frame for thread in self.threads.values() for frame in thread.frames]
        self.allocated = sum(size(value, 1 << 30) for frame in frames for value in frame.vars)
        if self.allocated > MEMORY_BYTES_MAX:
            raise resource_error("MemoryLimitExceededError", "memory limit (512 KB of variables) exceeded")

    # Calls and threads

    def call(self, frame: Frame, unit: Unit, values: list[Any]) -> int:
        self.keep_limit()
        thread = frame.thread
        if thread.calls + len(thread.frames) > CALLS_MAX:
            raise Raised(
                {
                    "message": f"RecursionError: maximum call stack depth ({CALLS_MAX}) exceeded",
                    "tags": ["RecursionError", "RuntimeError"],
                }
            )
        callee = Frame(self, thread, unit)
        callee.vars[: len(values)] = values
        for value in values:
            if type(value) not in (int, float, bool):
                self.charge(value)
        thread.frames.append(callee)
        return SWITCH

    def block(self, thread: Thread, wait: Wait) -> int:
        thread.wait = wait
        thread.ticket += 1
        return BLOCK

    def fork(self, thread: Thread, fork: Fork) -> int:
        if thread.depth >= PARALLEL_DEPTH_MAX:
            raise Raised(
                {
                    "message": f"ParallelNestingError: parallel steps are nested deeper than {PARALLEL_DEPTH_MAX}",
                    "tags": ["ParallelNestingError", "RuntimeError"],
                }
            )
        thread.fork = fork
        self.block(thread, {"kind": "join"})
        self._fill()
        return BLOCK

    def _thread(self, parent: int | None, branch: str, depth: int, calls: int) -> Thread:
        self.thread_ids += 1
        thread = self.threads[self.thread_ids] = Thread(self.thread_ids, parent, branch, depth, calls)
        return thread

    def _fill(self) -> None:
        """Start branches and iterations where there is room. One that waits for its own branches takes none."""
        active = sum(thread.parent is not None and thread.fork is None for thread in self.threads.values())
        for parent in [*self.threads.values()]:
            fork = parent.fork
            while (
                fork is not None and fork.started < fork.count and fork.running < fork.limit and active < CONCURRENT_MAX
            ):
                self._start_branch(parent, fork)
                active += 1
            if fork is not None and fork.running == 0 and fork.started == fork.count:
                self.resume(parent.id, parent.ticket, None)

    def _start_branch(self, parent: Thread, fork: Fork) -> None:
        number = fork.started
        unit = self.program.units[fork.units[number if fork.items is None and fork.first is None else 0]]
        of_loop = fork.items is not None or fork.first is not None
        branch = str(number) if of_loop else unit.name.rpartition("/")[2]
        thread = self._thread(parent.id, branch, parent.depth + 1, parent.calls + len(parent.frames) - 1)
        frame = Frame(self, thread, unit, parent.frames[-1])
        if of_loop:
            values = (fork.items[number] if fork.items is not None else (fork.first or 0) + number, number)
            for slot, value in zip(fork.slots, values, strict=False):
                frame.vars[slot] = value
        thread.frames.append(frame)
        fork.started += 1
        fork.running += 1
        self.ready.append(thread.id)

    def _finished(self, thread: Thread) -> None:
        if thread.parent is not None:
            self._branch_ended(thread)
            return
        try:
            self.keep_limit()
            text = encode_json(thread.result)
            if len(text) > MEMORY_BYTES_MAX:
                raise resource_error("ResultSizeLimitExceededError", "the result is larger than 512 KB")
        except Raised as error:
            self.outcome = Outcome(None, error)
        else:
            self.outcome = Outcome(text, None)

    def _failed(self, thread: Thread, error: Raised) -> None:
        if thread.parent is None or error.uncatchable:
            self.outcome = Outcome(None, error)
            return
        fork = self.threads[thread.parent].fork
        assert fork is not None
        fork.failed += 1
        tags = error.value.get("tags") if isinstance(error.value, dict) else None
        for tag in tags if isinstance(tags, list) and tags else ["RuntimeError"]:
            if isinstance(tag, str) and tag not in fork.tags:
                fork.tags.append(tag)
        if fork.failed <= BRANCH_ERRORS_MAX:
            fork.errors.append({"id": thread.branch, "error": {"context": error.context, "payload": error.value}})
        self._branch_ended(thread)

    def _branch_ended(self, thread: Thread) -> None:
        assert thread.parent is not None
        fork = self.threads[thread.parent].fork
        assert fork is not None
        del self.threads[thread.id]
        fork.running -= 1
        self._fill()

    # Waits, as those who end them see them

    def waits(self) -> Iterator[tuple[int, int, Wait]]:
        """Thread, ticket and wait of everything that somebody outside has to end."""
        for thread in self.threads.values():
            if thread.wait is not None and thread.wait["kind"] != "join":
                yield thread.id, thread.ticket, thread.wait

    def resume(self, thread_id: int, ticket: int, value: Value) -> bool:
        """End a wait with a value. False when it has ended otherwise."""
        thread = self._waiting(thread_id, ticket)
        if thread is None:
            return False
        thread.wait = None
        thread.frames[-1].value = value
        self.ready.append(thread_id)
        return True

    def fail(self, thread_id: int, ticket: int, error: Raised) -> bool:
        """End a wait with an error. False when it has ended otherwise."""
        thread = self._waiting(thread_id, ticket)
        if thread is None:
            return False
        thread.wait = None
        thread.error = error
        self.ready.append(thread_id)
        return True

    def _waiting(self, thread_id: int, ticket: int) -> Thread | None:
        thread = self.threads.get(thread_id)
        if self.outcome is not None or thread is None or thread.wait is None or thread.ticket != ticket:
            return None
        return thread

    def deadline(self) -> float | None:
        """When the next sleep or timeout is over."""
        return min((wait["until"] for _, _, wait in self.waits() if "until" in wait), default=None)

    def expire(self, now: float) -> None:
        """End the sleeps and timeouts that are due."""
        for thread_id, ticket, wait in [*self.waits()]:
            if "until" not in wait or wait["until"] > now:
                continue
            if wait["kind"] == "sleep":
                self.resume(thread_id, ticket, None)
            else:
                self.fail(thread_id, ticket, timeout_error("TimeoutError: timed out waiting for a callback"))

    # Callbacks ("Wait using callbacks")

    def create_callback(self, method: Value) -> Value:
        if not isinstance(method, str):
            raise type_error("http_callback_method must be a string")
        if method not in CALL_METHODS:
            raise value_error(f"unsupported HTTP method '{method}'")
        number = f"{uuid.uuid4()}_{secrets.token_hex(8)}"
        self.callbacks[number] = Callback(method)
        return {"url": f"{self.callback_origin}/v1/{self.name}/callbacks/{number}"}

    def await_callback(self, thread: Thread, callback: Value, timeout: Value) -> int:
        """BLOCK, or 0 when a request has come already: it is the frame's value."""
        url = callback.get("url") if isinstance(callback, dict) else None
        if not isinstance(url, str) or isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise type_error("events.await_callback takes the map of create_callback_endpoint and seconds")
        number = url.rpartition("/")[2]
        known = self.callbacks.get(number)
        if known is None:
            raise value_error(f"no callback endpoint of this execution: {url}")
        if timeout < 0:
            raise value_error("timeout must not be negative")
        if known.payload is not None:
            thread.frames[-1].value, known.payload = known.payload, None
            return 0
        return self.block(thread, {"kind": "callback", "callback": number, "until": self.clock() + timeout})

    def deliver(self, number: str, payload: dict[str, Any]) -> bool:
        """A request has reached an endpoint. False when the one before it was not processed yet: 429."""
        callback = self.callbacks[number]
        for thread_id, ticket, wait in self.waits():
            if wait["kind"] == "callback" and wait["callback"] == number:
                return self.resume(thread_id, ticket, payload)
        if callback.payload is not None:
            return False
        callback.payload = payload
        return True

    # What functions ask of the execution

    def inquire(self, function: str, arguments: list[Value]) -> Value:
        match function:
            case "sys.now":
                return float(self.clock())
            case "sys.get_env":
                name, otherwise = arguments
                if not isinstance(name, str) or not isinstance(otherwise, str | None):
                    raise type_error("sys.get_env takes strings")
                return self.env.get(name, otherwise)
            case "uuid.generate":
                return str(uuid.uuid4())
            case _:
                return self.create_callback(arguments[0])
