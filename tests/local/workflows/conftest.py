"""A running Workflows service and Google's own clients for it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.cloud.workflows.executions_v1 import ExecutionsClient
from google.cloud.workflows_v1 import Workflow, WorkflowsClient
from tests.local.workflows_lab import PARENT, Listener


@pytest.fixture(scope="module")
def cloud(local_process: Callable[..., Any]) -> Any:
    process = local_process("workflows")
    process.start(f"{process.site.url('workflows-rest')}/v1/{PARENT}/workflows")
    return process


@pytest.fixture
def workflows(cloud: Any) -> Iterator[Any]:
    with grpc.insecure_channel(cloud.site.address("workflows")) as channel:
        yield WorkflowsClient(transport=WorkflowsClient.get_transport_class("grpc")(channel=channel))


@pytest.fixture
def executions(cloud: Any) -> Iterator[ExecutionsClient]:
    with grpc.insecure_channel(cloud.site.address("workflows")) as channel:
        yield ExecutionsClient(transport=ExecutionsClient.get_transport_class("grpc")(channel=channel))


@pytest.fixture
def deployed(workflows: Any) -> Callable[..., str]:
    """Deploy a source under an id of its own; gives the workflow's name."""
    number = iter(range(1000))

    def deploy(source: str, **fields: Any) -> str:
        identifier = f"w{time.time_ns()}-{next(number)}"
        done = workflows.create_workflow(
            parent=PARENT, workflow_id=identifier, workflow=Workflow(source_contents=source, **fields)
        ).result(timeout=10)
        return str(done.name)

    return deploy


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()
