"""Raising, catching and retrying: the reference's "Raise errors", "Catch errors", "Retry steps", "Workflow errors"."""

from typing import Any

import pytest


def test_a_raised_string_is_the_payload_and_its_place_the_context(run: Any) -> None:
    ended = run("""\
main:
  steps:
    - init: {assign: [{n: 2}]}
    - raise_error:
        raise: ${"Error with iteration " + n}
""")
    assert ended.payload == "Error with iteration 2"
    assert ended.context == 'RuntimeError: "Error with iteration 2"\nin step "raise_error", routine "main", line: 5'


def test_a_raised_map_keeps_all_its_fields(run: Any) -> None:
    ended = run("""
    - fail:
        raise:
          code: 55
          message: "Something went wrong."
          tags: ["Custom"]
          more: {deep: [1]}
    """)
    assert ended.payload == {"code": 55, "message": "Something went wrong.", "tags": ["Custom"], "more": {"deep": [1]}}
    assert ended.context is not None
    assert ended.context.startswith('Something went wrong.\nin step "fail"')


def test_the_context_names_every_routine_innermost_first(run: Any) -> None:
    ended = run("""\
main:
  steps:
    - outer:
        call: sub
sub:
  steps:
    - inner:
        return: ${deepest()}
deepest:
  steps:
    - checkSearchTermInInput:
        switch:
          - condition: ${"searchTerm" in null}
            return: 1
""")
    assert ended.context == (
        "The argument of 'in' must be a dict or an array; got: null\n"
        'in step "checkSearchTermInInput", routine "deepest", line: 13\n'
        'in step "inner", routine "sub", line: 8\n'
        'in step "outer", routine "main", line: 4'
    )


@pytest.mark.parametrize(
    ("what", "bound"),
    [
        ('"a string"', "a string"),
        ("{code: 7, message: m}", {"code": 7, "message": "m"}),
        ('\'${{"tags": ["A"]}}\'', {"tags": ["A"]}),
    ],
)
def test_except_binds_what_was_raised(run: Any, what: str, bound: Any) -> None:
    ended = run(f"""
    - attempt:
        try:
          raise: {what}
        except:
          as: e
          steps:
            - answer: {{return: "${{e}}"}}
    """)
    assert ended.result == bound


@pytest.mark.parametrize(
    ("expression", "tags"),
    [
        ("m.missing", ["KeyError", "LookupError"]),
        ("l[9]", ["IndexError", "LookupError"]),
        ("1 / 0", ["ZeroDivisionError", "ArithmeticError"]),
        ('int("x")', ["ValueError"]),
        ("1 + null", ["TypeError"]),
    ],
)
def test_errors_of_the_service_are_caught_as_maps(run: Any, expression: str, tags: list[str]) -> None:
    ended = run(f"""
    - init: {{assign: [{{m: {{}}}}, {{l: []}}]}}
    - attempt:
        try:
          assign:
            - x: '${{{expression}}}'
        except:
          as: e
          steps:
            - answer: {{return: "${{e.tags}}"}}
    """)
    assert ended.result == tags


def test_a_field_of_a_raised_string_is_an_error(run: Any) -> None:
    ended = run("""
    - attempt:
        try: {raise: text}
        except:
          as: e
          steps:
            - answer: {return: "${e.code}"}
    """)
    assert "TypeError" in ended.tags


def test_without_an_error_except_is_left_out(run: Any) -> None:
    ended = run("""
    - attempt:
        try:
          steps:
            - a: {assign: [{x: 1}]}
        except:
          as: e
          steps:
            - never: {return: "caught"}
    - answer: {return: "${x}"}
    """)
    assert ended.result == 1


def test_after_except_the_workflow_goes_on_behind_the_try(run: Any) -> None:
    ended = run("""
    - init: {assign: [{state: none}]}
    - attempt:
        try: {raise: boom}
        except:
          as: e
          steps:
            - note: {assign: [{state: '${"caught " + e}'}]}
        next: answer
    - never: {return: wrong}
    - answer: {return: "${state}"}
    """)
    assert ended.result == "caught boom"


