"""Workflows and Executions as Google's own clients, gcloud and plain HTTP see them, over `kill -9` too."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient
from google.cloud.workflows.executions_v1.types import ExecutionView, ListExecutionsRequest
from google.cloud.workflows_v1 import Workflow, WorkflowsClient

from pointsman_local.identity import Identity

PARENT = "projects/lab/locations/us-central1"
ANSWER = "main:\n  params: [x]\n  steps:\n    - a: {return: '${x}'}"
WAITS = """
main:
  params: [plan]
  steps:
    - cb: {call: events.create_callback_endpoint, result: cb}
    - tell: {call: http.post, args: {url: "${plan.url}", body: {callback: "${cb.url}"}, timeout: 60}}
    - init: {assign: [{rounds: []}]}
    - loop:
        for:
          value: n
          range: [1, 3]
          steps:
            - wait:
                try: {call: events.await_callback, args: {callback: "${cb}", timeout: 3600}, result: rung}
                except: {as: e, steps: [{stop: {return: "timed out"}}]}
            - ask: {call: http.post, args: {url: "${plan.url}", body: {round: "${n}"}, timeout: 60}, result: r}
            - note: {assign: [{rounds: "${list.concat(rounds, [n, r.body.n, rung.http_request.body])}"}]}
    - answer: {return: "${rounds}"}
"""


@pytest.fixture(scope="module")
def cloud(local_process: Callable[..., Any]) -> Any:
    process = local_process("workflows")
    process.start(f"{process.site.url('workflows-rest')}/v1/{PARENT}/workflows")
    return process


@pytest.fixture
def workflows(cloud: Any) -> Iterator[WorkflowsClient]:
    with grpc.insecure_channel(cloud.site.address("workflows")) as channel:
        yield WorkflowsClient(transport=WorkflowsClient.get_transport_class("grpc")(channel=channel))


@pytest.fixture
def executions(cloud: Any) -> Iterator[ExecutionsClient]:
    with grpc.insecure_channel(cloud.site.address("workflows")) as channel:
        yield ExecutionsClient(transport=ExecutionsClient.get_transport_class("grpc")(channel=channel))


@pytest.fixture
def deployed(workflows: WorkflowsClient) -> Callable[..., str]:
    """Deploy a source under an id of its own; gives the workflow's name."""
    number = iter(range(1000))

    def deploy(source: str, **fields: Any) -> str:
        identifier = f"w{time.time_ns()}-{next(number)}"
        done = workflows.create_workflow(
            parent=PARENT, workflow_id=identifier, workflow=Workflow(source_contents=source, **fields)
        ).result(timeout=10)
        return str(done.name)

    return deploy


def ended(executions: ExecutionsClient, name: str) -> Execution:
    for _ in range(1000):
        execution = executions.get_execution(name=name)
        if execution.state != Execution.State.ACTIVE:
            return execution
        time.sleep(0.01)
    raise AssertionError(f"{name} never ended")


def start(executions: ExecutionsClient, workflow: str, argument: Any = None) -> str:
    asked = Execution(argument=json.dumps(argument)) if argument is not None else Execution()
    return str(executions.create_execution(parent=workflow, execution=asked).name)


