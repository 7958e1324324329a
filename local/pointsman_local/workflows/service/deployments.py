"""`google.cloud.workflows.v1.Workflows`: create, update and delete are operations that are done when they are answered.

A source that does not compile is an operation that ended with an error, as at Google ("Troubleshoot issues").
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2

from pointsman_local.workflows.compiler import deploy
from pointsman_local.workflows.errors import Refused
from pointsman_local.workflows.service.store import Store
from pointsman_local.workflows.service.wire import (
    PARENT,
    WORKFLOW,
    CallRefused,
    operation_class,
    timestamp,
    workflow_class,
)
from pointsman_local.workflows.state import Program
from pointsman_local.workflows.variables import problem_of

__all__ = ["Deployments"]

PAGE_MAX: Final = 500
Workflow: Final = workflow_class("Workflow")
Operation: Final = operation_class("Operation")
# What makes a new revision; everything else is changed on the revision there is.
REVISED: Final = ("source_contents", "service_account", "user_env_vars")
KEPT: Final = ("description", "labels", "call_log_level", "crypto_key_name", "execution_history_level", "tags")


class Deployments:
    """`ended` is told of a workflow that is being deleted, before its executions are."""

    def __init__(self, store: Store, account: Callable[[str], str]) -> None:
        self._store = store
        self._account = account
        self._programs: dict[tuple[str, str], Program] = {}
        self.deleted: Callable[[str], None] = lambda workflow: None

    # Used by executions

    def program(self, workflow: str, revision: str) -> tuple[Any, Program]:
        """A revision's message and code. Raises CallRefused."""
        body = self._store.revision(workflow, revision)
        if body is None:
            raise CallRefused.absent("Workflow revision", f"{workflow}@{revision}")
        message = Workflow.FromString(body)
        key = (workflow, revision)
        if key not in self._programs:
            self._programs[key] = deploy(message.source_contents)
        return message, self._programs[key]

    def current(self, workflow: str) -> Any:
        """The newest revision. Raises CallRefused."""
        revisions = self._store.revisions(workflow)
        if not revisions:
            raise CallRefused.absent("Workflow", workflow)
        return Workflow.FromString(revisions[0][1])

    def declare(self, workflow: str, source: str, env: Mapping[str, str]) -> None:
        """Create it, or bring it up to date. Raises Refused."""
        deploy(source)
        wanted = Workflow(name=workflow, source_contents=source, user_env_vars=dict(env))
        revisions = self._store.revisions(workflow)
        if not revisions:
            self._keep(wanted, None)
            return
        found = Workflow.FromString(revisions[0][1])
        if (found.source_contents, dict(found.user_env_vars)) != (source, dict(env)):
            wanted.labels.update(found.labels)
            self._keep(wanted, revisions[0])

    # The service's methods

    async def get_workflow(self, request: Any) -> Any:
        if not request.revision_id:
            return self.current(request.name)
        body = self._store.revision(request.name, request.revision_id)
        if body is None:
            raise CallRefused.absent("Workflow revision", f"{request.name}@{request.revision_id}")
        return Workflow.FromString(body)

    async def list_workflows(self, request: Any) -> Any:
        if request.filter or request.order_by:
            raise CallRefused.unserved("filter and order_by of ListWorkflows")
        found = [Workflow.FromString(body) for body in self._store.workflows(_parent(request.parent))]
        page, token = _page(found, request.page_size, request.page_token)
        return workflow_class("ListWorkflowsResponse")(workflows=page, next_page_token=token)

    async def list_workflow_revisions(self, request: Any) -> Any:
        self.current(request.name)
        found = [Workflow.FromString(body) for _, body in self._store.revisions(request.name)]
        page, token = _page(found, request.page_size, request.page_token)
        return workflow_class("ListWorkflowRevisionsResponse")(workflows=page, next_page_token=token)

    async def create_workflow(self, request: Any) -> Any:
        name = f"{_parent(request.parent)}/workflows/{request.workflow_id}"
        if WORKFLOW.fullmatch(name) is None:
            raise CallRefused.invalid(f"invalid workflow id '{request.workflow_id}'")
        _check(request.workflow)
        if self._store.revisions(name):
            return self._failed(name, "create", grpc.StatusCode.ALREADY_EXISTS, f"workflow '{name}' already exists")
        request.workflow.name = name
        return self._deployed(request.workflow, "create", None)

    async def update_workflow(self, request: Any) -> Any:
        name = request.workflow.name
        revisions = self._store.revisions(name)
        if not revisions:
            raise CallRefused.absent("Workflow", name)
        changed = Workflow.FromString(revisions[0][1])
        paths = [*request.update_mask.paths] or [field.name for field, _ in request.workflow.ListFields()]
        for path in paths:
            if path in ("name", "*"):
                continue
            if path not in (*REVISED, *KEPT):
                raise CallRefused.invalid(f"field '{path}' cannot be updated")
            changed.ClearField(path)
            only = Workflow()
            only.CopyFrom(request.workflow)
            for field, _ in request.workflow.ListFields():
                if field.name != path:
                    only.ClearField(field.name)
            changed.MergeFrom(only)
        _check(changed)
        return self._deployed(changed, "update", revisions[0])

    async def delete_workflow(self, request: Any) -> Any:
        self.current(request.name)
        self.deleted(request.name)
        self._store.drop_workflow(request.name)
        return self._done(request.name, "delete", empty_pb2.Empty())

    # google.longrunning.Operations

    async def get_operation(self, request: Any) -> Any:
        body = self._store.operation(request.name)
        if body is None:
            raise CallRefused.absent("Operation", request.name)
        return Operation.FromString(body)

    async def list_operations(self, request: Any) -> Any:
        found = [Operation.FromString(body) for body in self._store.operations(request.name)]
        return operation_class("ListOperationsResponse")(operations=found)

    async def delete_operation(self, request: Any) -> Any:
        if not self._store.drop_operation(request.name):
            raise CallRefused.absent("Operation", request.name)
        return empty_pb2.Empty()

    def _deployed(self, workflow: Any, verb: str, before: tuple[int, bytes] | None) -> Any:
        try:
            deploy(workflow.source_contents)
        except Refused as refused:
            return self._failed(workflow.name, verb, grpc.StatusCode.INVALID_ARGUMENT, refused.message)
        return self._done(workflow.name, verb, self._keep(workflow, before))

    def _keep(self, workflow: Any, before: tuple[int, bytes] | None) -> Any:
        """Save it as a new revision, or over the one there is when nothing of a revision has changed."""
        now = timestamp(time.time())
        kept = Workflow()
        kept.CopyFrom(workflow)
        match = WORKFLOW.fullmatch(workflow.name)
        assert match is not None
        kept.service_account = workflow.service_account or self._account(match[4])
        kept.state = Workflow.State.Value("ACTIVE")
        kept.update_time.CopyFrom(now)
        ordinal = 1 if before is None else before[0] + 1
        if before is not None:
            old = Workflow.FromString(before[1])
            kept.create_time.CopyFrom(old.create_time)
            if all(getattr(kept, part) == getattr(old, part) for part in REVISED):
                kept.revision_id, ordinal = old.revision_id, before[0]
                self._store.put_revision(kept.name, ordinal, kept.revision_id, kept.SerializeToString())
                return kept
        else:
            kept.create_time.CopyFrom(now)
        digest = hashlib.sha256(f"{ordinal}{time.time_ns()}{kept.source_contents}".encode()).hexdigest()
        kept.revision_id = f"{ordinal:06}-{digest[:3]}"
        kept.revision_create_time.CopyFrom(now)
        self._store.put_revision(kept.name, ordinal, kept.revision_id, kept.SerializeToString())
        return kept

    def _operation(self, target: str, verb: str) -> Any:
        match = PARENT.match(target)
        assert match is not None
        now = timestamp(time.time())
        operation = Operation(name=f"{match[0]}/operations/operation-{uuid.uuid4()}", done=True)
        operation.metadata.Pack(
            workflow_class("OperationMetadata")(
                create_time=now, end_time=now, target=target, verb=verb, api_version="v1"
            )
        )
        return operation

    def _done(self, target: str, verb: str, response: Any) -> Any:
        operation = self._operation(target, verb)
        operation.response.Pack(response)
        self._store.put_operation(operation.name, operation.SerializeToString())
        return operation

    def _failed(self, target: str, verb: str, code: grpc.StatusCode, message: str) -> Any:
        operation = self._operation(target, verb)
        operation.error.code = code.value[0]
        operation.error.message = message
        self._store.put_operation(operation.name, operation.SerializeToString())
        return operation


def _parent(name: str) -> str:
    if PARENT.fullmatch(name) is None:
        raise CallRefused.invalid(f"'{name}' is not projects/PROJECT/locations/LOCATION")
    return name


def _check(workflow: Any) -> None:
    """Workflows API, Workflow.userEnvVars and description."""
    problem = problem_of(workflow.user_env_vars)
    if problem is not None:
        raise CallRefused.invalid(problem)
    if len(workflow.description) > 1000:
        raise CallRefused.invalid("description is longer than 1000 characters")


def _page(found: list[Any], size: int, token: str) -> tuple[list[Any], str]:
    first = int(token) if token.isdigit() else 0
    size = min(size or PAGE_MAX, PAGE_MAX)
    return found[first : first + size], str(first + size) if first + size < len(found) else ""
