"""An execution that is saved and restored at every wait ends as one that never was."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman_local.workflows.compiler import deploy
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.snapshots import OtherCode, restore, save
from pointsman_local.workflows.state import Outcome, Program
from pointsman_local.workflows.values import Value

SOURCE = """
main:
  params: [plan]
  steps:
    - init:
        assign:
          - trace: []
          - odd: {"$": "bytes", "raw": '${text.encode("x")}'}
          - predicate: ${again}
          - shared_total: 0
    - loop:
        for:
          value: seconds
          index: i
          in: ${plan}
          steps:
            - attempt:
                try:
                  steps:
                    - wait: {call: sys.sleep, args: {seconds: "${seconds}"}}
                    - fail:
                        switch:
                          - condition: ${seconds % 3 == 0}
                            raise: {code: 503, at: "${i}"}
                          - condition: ${seconds % 5 == 0}
                            raise: "five"
                    - nested: {assign: [{trace: "${list.concat(trace, slow(seconds) + i)}"}]}
                retry:
                  predicate: ${again}
                  max_retries: 2
                  backoff: {initial_delay: 1, max_delay: 3, multiplier: 2}
                except:
                  as: e
                  steps:
                    - pause: {call: sys.sleep, args: {seconds: 1}}
                    - note: {assign: [{trace: "${list.concat(trace, e)}"}]}
            - branches:
                parallel:
                  shared: [shared_total]
                  concurrency_limit: 2
                  for:
                    value: w
                    index: number
                    in: [1, 2, 3]
                    steps:
                      - sleep: {call: sys.sleep, args: {seconds: "${w * seconds}"}}
                      - add: {assign: [{shared_total: "${shared_total + slow(w)}"}]}
    - answer:
        return:
          trace: ${trace}
          total: ${shared_total}
          raw: ${base64.encode(odd.raw)}
          key: ${odd["$"]}
again:
  params: [e]
  steps:
    - wait: {call: sys.sleep, args: {seconds: 1}}
    - text: {switch: [{condition: '${get_type(e) == "string"}', return: false}]}
    - answer: {return: "${e.code == 503}"}
slow:
  params: [x]
  steps:
    - wait: {call: sys.sleep, args: {seconds: 2}}
    - answer: {return: "${x}"}
"""


class Clock:
    now = 1000.0


def ended(program: Program, plan: list[int], *, restarts: bool) -> tuple[Outcome, int, float]:
    clock = Clock()
    name, env = "projects/p/locations/l/workflows/w/executions/e", {"A": "B"}

    def log(severity: str, payload: Value) -> None:
        raise AssertionError("nothing is logged")

    run = Run(program, name=name, env=env, clock=lambda: clock.now, log=log)
    run.start(plan)
    while run.outcome is None:
        if run.advance(steps=7 if restarts else 100_000) or run.outcome is not None:
            pass
        else:
            deadline = run.deadline()
            assert deadline is not None
            clock.now = deadline
            run.expire(deadline)
        if restarts and run.outcome is None:
            run = restore(
                save(run),
                program,
                name=name,
                env=env,
                clock=lambda: clock.now,
                log=log,
                callback_origin=run.callback_origin,
            )
    return run.outcome, run.billed_steps, clock.now


@given(st.lists(st.integers(min_value=0, max_value=15), max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_restarts_change_nothing(plan: list[int]) -> None:
    program = deploy(SOURCE)
    without, with_restarts = ended(program, plan, restarts=False), ended(deploy(SOURCE), plan, restarts=True)
    assert without[0].error is None
    assert with_restarts[0].result == without[0].result
    assert with_restarts[1:] == without[1:]


def test_an_error_keeps_its_place_over_a_restart() -> None:
    source = """\
main:
  steps:
    - attempt:
        try:
          raise: {code: 503}
        retry: {predicate: "${retry.always}", max_retries: 1, backoff: {initial_delay: 5, max_delay: 5, multiplier: 1}}
"""
    outcome, _, now = ended(deploy(source), [], restarts=True)
    assert now == 1005
    assert outcome.error is not None
    assert outcome.error.context == 'RuntimeError: {"code":503}\nin step "attempt", routine "main", line: 5'


def test_functions_among_the_items_of_a_parallel_loop_survive() -> None:
    source = """
    main:
      steps:
        - loop:
            parallel:
              concurrency_limit: 1
              for:
                value: policy
                in: ["${http.default_retry}", "${retry.never}"]
                steps:
                  - wait: {call: sys.sleep, args: {seconds: 1}}
                  - attempt:
                      try: {raise: {code: 404}}
                      retry: {predicate: "${retry.never}", max_retries: 1}
                      except: {as: e, steps: [{note: {call: sys.sleep, args: {seconds: 1}}}]}
        - answer: {return: done}
    """
    assert ended(deploy(source), [], restarts=True)[0].result == '"done"'


def test_a_snapshot_belongs_to_its_code() -> None:
    def saved(source: str) -> str:
        run = Run(deploy(source), name="n", env={}, clock=lambda: 0.0, log=lambda severity, payload: None)
        run.start(None)
        run.advance()
        return save(run)

    text = saved("- a: {call: sys.sleep, args: {seconds: 1}}")
    other = deploy("- z: {assign: [{x: 1}]}\n- a: {call: sys.sleep, args: {seconds: 1}}")
    with pytest.raises(OtherCode):
        restore(
            text, other, name="n", env={}, clock=lambda: 0.0, log=lambda severity, payload: None, callback_origin=""
        )


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("$"), inner, max_size=4),
        max_leaves=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_every_value_survives(value: Any) -> None:
    run = Run(
        deploy(
            "main:\n  params: [x]\n  steps:\n    - a: {call: sys.sleep, args: {seconds: 1}}\n    - b: {return: '${x}'}"
        ),
        name="n",
        env={},
        clock=lambda: 0.0,
        log=lambda severity, payload: None,
    )
    run.start(value)
    run.advance()
    again = restore(
        save(run),
        run.program,
        name="n",
        env={},
        clock=lambda: 0.0,
        log=lambda severity, payload: None,
        callback_origin="",
    )
    assert again.threads[1].frames[0].vars[0] == value
