"""Executions go on after `kill -9`, and what was answered stays so."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.local.workflows_lab import PARENT, Listener, ask

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


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


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
        self.awaited(f"{ready}/v1/{names['waits']}/callbacks")
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
    def awaited(callbacks: str) -> None:
        for _ in range(1000):
            if ask(callbacks)[1]["callbacks"][0].get("waiters"):
                return
            time.sleep(0.01)
        raise AssertionError("nobody ever waited")

    @staticmethod
    def result(ready: str, execution: str) -> Any:
        for _ in range(1000):
            shown = ask(f"{ready}/v1/{execution}")[1]
            if shown["state"] != "ACTIVE":
                assert shown["state"] == "SUCCEEDED", shown
                return json.loads(shown["result"])
            time.sleep(0.01)
        raise AssertionError(f"{execution} never ended")