def test_except_may_jump_to_the_steps_around_it(run: Any) -> None:
    ended = run("""
    - attempt:
        try: {raise: boom}
        except:
          as: e
          steps:
            - known:
                switch:
                  - condition: ${e == "boom"}
                    next: connection_problem
    - never: {return: wrong}
    - connection_problem: {return: right}
    """)
    assert ended.result == "right"


def test_except_without_a_list_of_steps(run: Any) -> None:
    ended = run("""
    - attempt:
        try: {raise: boom}
        except:
          as: e
          return: ${e}
    """)
    assert ended.result == "boom"


def test_an_error_in_except_leaves_it(run: Any) -> None:
    ended = run("""
    - attempt:
        try: {raise: first}
        except:
          as: e
          steps:
            - again: {raise: '${"second after " + e}'}
    """)
    assert ended.payload == "second after first"


def test_a_caught_error_can_be_raised_again(run: Any) -> None:
    ended = run("""
    - attempt:
        try:
          assign: [{x: "${1 / 0}"}]
        except:
          as: e
          steps:
            - again: {raise: "${e}"}
    """)
    assert "ZeroDivisionError" in ended.tags


def test_an_error_in_a_subworkflow_is_caught_by_its_caller(run: Any) -> None:
    ended = run("""
    main:
      steps:
        - attempt:
            try: {call: sub}
            except: {as: e, steps: [{answer: {return: "${e.code}"}}]}
    sub:
      steps:
        - deep:
            steps:
              - fail: {raise: {code: 42}}
    """)
    assert ended.result == 42


def test_the_inner_try_catches_first_and_the_outer_what_it_raises(run: Any) -> None:
    ended = run("""
    - init: {assign: [{trace: []}]}
    - outer:
        try:
          steps:
            - inner:
                try: {raise: one}
                except:
                  as: e
                  steps:
                    - note_one: {assign: [{trace: '${list.concat(trace, e)}'}]}
                    - again: {raise: two}
        except:
          as: e
          steps:
            - note: {assign: [{trace: '${list.concat(trace, e)}'}]}
    - answer: {return: "${trace}"}
    """)
    assert ended.result == ["one", "two"]


def test_variables_of_try_stay_visible(run: Any) -> None:
    ended = run("""
    - attempt:
        try:
          steps:
            - a: {assign: [{x: 1}]}
            - b: {raise: boom}
        except: {as: e, steps: [{c: {assign: [{x: "${x + 1}"}]}}]}
    - answer: {return: "${x}"}
    """)
    assert ended.result == 2


@pytest.mark.parametrize("value", ["1", "null", "[1]", "true"])
def test_only_strings_and_maps_can_be_raised(run: Any, value: str) -> None:
    assert "TypeError" in run(f"- a:\n    raise: {value}").tags


RETRIED = """
main:
  steps:
    - init: {assign: [{n: 0}, {start: "${sys.now()}"}]}
    - attempt:
        try:
          steps:
            - count: {assign: [{n: "${n + 1}"}]}
            - fail:
                switch:
                  - condition: ${n < 4}
                    raise: {code: 503, tags: [HttpError], message: busy}
        retry: RETRY
        except:
          as: e
          steps:
            - gave_up: {return: '${["gave up", n, sys.now() - start]}'}
    - answer: {return: '${["done", n, sys.now() - start]}'}
mine:
  params: [e]
  steps:
    - log: {call: sys.log, args: {text: "${e.message}"}}
    - pause: {call: sys.sleep, args: {seconds: 1}}
    - answer: {return: "${e.code == 503}"}
"""


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param("${http.default_retry}", ["done", 4, 1 + 1.25 + 1.5625], id="default"),
        pytest.param("${http.default_retry_non_idempotent}", ["done", 4, 1 + 1.25 + 1.5625], id="non-idempotent"),
        pytest.param(
            "{predicate: '${http.default_retry_predicate}', max_retries: 2,"
            " backoff: {initial_delay: 2, max_delay: 60, multiplier: 3}}",
            ["gave up", 3, 2 + 6],
            id="max-retries-not-counting-the-first",
        ),
        pytest.param(
            "{predicate: '${http.default_retry_predicate}', max_retries: 5,"
            " backoff: {initial_delay: 10, max_delay: 15, multiplier: 10}}",
            ["done", 4, 10 + 15 + 15],
            id="capped",
        ),
        pytest.param(
            "{predicate: '${retry.always}', max_retries: '${1 + 2}', backoff: '${retry.default_backoff}'}",
            ["done", 4, 1 + 1.25 + 1.5625],
            id="always-expression-default-backoff",
        ),
        pytest.param(
            "{predicate: '${retry.never}', max_retries: 9, backoff: {initial_delay: 1, max_delay: 1, multiplier: 1}}",
            ["gave up", 1, 0],
            id="never",
        ),
        pytest.param(
            "{predicate: '${mine}', max_retries: 9, backoff: {initial_delay: 0.5, max_delay: 1, multiplier: 2}}",
            ["done", 4, 3 + 0.5 + 1 + 1],
            id="own-predicate",
        ),
        pytest.param(
            "{predicate: '${http.default_retry_predicate}', max_retries: 0,"
            " backoff: {initial_delay: 1, max_delay: 1, multiplier: 1}}",
            ["gave up", 1, 0],
            id="no-retries",
        ),
    ],
)
def test_retry_runs_the_whole_block_again_after_the_back_off(run: Any, policy: str, expected: list[Any]) -> None:
    ended = run(RETRIED.replace("RETRY", policy))
    assert ended.context is None
    outcome, attempts, seconds = ended.result
    assert [outcome, attempts] == expected[:2]
    assert seconds == pytest.approx(expected[2], abs=1e-3)


