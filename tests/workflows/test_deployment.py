"""What a deployment refuses, with whose words: "Troubleshoot issues", "Syntax overview"."""

from typing import Any

import pytest

SYMBOL = "is neither a variable nor a sub-workflow name"


def test_the_documented_message(run: Any) -> None:
    ended = run("""
    - step1:
        assign:
        - varA: "Hello"
        - varB: "World"
    - step2:
        return: ${varC + varB}
    """)
    assert ended.refused == (
        "failed to build: error in step step2: error evaluating return value: symbol 'varC' is neither a variable"
        " nor a sub-workflow name"
    )


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        pytest.param("return: '${x}'", f"error evaluating return value: symbol 'x' {SYMBOL}", id="return"),
        pytest.param("assign: [{y: '${x}'}]", f"error evaluating assigned value: symbol 'x' {SYMBOL}", id="assign"),
        pytest.param("assign: [{x.y: 1}]", f"symbol 'x' {SYMBOL}", id="assign-into"),
        pytest.param("assign: [{'x[0]': 1}]", f"symbol 'x' {SYMBOL}", id="assign-index"),
        pytest.param("raise: '${x}'", f"symbol 'x' {SYMBOL}", id="raise"),
        pytest.param("call: sys.log, args: {text: '${x}'}", f"symbol 'x' {SYMBOL}", id="argument"),
        pytest.param("switch: [{condition: '${x}', next: end}]", f"symbol 'x' {SYMBOL}", id="condition"),
        pytest.param("for: {value: v, in: '${x}', steps: [{b: {next: end}}]}", f"symbol 'x' {SYMBOL}", id="for"),
        pytest.param("return: '${x.y.z}'", f"symbol 'x' {SYMBOL}", id="field"),
        pytest.param("return: '${sub(1)}'", f"symbol 'sub' {SYMBOL}", id="function"),
        pytest.param("return: '${text.shout(1)}'", f"symbol 'text.shout' {SYMBOL}", id="function-of-a-module"),
        pytest.param("return: '${sys.nothing}'", f"symbol 'sys.nothing' {SYMBOL}", id="member-of-a-module"),
        pytest.param("call: sub", f"symbol 'sub' {SYMBOL}", id="call"),
        pytest.param("call: http.fetch, args: {url: a}", f"symbol 'http.fetch' {SYMBOL}", id="call-of-a-module"),
        pytest.param("return: 1\n- b: {next: c}", "next step 'c' is not defined", id="next"),
        pytest.param("next: break", "only allowed inside a for loop", id="break"),
        pytest.param("next: continue", "only allowed inside a for loop", id="continue"),
        pytest.param("return: '${http.get(\"u\")}'", "'http.get' is a blocking call", id="blocking-http"),
        pytest.param("return: '${sys.sleep(1)}'", "'sys.sleep' is a blocking call", id="blocking-sleep"),
        pytest.param("return: '${sys.log(\"a\")}'", "'sys.log' is a blocking call", id="blocking-log"),
        pytest.param("return: '${events.await_callback({})}'", "is a blocking call", id="blocking-await"),
        pytest.param("return: '${googleapis.a.v1.b.get()}'", "is a blocking call", id="blocking-connector"),
        pytest.param("return: '${len()}'", "missing argument 'value'", id="too-few"),
        pytest.param("return: '${len(1, 2)}'", "takes 1 arguments, got 2", id="too-many"),
        pytest.param("call: sys.sleep, args: {secs: 1}", "unexpected argument 'secs'", id="wrong-argument"),
        pytest.param("call: http.get", "missing argument 'url'", id="missing-argument"),
        pytest.param("jump: b", "unknown key 'jump'", id="unknown-key"),
        pytest.param("args: {a: 1}", "'args' needs 'call'", id="args-alone"),
        pytest.param("result: r", "'result' needs 'call'", id="result-alone"),
        pytest.param("assign: [{a: 1}], retry: '${http.default_retry}'", "'retry' needs 'try'", id="retry-alone"),
        pytest.param("assign: [{a: 1}], except: {as: e}", "'except' needs 'try'", id="except-alone"),
        pytest.param("assign: [{a: 1}], call: sys.now", "cannot stand in one step", id="two-actions"),
        pytest.param("assign: {a: 1}", "must be a list", id="assign-map"),
        pytest.param("assign: [{a: 1, b: 2}]", "one key", id="two-in-one"),
        pytest.param("assign: []", "must be a list", id="assign-nothing"),
        pytest.param("assign: [{1a: 1}]", "invalid variable name '1a'", id="variable-name"),
        pytest.param("assign: [{a-b: 1}]", "invalid variable name 'a-b'", id="variable-hyphen"),
        pytest.param("switch: []", "list of conditions", id="switch-nothing"),
        pytest.param("switch: [{next: end}]", "needs a condition", id="no-condition"),
        pytest.param("switch: [{condition: 'yes', next: end}]", "expression or a boolean", id="condition-text"),
        pytest.param("for: {in: [1], steps: [{b: {next: end}}]}", "needs 'value'", id="for-without-value"),
        pytest.param("for: {value: v, steps: [{b: {next: end}}]}", "exactly one of", id="for-without-list"),
        pytest.param(
            "for: {value: v, in: [1], range: [1, 2], steps: [{b: {next: end}}]}", "exactly one of", id="for-both"
        ),
        pytest.param("for: {value: v, in: [1]}", "needs 'steps'", id="for-without-steps"),
        pytest.param("for: {value: v, range: [1], steps: [{b: {next: end}}]}", "two elements", id="range-of-one"),
        pytest.param("parallel: {shared: []}", "exactly one of", id="parallel-nothing"),
        pytest.param("parallel: {exception_policy: stop, branches: [{b: {next: end}}]}", "continueAll", id="policy"),
        pytest.param(
            "parallel: {concurrency_limit: 0, for: {value: v, in: [1], steps: [{b: {next: end}}]}}",
            "positive integer",
            id="limit",
        ),
        pytest.param(
            "parallel: {shared: [x], branches: [{b: {steps: [{c: {next: end}}]}}]}", f"symbol 'x' {SYMBOL}", id="shared"
        ),
        pytest.param(
            "parallel: {for: {value: v, in: [1], steps: [{b: {next: break}}]}}", "not allowed", id="parallel-break"
        ),
        pytest.param("try: {raise: a}", "needs 'retry' or 'except'", id="bare-try"),
        pytest.param(
            "try: {for: {value: v, in: [1], steps: [{b: {next: end}}]}}, except: {as: e}",
            "loop step name should not be empty",
            id="for-in-try",
        ),
        pytest.param("try: {raise: a}, retry: {tries: 3}", "unknown key 'tries'", id="retry-key"),
        pytest.param(
            "try: {raise: a}, retry: {predicate: '${nobody}', max_retries: 3}",
            f"symbol 'nobody' {SYMBOL}",
            id="predicate",
        ),
        pytest.param("steps: []", "empty", id="no-steps"),
        pytest.param("{}", "does nothing", id="nothing"),
        pytest.param("return: 1\n- a: {return: 2}", "duplicate step name 'a'", id="same-name"),
        pytest.param("steps: [{b: {next: end}}]\n- b: {return: 2}", "duplicate step name 'b'", id="same-name-within"),
        pytest.param("steps: [{a: {next: end}}]", "duplicate step name 'a'", id="same-name-inside-out"),
        pytest.param(
            "try: {raise: x}, except: {as: e, steps: [{b: {next: end}}, {c: {steps: [{b: {next: end}}]}}]}",
            "duplicate step name 'b'",
            id="same-name-in-except",
        ),
        pytest.param(
            "assign: [{x: 1}]\n- p: {parallel: {shared: [x, x], branches: [{b: {steps: [{c: {next: end}}]}}]}}",
            "shared variable 'x' is listed twice",
            id="shared-twice",
        ),
        pytest.param("return: '${1e999}'", "1e999 is out of range", id="double-too-large"),
    ],
)
def test_refused(run: Any, step: str, problem: str) -> None:
    first, _, more = step.partition("\n")
    body = first if first == "{}" else f"{{{first}}}"
    ended = run(f"- a: {body}\n{more}")
    assert ended.refused is not None, ended
    assert ended.refused.startswith("failed to build: error in step ")
    assert problem in ended.refused


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("", id="empty"),
        pytest.param("text", id="scalar"),
        pytest.param("[]", id="no-steps"),
        pytest.param("main: []", id="main-is-a-list"),
        pytest.param("main: {params: [a]}", id="main-without-steps"),
        pytest.param("sub: {steps: [{a: {return: 1}}]}", id="no-main"),
        pytest.param("main: {params: [a, b], steps: [{c: {return: 1}}]}", id="two-arguments"),
        pytest.param("main: {steps: [{a: {return: 1}}], more: 1}", id="unknown-key"),
        pytest.param(
            "main: {steps: [{a: {return: 1}}]}\nsub: {params: [a, a], steps: [{b: {return: 1}}]}", id="same-param"
        ),
        pytest.param("- a:\n   return: 1\n  - b:\n", id="indentation"),
        pytest.param("- a:\n\treturn: 1", id="tab"),
        pytest.param("- a: {return: 1", id="brace"),
        pytest.param('- a: {return: "1}', id="quote"),
        pytest.param("- a: {return: 1, return: 2}", id="key-twice"),
        pytest.param("- a: {return: 1}\n  b: {return: 1}", id="two-names"),
        pytest.param("- a", id="name-alone"),
        pytest.param("- a: 1", id="step-is-a-scalar"),
        pytest.param("- a: {return: 1}\n---\n- b: {return: 1}", id="two-documents"),
        pytest.param("- a: *unknown", id="alias"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("a: &a [*b]\nb: &b [*a]", id="circular"),
        pytest.param('{"main": {"steps": [{"a": {"return": 1}}]}', id="json"),
        pytest.param("- a: {return: 1e999}", id="double-too-large"),
        pytest.param(f"- a: {{return: {'9' * 400}}}", id="integer-too-large"),
        pytest.param(f"- a: {{return: 0x{'f' * 400}}}", id="hexadecimal-too-large"),
    ],
)
def test_what_is_no_workflow_is_refused(run: Any, source: str) -> None:
    ended = run(source)
    assert ended.refused is not None
    assert ended.refused.startswith("failed to build: ")