def ask(
    url: str, body: Any = None, method: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method or ("POST" if data else "GET")
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


class Listener:
    """An HTTP server that counts what it is asked; `hold` makes it wait before it answers."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.headers.append(dict(self.headers.items()))
                outer.hold.wait(timeout=30)
                content = json.dumps({"n": len(outer.bodies)}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # whoever asked was killed meanwhile

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, count: int) -> None:
        for _ in range(1000):
            if len(self.bodies) >= count:
                return
            time.sleep(0.01)
        raise AssertionError(f"asked {len(self.bodies)} times, not {count}")

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


class TestWorkflows:
    def test_a_workflow_is_created_read_updated_listed_and_deleted(
        self, workflows: WorkflowsClient, deployed: Any
    ) -> None:
        name = deployed(ANSWER, labels={"team": "ml"}, user_env_vars={"A": "1"})
        found = workflows.get_workflow(name=name)
        assert found.source_contents == ANSWER
        assert found.state == Workflow.State.ACTIVE
        assert found.labels == {"team": "ml"}
        assert found.service_account.startswith("pointsman-")
        assert found.revision_id.startswith("000001-")
        first = found.revision_id

        workflows.update_workflow(
            workflow=Workflow(name=name, description="said"), update_mask={"paths": ["description"]}
        ).result(timeout=10)
        assert workflows.get_workflow(name=name).revision_id == first

        source = ANSWER.replace("${x}", "new")
        workflows.update_workflow(
            workflow=Workflow(name=name, source_contents=source), update_mask={"paths": ["source_contents"]}
        ).result(timeout=10)
        found = workflows.get_workflow(name=name)
        assert found.revision_id.startswith("000002-")
        assert found.description == "said"
        assert found.labels == {"team": "ml"}
        assert workflows.get_workflow(request={"name": name, "revision_id": first}).source_contents == ANSWER
        assert [each.revision_id for each in workflows.list_workflow_revisions(request={"name": name})] == [
            found.revision_id,
            first,
        ]
        assert name in [each.name for each in workflows.list_workflows(parent=PARENT)]

        workflows.delete_workflow(name=name).result(timeout=10)
        with pytest.raises(exceptions.NotFound):
            workflows.get_workflow(name=name)

    def test_a_refused_source_is_the_operations_error(self, workflows: WorkflowsClient) -> None:
        operation = workflows.create_workflow(
            parent=PARENT, workflow_id="refused", workflow=Workflow(source_contents="- a:\n    return: ${varC}")
        )
        with pytest.raises(exceptions.GoogleAPICallError) as refused:
            operation.result(timeout=10)
        assert "symbol 'varC' is neither a variable nor a sub-workflow name" in str(refused.value)
        with pytest.raises(exceptions.NotFound):
            workflows.get_workflow(name=f"{PARENT}/workflows/refused")

    def test_a_name_that_is_taken_is_the_operations_error(self, workflows: WorkflowsClient, deployed: Any) -> None:
        name = deployed(ANSWER)
        operation = workflows.create_workflow(
            parent=PARENT, workflow_id=name.rpartition("/")[2], workflow=Workflow(source_contents=ANSWER)
        )
        with pytest.raises(exceptions.GoogleAPICallError, match="already exists"):
            operation.result(timeout=10)

    @pytest.mark.parametrize("name", ["GOOGLE_X", "WORKFLOWS_X"])
    def test_reserved_variables_are_refused(self, workflows: WorkflowsClient, name: str) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            workflows.create_workflow(
                parent=PARENT,
                workflow_id="reserved",
                workflow=Workflow(source_contents=ANSWER, user_env_vars={name: "1"}),
            )

    def test_the_clients_rest_transport_works_too(self, cloud: Any) -> None:
        from google.api_core.client_options import ClientOptions

        client = WorkflowsClient(
            transport="rest",
            client_options=ClientOptions(api_endpoint=cloud.site.url("workflows-rest")),
            credentials=AnonymousCredentials(),
        )
        done = client.create_workflow(
            parent=PARENT, workflow_id="by-rest", workflow=Workflow(source_contents=ANSWER)
        ).result(timeout=10)
        assert client.get_workflow(name=done.name).source_contents == ANSWER

    def test_what_is_not_imitated_names_itself(self, cloud: Any) -> None:
        with grpc.insecure_channel(cloud.site.address("workflows")) as channel:
            call = channel.unary_unary(
                "/google.cloud.location.Locations/ListLocations", request_serializer=bytes, response_deserializer=bytes
            )
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "Locations/ListLocations" in refused.value.details()
        status, body = ask(f"{cloud.site.url('workflows-rest')}/v1/{PARENT}/workflows/w/executions/e/stepEntries")
        assert status == 501
        assert "stepEntries" in body["error"]["message"]


class TestExecutions:
    def test_success_and_failure(self, executions: ExecutionsClient, deployed: Any) -> None:
        workflow = deployed(ANSWER, labels={"team": "ml"})
        execution = ended(executions, start(executions, workflow, {"a": [1]}))
        assert execution.state == Execution.State.SUCCEEDED
        assert execution.result == '{"a":[1]}'
        assert execution.argument == '{"a": [1]}'
        assert execution.labels["team"] == "ml"
        assert execution.labels["billed_steps"] == "1"
        assert execution.workflow_revision_id.startswith("000001-")
        assert execution.end_time >= execution.start_time

        failing = deployed("main:\n  steps:\n    - bad:\n        raise: {code: 7, message: oh}\n")
        execution = ended(executions, start(executions, failing))
        assert execution.state == Execution.State.FAILED
        assert json.loads(execution.error.payload) == {"code": 7, "message": "oh"}
        assert execution.error.context.endswith('in step "bad", routine "main", line: 4')
        element = execution.error.stack_trace.elements[0]
        assert (element.step, element.routine, element.position.line) == ("bad", "main", 4)

    def test_environment_of_the_execution(self, executions: ExecutionsClient, deployed: Any) -> None:
        names = [
            "PROJECT_ID",
            "LOCATION",
            "WORKFLOW_ID",
            "WORKFLOW_EXECUTION_ID",
            "WORKFLOW_REVISION_ID",
            "SERVICE_ACCOUNT_NAME",
        ]
        source = json.dumps([{"a": {"return": [f'${{sys.get_env("GOOGLE_CLOUD_{name}")}}' for name in names]}}])
        workflow = deployed(source)
        execution = ended(executions, start(executions, workflow))
        identifier = workflow.rpartition("/")[2]
        assert json.loads(execution.result) == [
            "lab",
            "us-central1",
            identifier,
            execution.name.rpartition("/")[2],
            execution.workflow_revision_id,
            f"pointsman-{identifier}@lab.iam.gserviceaccount.com",
        ]

    def test_lists_show_the_newest_first_page_by_page(self, executions: ExecutionsClient, deployed: Any) -> None:
        workflow = deployed(ANSWER)
        names = [start(executions, workflow, n) for n in range(5)]
        for name in names:
            ended(executions, name)
        pager = executions.list_executions(request=ListExecutionsRequest(parent=workflow, page_size=2))
        assert [execution.name for execution in pager] == names[::-1]
        full = executions.list_executions(request=ListExecutionsRequest(parent=workflow, view=ExecutionView.FULL))
        assert [execution.result for execution in full] == ["4", "3", "2", "1", "0"]
        active = executions.list_executions(request=ListExecutionsRequest(parent=workflow, filter='state="ACTIVE"'))
        assert list(active) == []

    @pytest.mark.parametrize(
        ("argument", "error"),
        [("{", exceptions.InvalidArgument), ('"' + "x" * 32768 + '"', exceptions.InvalidArgument)],
    )
    def test_wrong_arguments_are_refused(
        self, executions: ExecutionsClient, deployed: Any, argument: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            executions.create_execution(parent=deployed(ANSWER), execution=Execution(argument=argument))

    def test_what_does_not_exist_is_not_found(self, executions: ExecutionsClient, deployed: Any) -> None:
        with pytest.raises(exceptions.NotFound):
            executions.create_execution(parent=f"{PARENT}/workflows/nobody")
        workflow = deployed(ANSWER)
        for call in (executions.get_execution, executions.cancel_execution):
            with pytest.raises(exceptions.NotFound):
                call(name=f"{workflow}/executions/nobody")

    def test_a_cancelled_execution_stops_where_it_is(self, executions: ExecutionsClient, deployed: Any) -> None:
        workflow = deployed(
            "- attempt:\n    try: {call: sys.sleep, args: {seconds: 1000}}\n    except: {as: e, return: 1}"
        )
        name = start(executions, workflow)
        for _ in range(500):
            execution = executions.get_execution(name=name)
            if execution.status.current_steps:
                break
            time.sleep(0.01)
        assert execution.status.current_steps[0].step == "attempt"
        assert executions.cancel_execution(name=name).state == Execution.State.CANCELLED
        assert executions.get_execution(name=name).state == Execution.State.CANCELLED
        with pytest.raises(exceptions.FailedPrecondition):
            executions.cancel_execution(name=name)

    def test_deleting_a_workflow_deletes_its_executions(
        self, workflows: WorkflowsClient, executions: ExecutionsClient, deployed: Any
    ) -> None:
        workflow = deployed("- a: {call: sys.sleep, args: {seconds: 1000}}")
        name = start(executions, workflow)
        workflows.delete_workflow(name=workflow).result(timeout=10)
        with pytest.raises(exceptions.NotFound):
            executions.get_execution(name=name)

    def test_a_running_execution_keeps_its_revision(
        self, workflows: WorkflowsClient, executions: ExecutionsClient, deployed: Any, listener: Listener
    ) -> None:
        listener.hold.clear()
        source = f"- a: {{call: http.post, args: {{url: '{listener.url}', body: 1}}}}\n- b: {{return: old}}"
        workflow = deployed(source)
        name = start(executions, workflow)
        listener.asked(1)
        workflows.update_workflow(
            workflow=Workflow(name=workflow, source_contents=source.replace("old", "new")),
            update_mask={"paths": ["source_contents"]},
        ).result(timeout=10)
        listener.hold.set()
        assert ended(executions, name).result == '"old"'

    def test_an_endless_loop_does_not_stop_the_others(self, executions: ExecutionsClient, deployed: Any) -> None:
        endless, quick = deployed("- a: {next: a}"), deployed(ANSWER)
        names = [start(executions, endless) for _ in range(5)]
        assert ended(executions, start(executions, quick, 1)).result == "1"
        for name in names:
            assert "ResourceLimitError" in ended(executions, name).error.payload

    def test_requests_with_oidc_bear_the_workflows_token(
        self, cloud: Any, executions: ExecutionsClient, deployed: Any, listener: Listener
    ) -> None:
        workflow = deployed(f"""
        - a: {{call: http.post, args: {{url: "{listener.url}/claim", body: 1, auth: {{type: OIDC, audience: "{listener.url}"}}}}}}
        - b: {{call: http.post, args: {{url: "{listener.url}/claim", body: 2, auth: {{type: OIDC}}}}}}
        - c: {{call: http.post, args: {{url: "{listener.url}/claim", body: 3}}}}
        """)
        assert ended(executions, start(executions, workflow)).state == Execution.State.SUCCEEDED
        identity = Identity(cloud.site.data)
        email = f"pointsman-{workflow.rpartition('/')[2]}@lab.iam.gserviceaccount.com"
        tokens = [headers.get("Authorization", "").removeprefix("Bearer ") for headers in listener.headers]
        assert identity.email(tokens[0], listener.url, time.time()) == email
        assert identity.email(tokens[1], f"{listener.url}/claim", time.time()) == email
        assert tokens[2] == ""


class TestConnectors:
    PREFIX = "googleapis.workflowexecutions.v1.projects.locations.workflows.executions"

    def test_run_waits_for_the_childs_result(self, executions: ExecutionsClient, deployed: Any) -> None:
        child = deployed(
            "main:\n  params: [x]\n  steps:\n    - a: {call: sys.sleep, args: {seconds: 0.05}}\n    - b: {return: '${x.n + 1}'}"
        )
        parent = deployed(f"""
        - call_it: {{call: {self.PREFIX}.run, args: {{workflow_id: {child.rpartition("/")[2]}, argument: {{n: 41}}}}, result: r}}
        - answer: {{return: "${{r}}"}}
        """)
        assert ended(executions, start(executions, parent)).result == "42"

    def test_a_child_that_fails_is_an_error_with_its_execution(
        self, executions: ExecutionsClient, deployed: Any
    ) -> None:
        child = deployed("- a: {raise: oh}")
        parent = deployed(f"""
        - call_it:
            try: {{call: {self.PREFIX}.run, args: {{workflow_id: {child.rpartition("/")[2]}}}}}
            except: {{as: e, steps: [{{answer: {{return: "${{[e.message, e.operation.error.payload, e.operation.state]}}"}}}}]}}
        """)
        assert json.loads(ended(executions, start(executions, parent)).result) == [
            "Execution failed or cancelled.",
            '"oh"',
            "FAILED",
        ]

    def test_create_does_not_wait(self, executions: ExecutionsClient, deployed: Any) -> None:
        child = deployed("- a: {call: sys.sleep, args: {seconds: 1000}}")
        parent = deployed(f"""
        - start: {{call: {self.PREFIX}.create, args: {{parent: "{child}", body: {{argument: "{{}}"}}}}, result: r}}
        - stop: {{call: {self.PREFIX}.cancel, args: {{name: "${{r.name}}"}}, result: c}}
        - answer: {{return: "${{[r.name, r.state, c.state]}}"}}
        """)
        name, before, after = json.loads(ended(executions, start(executions, parent)).result)
        assert (before, after) == ("ACTIVE", "CANCELLED")
        assert name.startswith(f"{child}/executions/")

    def test_what_the_api_refuses_is_an_http_error(self, executions: ExecutionsClient, deployed: Any) -> None:
        parent = deployed(f"""
        - start:
            try: {{call: {self.PREFIX}.create, args: {{parent: "{PARENT}/workflows/nobody"}}}}
            except: {{as: e, steps: [{{answer: {{return: "${{[e.code, e.tags]}}"}}}}]}}
        """)
        assert json.loads(ended(executions, start(executions, parent)).result) == [404, ["HttpError"]]


class TestCallbacks:
    SOURCE = """
    main:
      params: [url]
      steps:
        - cb: {call: events.create_callback_endpoint, result: cb}
        - tell: {call: http.post, args: {url: "${url}", body: {callback: "${cb.url}"}}}
        - one: {call: events.await_callback, args: {callback: "${cb}", timeout: 60}, result: first}
        - between: {call: http.post, args: {url: "${url}", body: {got: "${first.http_request.body}"}}}
        - two: {call: events.await_callback, args: {callback: "${cb}", timeout: 60}, result: second}
        - answer: {return: "${[first.http_request, second.http_request.body]}"}
    """

    def test_slots(self, cloud: Any, executions: ExecutionsClient, deployed: Any, listener: Listener) -> None:
        listener.hold.clear()
        name = start(executions, deployed(self.SOURCE), listener.url)
        listener.asked(1)
        url = listener.bodies[0]["callback"]
        assert url.startswith(f"{cloud.site.url('workflows-rest')}/v1/{name}/callbacks/")
        listed = f"{cloud.site.url('workflows-rest')}/v1/{name}/callbacks"
        assert [each["method"] for each in ask(listed)[1]["callbacks"]] == ["POST"]
        # Nobody waits yet: one request is kept, further ones are refused until it was processed.
        assert ask(f"{url}?q=1", {"n": 1}, headers={"X-Mine": "yes"})[0] == 200
        assert ask(listed)[1]["callbacks"][0]["availablePayloads"] == ["1"]
        assert ask(url, {"n": 2})[0] == 429
        assert ask(url, method="GET")[0] == 405
        assert ask(f"{url}x", {})[0] == 404
        listener.hold.set()
        listener.asked(2)
        assert listener.bodies[1] == {"got": {"n": 1}}
        assert ask(url, {"n": 3})[0] == 200
        execution = ended(executions, name)
        first, second = json.loads(execution.result)
        assert second == {"n": 3}
        assert first["method"] == "POST"
        assert first["query"] == {"q": "1"}
        assert first["headers"]["X-Mine"] == "yes"
        assert ask(url, {})[0] == 404
        assert ask(listed)[1] == {}

    def test_nobody_rings(self, executions: ExecutionsClient, deployed: Any) -> None:
        workflow = deployed("""
        - cb: {call: events.create_callback_endpoint, result: cb}
        - wait:
            try: {call: events.await_callback, args: {callback: "${cb}", timeout: 0.05}}
            except: {as: e, steps: [{answer: {return: "${e.tags}"}}]}
        """)
        assert "TimeoutError" in ended(executions, start(executions, workflow)).result


class TestRest:
    """The requests that gcloud 528 was seen to send."""

    def test_deploy_execute_describe_list_cancel(self, cloud: Any) -> None:
        base = f"{cloud.site.url('workflows-rest')}/v1/{PARENT}"
        assert ask(f"{base}/workflows/gc?alt=json")[0] == 404
        status, operation = ask(f"{base}/workflows?workflowId=gc&alt=json", {"sourceContents": ANSWER})
        assert (status, operation["done"]) == (200, True)
        status, polled = ask(f"{cloud.site.url('workflows-rest')}/v1/{operation['name']}?alt=json")
        assert polled["response"]["@type"] == "type.googleapis.com/google.cloud.workflows.v1.Workflow"
        assert polled["metadata"]["verb"] == "create"
        found = ask(f"{base}/workflows/gc?alt=json")[1]
        assert found["state"] == "ACTIVE"

        status, operation = ask(
            f"{base}/workflows/gc?updateMask=description,sourceContents&alt=json",
            {"sourceContents": "- a: {return: '${nothing}'}", "description": "d"},
            method="PATCH",
        )
        assert operation["error"]["code"] == 3
        assert operation["error"]["message"].startswith("failed to build: error in step a: ")

        body = {
            "argument": '{"a":1}',
            "callLogLevel": "CALL_LOG_LEVEL_UNSPECIFIED",
            "disableConcurrencyQuotaOverflowBuffering": False,
            "executionHistoryLevel": "EXECUTION_HISTORY_LEVEL_UNSPECIFIED",
        }
        execution = ask(f"{base}/workflows/gc/executions?alt=json", body)[1]
        assert execution["state"] == "ACTIVE"
        for _ in range(500):
            shown = ask(f"{cloud.site.url('workflows-rest')}/v1/{execution['name']}?alt=json")[1]
            if shown["state"] != "ACTIVE":
                break
            time.sleep(0.01)
        assert shown["result"] == '{"a":1}'
        assert shown["createTime"] == shown["startTime"]
        listed = ask(f"{base}/workflows/gc/executions?alt=json")[1]["executions"]
        assert [each["name"] for each in listed] == [execution["name"]]
        status, refused = ask(f"{cloud.site.url('workflows-rest')}/v1/{execution['name']}:cancel?alt=json", {})
        assert (status, refused["error"]["status"]) == (400, "FAILED_PRECONDITION")
        assert ask(f"{base}/workflows/gc?alt=json", method="DELETE")[1]["done"] is True
        assert ask(f"{base}/workflows/gc?alt=json")[1]["error"]["status"] == "NOT_FOUND"

    @pytest.mark.parametrize("body", ["not json", '["a list"]'])
    def test_a_wrong_body_is_an_invalid_argument(self, cloud: Any, body: str) -> None:
        request = urllib.request.Request(
            f"{cloud.site.url('workflows-rest')}/v1/{PARENT}/workflows?workflowId=x", body.encode(), method="POST"
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            assert answer.code == 400
            assert json.loads(answer.read())["error"]["status"] == "INVALID_ARGUMENT"

    def test_a_direct_push_of_pubsub_starts_an_execution(self, cloud: Any, deployed: Any) -> None:
        workflow = deployed(ANSWER)
        url = f"{cloud.site.url('workflows-rest')}/v1/{workflow}:triggerPubsubExecution"
        execution = ask(url, {"message": {"data": "aGk=", "messageId": "1"}, "subscription": "s"})[1]
        assert json.loads(execution["argument"]) == {
            "data": {"message": {"data": "aGk=", "messageId": "1"}, "subscription": "s"}
        }


class TestKilled:
    """Executions go on after `kill -9`, and what was answered stays so."""

    def test_waits_requests_and_children_survive(self, local_process: Callable[..., Any], listener: Listener) -> None:
        cloud = local_process("workflows")
        ready = cloud.site.url("workflows-rest")
        probe = f"{ready}/v1/{PARENT}/workflows"
        cloud.start(probe)
        base = f"{ready}/v1/{PARENT}/workflows"
        for name, source in {
            "waits": WAITS,
            "sleeps": "- a: {call: sys.sleep, args: {seconds: 2}}\n- b: {return: slept}",
            "parent": "- a: {call: googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run,"
            " args: {workflow_id: sleeps}, result: r}\n- b: {return: '${r}'}",
        }.items():
            assert "error" not in ask(f"{base}?workflowId={name}", {"sourceContents": source})[1]

        names = {
            name: ask(f"{base}/{name}/executions", {"argument": json.dumps({"url": listener.url})})[1]["name"]
            for name in ("waits", "parent")
        }
        listener.asked(1)
        callback = listener.bodies[0]["callback"]
        listener.hold.clear()
        assert ask(callback, {"ring": 1})[0] == 200
        listener.asked(2)  # the request of round 1 is on its way
        cloud.kill()
        listener.hold.set()
        cloud.start(probe)
        listener.asked(3)  # it was repeated
        assert listener.bodies[1:3] == [{"round": 1}, {"round": 1}]
        assert ask(callback, {"ring": 2})[0] == 200
        cloud.kill()  # right after the ring was acknowledged
        cloud.start(probe)
        listener.asked(4)
        for _ in range(500):
            if ask(callback, {"ring": 3})[0] == 200:
                break
            time.sleep(0.01)
        ends = {name: self.result(ready, execution) for name, execution in names.items()}
        rings = [body for _, _, body in ends["waits"]]
        assert rings == [{"ring": 1}, {"ring": 2}, {"ring": 3}]
        assert [number for number, _, _ in ends["waits"]] == [1, 2, 3]
        assert ends["parent"] == "slept"
        children = ask(f"{base}/sleeps/executions")[1]["executions"]
        assert len(children) == 1
        assert cloud.stop() == 0

    @staticmethod
    def result(ready: str, execution: str) -> Any:
        for _ in range(1000):
            shown = ask(f"{ready}/v1/{execution}")[1]
            if shown["state"] != "ACTIVE":
                assert shown["state"] == "SUCCEEDED", shown
                return json.loads(shown["result"])
            time.sleep(0.01)
        raise AssertionError(f"{execution} never ended")