@pytest.mark.parametrize(
    ("error", "idempotent", "non_idempotent"),
    [
        ("{code: 429, tags: [HttpError]}", True, True),
        ("{code: 500, tags: [HttpError]}", False, False),
        ("{code: 502, tags: [HttpError]}", True, False),
        ("{code: 503, tags: [HttpError]}", True, True),
        ("{code: 504, tags: [HttpError]}", True, False),
        ("{code: 404, tags: [HttpError]}", False, False),
        ("{tags: [ConnectionError]}", True, False),
        ("{tags: [ConnectionFailedError]}", True, True),
        ("{tags: [TimeoutError]}", True, False),
        ("{tags: [KeyError]}", False, False),
        ("text", False, False),
    ],
)
def test_what_the_predicates_retry(run: Any, error: str, idempotent: bool, non_idempotent: bool) -> None:
    ended = run(f"""
    - init: {{assign: [{{e: {error}}}]}}
    - answer:
        return:
          - ${{http.default_retry_predicate(e)}}
          - ${{http.default_retry_predicate_non_idempotent(e)}}
    """)
    assert ended.result == [idempotent, non_idempotent]


def test_without_except_the_last_error_remains(run: Any) -> None:
    ended = run("""
    - init: {assign: [{n: 0}]}
    - attempt:
        try:
          steps:
            - count: {assign: [{n: "${n + 1}"}]}
            - fail: {raise: {code: 503, message: '${"attempt " + n}', tags: [HttpError]}}
        retry: ${http.default_retry}
    """)
    assert ended.payload["message"] == "attempt 6"
    assert ended.context is not None
    assert ended.context.count("in step") == 1


def test_an_error_that_the_predicate_does_not_know_is_not_retried(run: Any) -> None:
    ended = run("""
    - init: {assign: [{n: 0}]}
    - attempt:
        try:
          steps:
            - count: {assign: [{n: "${n + 1}"}]}
            - fail: {raise: {code: 404, tags: [HttpError]}}
        retry: ${http.default_retry}
        except: {as: e, steps: [{answer: {return: "${[n, e.code]}"}}]}
    """)
    assert ended.result == [1, 404]


def test_a_try_that_is_entered_again_counts_its_retries_afresh(run: Any) -> None:
    ended = run("""
    - init: {assign: [{n: 0}, {rounds: 0}]}
    - attempt:
        try:
          steps:
            - count: {assign: [{n: "${n + 1}"}]}
            - fail: {raise: {code: 503}}
        retry: {predicate: "${retry.always}", max_retries: 2, backoff: {initial_delay: 1, max_delay: 1, multiplier: 1}}
        except: {as: e, steps: [{more: {assign: [{rounds: "${rounds + 1}"}]}}]}
    - again:
        switch:
          - condition: ${rounds < 2}
            next: attempt
    - answer: {return: "${n}"}
    """)
    assert ended.result == 6