def test_wrong_arguments_of_subworkflows(run: Any) -> None:
    source = """
    main:
      steps:
        - a: {CALL}
    sub:
      params: [needed, optional: 1]
      steps:
        - b: {return: 1}
    """
    for call, problem in [
        ("call: sub", "missing argument 'needed'"),
        ("call: sub, args: {needed: 1, other: 2}", "unexpected argument 'other'"),
        ("call: sub, args: [1, 2, 3]", "takes 2 arguments, got 3"),
        ("return: '${sub()}'", "missing argument 'needed'"),
        ("return: '${sub(1, 2, 3)}'", "takes 2 arguments, got 3"),
    ]:
        refused = run(source.replace("CALL", call)).refused
        assert refused is not None
        assert problem in refused


class TestScopes:
    LOOP = """
    - outer:
        for:
          value: outerLoopValue
          index: outerLoopIndex
          in: [1, 2]
          steps:
            - a: {assign: [{outerLoopScope: 1}]}
            - inner:
                for:
                  value: innerLoopValue
                  in: [3]
                  steps:
                    - b: {assign: [{innerLoopScope: "${outerLoopScope}"}]}
    - final: {return: "${NAME}"}
    """

    @pytest.mark.parametrize(
        "name", ["outerLoopValue", "outerLoopIndex", "outerLoopScope", "innerLoopValue", "innerLoopScope"]
    )
    def test_what_a_loop_assigns_is_unknown_after_it(self, run: Any, name: str) -> None:
        refused = run(self.LOOP.replace("NAME", name)).refused
        assert refused is not None
        assert f"symbol '{name}' {SYMBOL}" in refused

    @pytest.mark.parametrize("name", ["e", "local"])
    def test_what_except_assigns_is_unknown_after_it(self, run: Any, name: str) -> None:
        refused = run(f"""
        - attempt:
            try: {{raise: a}}
            except: {{as: e, steps: [{{b: {{assign: [{{local: 1}}]}}}}]}}
        - final: {{return: "${{{name}}}"}}
        """).refused
        assert refused is not None
        assert f"symbol '{name}' {SYMBOL}" in refused

    def test_what_a_branch_assigns_is_unknown_after_it(self, run: Any) -> None:
        refused = run("""
        - both: {parallel: {branches: [{a: {assign: [{local: 1}]}}, {b: {assign: [{local: 2}]}}]}}
        - final: {return: "${local}"}
        """).refused
        assert refused is not None
        assert "symbol 'local'" in refused

    @pytest.mark.parametrize("assigned", ["x: 2", "x.key: 2", "x[0]: 2"])
    def test_a_branch_may_not_write_what_is_not_shared(self, run: Any, assigned: str) -> None:
        refused = run(f"""
        - init: {{assign: [{{x: {{}}}}, {{y: 1}}]}}
        - both:
            parallel:
              shared: [y]
              branches:
                - a: {{steps: [{{b: {{assign: [{{"{assigned.partition(":")[0]}": 2}}]}}}}]}}
                - c: {{assign: [{{y: 1}}]}}
        """).refused
        assert refused is not None
        assert "'x' is assigned in a parallel branch but is not listed in 'shared'" in refused

    def test_nor_with_the_result_of_a_call_nor_in_a_loop_within(self, run: Any) -> None:
        for step in (
            "{call: sys.now, result: x}",
            "{for: {value: v, in: [1], steps: [{c: {assign: [{x: 2}]}}]}}",
            "{parallel: {shared: [x], for: {value: v, in: [1], steps: [{c: {assign: [{x: 2}]}}]}}}",
        ):
            refused = run(f"""
            - init: {{assign: [{{x: 1}}]}}
            - loop: {{parallel: {{for: {{value: w, in: [1], steps: [{{b: {step}}}]}}}}}}
            """).refused
            assert refused is not None
            assert "not listed in 'shared'" in refused

    def test_a_name_may_be_local_to_a_branch_and_a_variable_later(self, run: Any) -> None:
        ended = run("""
        - both: {parallel: {branches: [{a: {assign: [{tmp: 1}]}}, {b: {assign: [{tmp: 2}]}}]}}
        - later: {assign: [{tmp: 3}]}
        - answer: {return: "${tmp}"}
        """)
        assert ended.result == 3

    @pytest.mark.parametrize(
        "source",
        [
            "- o: {for: {value: v, in: [1], steps: [{i: {for: {value: v, in: [2], steps: [{a: {next: end}}]}}}]}}",
            "- a: {assign: [{v: 1}]}\n- l: {for: {value: v, in: [1], steps: [{b: {assign: [{x: 1}]}}]}}",
            "- l: {for: {value: v, in: [1], steps: [{b: {assign: [{x: 1}]}}]}}\n- a: {assign: [{v: 1}]}",
        ],
        ids=["nested", "assigned-before", "assigned-after"],
    )
    def test_a_loop_variable_belongs_to_its_loop_alone(self, run: Any, source: str) -> None:
        refused = run(source).refused
        assert refused is not None
        assert "loop variable 'v'" in refused

    def test_parents_are_readable_and_writable_in_a_loop(self, run: Any) -> None:
        ended = run("""
        - init: {assign: [{workflowScope: foo}]}
        - loop: {for: {value: v, in: [5, 6], steps: [{a: {assign: [{workflowScope: "${v}"}]}}]}}
        - final: {return: ["${workflowScope}"]}
        """)
        assert ended.result == [6]

    def test_subworkflows_do_not_see_their_callers_variables(self, run: Any) -> None:
        refused = run("""
        main: {steps: [{a: {assign: [{x: 1}]}}, {b: {call: sub}}]}
        sub: {steps: [{c: {return: "${x}"}}]}
        """).refused
        assert refused is not None
        assert refused.startswith("failed to build: error in step c: ")

    def test_a_jump_into_another_routine_or_a_nested_block_is_unknown(self, run: Any) -> None:
        for source in (
            "main: {steps: [{a: {next: c}}]}\nsub: {steps: [{c: {return: 1}}]}",
            "- a: {next: c}\n- b: {steps: [{c: {return: 1}}]}",
            "- a: {parallel: {branches: [{x: {steps: [{y: {next: b}}]}}, {z: {next: end}}]}}\n- b: {return: 1}",
        ):
            refused = run(source).refused
            assert refused is not None
            assert "is not defined" in refused

    def test_what_is_assigned_further_down_may_be_read_by_a_step_one_jumps_back_to(self, run: Any) -> None:
        ended = run("""
        - first:
            switch: [{condition: true, next: second}]
        - back: {return: "${later}"}
        - second: {assign: [{later: 5}], next: back}
        """)
        assert ended.result == 5

    def test_reading_it_before_is_an_error_of_the_execution(self, run: Any) -> None:
        ended = run("- a: {assign: [{x: '${later}'}]}\n- b: {assign: [{later: 5}]}")
        assert ended.refused is None
        assert "KeyError" in ended.tags
