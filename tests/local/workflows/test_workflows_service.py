"""Deployed workflows as Google's own client, gcloud and plain HTTP see them."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.workflows_v1 import Workflow, WorkflowsClient
from tests.local.workflows_lab import ANSWER, PARENT, ask


class TestWorkflows:
    def test_a_workflow_is_created_read_updated_listed_and_deleted(self, workflows: Any, deployed: Any) -> None:
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

    def test_a_refused_source_is_the_operations_error(self, workflows: Any) -> None:
        operation = workflows.create_workflow(
            parent=PARENT, workflow_id="refused", workflow=Workflow(source_contents="- a:\n    return: ${varC}")
        )
        with pytest.raises(exceptions.GoogleAPICallError) as refused:
            operation.result(timeout=10)
        assert "symbol 'varC' is neither a variable nor a sub-workflow name" in str(refused.value)
        with pytest.raises(exceptions.NotFound):
            workflows.get_workflow(name=f"{PARENT}/workflows/refused")

    def test_a_name_that_is_taken_is_the_operations_error(self, workflows: Any, deployed: Any) -> None:
        name = deployed(ANSWER)
        operation = workflows.create_workflow(
            parent=PARENT, workflow_id=name.rpartition("/")[2], workflow=Workflow(source_contents=ANSWER)
        )
        with pytest.raises(exceptions.GoogleAPICallError, match="already exists"):
            operation.result(timeout=10)

    @pytest.mark.parametrize("name", ["GOOGLE_X", "WORKFLOWS_X"])
    def test_reserved_variables_are_refused(self, workflows: Any, name: str) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            workflows.create_workflow(
                parent=PARENT,
                workflow_id="reserved",
                workflow=Workflow(source_contents=ANSWER, user_env_vars={name: "1"}),
            )

    def test_the_clients_rest_transport_works_too(self, cloud: Any) -> None:
        from google.api_core.client_options import ClientOptions

        client: Any = WorkflowsClient(
            transport="rest",
            client_options=ClientOptions(api_endpoint=cloud.site.url("workflows-rest")),
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
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
        assert "Locations/ListLocations" in (refused.value.details() or "")
        status, body = ask(f"{cloud.site.url('workflows-rest')}/v1/{PARENT}/workflows/w/executions/e/stepEntries")
        assert status == 501
        assert "stepEntries" in body["error"]["message"]


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
