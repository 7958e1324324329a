"""Executions, connectors and callbacks of the running service."""

import json
import time
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient
from google.cloud.workflows.executions_v1.types import ExecutionView, ListExecutionsRequest
from google.cloud.workflows_v1 import Workflow
from tests.local.workflows_lab import ANSWER, PARENT, Listener, ask, ended, start

from pointsman_local.identity import Identity


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
        assert json.loads(execution.argument) == {"a": [1]}

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
        self, workflows: Any, executions: ExecutionsClient, deployed: Any
    ) -> None:
        workflow = deployed("- a: {call: sys.sleep, args: {seconds: 1000}}")
        name = start(executions, workflow)
        workflows.delete_workflow(name=workflow).result(timeout=10)
        with pytest.raises(exceptions.NotFound):
            executions.get_execution(name=name)

    def test_a_running_execution_keeps_its_revision(
        self, workflows: Any, executions: ExecutionsClient, deployed: Any, listener: Listener
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
        own = f'{{type: OIDC, audience: "{listener.url}"}}'
        workflow = deployed(f"""
        - a: {{call: http.post, args: {{url: "{listener.url}/claim", body: 1, auth: {own}}}}}
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
            "main:\n  params: [x]\n  steps:\n"
            "    - a: {call: sys.sleep, args: {seconds: 0.05}}\n    - b: {return: '${x.n + 1}'}"
        )
        arguments = f"{{workflow_id: {child.rpartition('/')[2]}, argument: {{n: 41}}}}"
        parent = deployed(f"""
        - call_it: {{call: {self.PREFIX}.run, args: {arguments}, result: r}}
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
            except:
              as: e
              steps:
                - answer: {{return: "${{[e.message, e.operation.error.payload, e.operation.state]}}"}}
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
