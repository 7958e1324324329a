"""`google.cloud.workflows.executions.v1.Executions`."""

import re
from typing import Any, Final

from pointsman_local.workflows.service.deployments import Deployments
from pointsman_local.workflows.service.engine import Engine
from pointsman_local.workflows.service.store import KeptExecution, Store
from pointsman_local.workflows.service.views import Execution, as_basic, with_progress
from pointsman_local.workflows.service.wire import EXECUTION, WORKFLOW, CallRefused, execution_class

__all__ = ["Executions"]

BASIC, FULL = 1, 2
PAGE: Final = 100
PAGE_MAX: Final = {BASIC: 1000, FULL: 100}
STATE_IS: Final = re.compile(r"\s*state\s*=\s*\"?([A-Z]+)\"?\s*")


class Executions:
    def __init__(self, store: Store, deployments: Deployments, engine: Engine) -> None:
        self._store = store
        self._deployments = deployments
        self._engine = engine

    async def create_execution(self, request: Any) -> Any:
        if WORKFLOW.fullmatch(request.parent) is None:
            raise CallRefused.invalid(f"invalid parent '{request.parent}'")
        asked = request.execution
        return self._engine.create(request.parent, asked.argument, asked.labels, asked.call_log_level)

    async def get_execution(self, request: Any) -> Any:
        if EXECUTION.fullmatch(request.name) is None:
            raise CallRefused.invalid(f"invalid name '{request.name}'")
        kept = self._store.execution(request.name)
        if kept is None:
            raise CallRefused.absent("Execution", request.name)
        return self._shown(kept, request.view or FULL)

    async def list_executions(self, request: Any) -> Any:
        self._deployments.current(request.parent)
        if request.order_by:
            raise CallRefused.unserved("order_by of ListExecutions")
        wanted: int | None = None
        if request.filter:
            match = STATE_IS.fullmatch(request.filter)
            if match is None or match[1] not in Execution.State.keys():  # noqa: SIM118  # a protobuf enum, no mapping
                raise CallRefused.unserved(f"filter '{request.filter}' of ListExecutions")
            wanted = Execution.State.Value(match[1])
        view = request.view or BASIC
        found = [self._shown(kept, view) for kept in self._store.executions(request.parent)]
        found = [execution for execution in found if wanted is None or execution.state == wanted]
        first = int(request.page_token) if request.page_token.isdigit() else 0
        size = min(request.page_size or PAGE, PAGE_MAX.get(view, PAGE))
        more = str(first + size) if first + size < len(found) else ""
        page = found[first : first + size]
        return execution_class("ListExecutionsResponse")(executions=page, next_page_token=more)

    async def cancel_execution(self, request: Any) -> Any:
        return self._engine.cancel(request.name)

    def _shown(self, kept: KeptExecution, view: int) -> Any:
        execution = Execution.FromString(kept.body)
        live = self._engine.live(kept.name)
        if view == BASIC:
            return as_basic(execution)
        return execution if live is None else with_progress(execution, live.run)
