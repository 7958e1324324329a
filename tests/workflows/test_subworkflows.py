"""Subworkflows and arguments: "Subworkflows", "Runtime arguments"."""

from typing import Any

import pytest


def returns(run: Any, source: str, data: Any = None) -> Any:
    ended = run(source, data)
    assert ended.refused is None
    assert ended.context is None
    return ended.result


class TestSubworkflows:
    SUB = """
    name_message:
      params: [first_name, last_name, country: "England"]
      steps:
        - message: {return: '${"Hello " + first_name + " " + last_name + " from " + country + "."}'}
    """

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ("{first_name: Ada, last_name: Lovelace}", "Hello Ada Lovelace from England."),
            ("{last_name: B, first_name: A, country: C}", "Hello A B from C."),
            ("[Sherlock, Holmes]", "Hello Sherlock Holmes from England."),
        ],
    )
    def test_called_by_a_step(self, run: Any, call: str, expected: str) -> None:
        source = f"""
    main:
      steps:
        - call_it:
            call: name_message
            args: {call}
            result: output
        - answer: {{return: "${{output}}"}}
    {self.SUB}
    """
        assert returns(run, source) == expected

    def test_called_in_an_expression(self, run: Any) -> None:
        source = f"""
    main:
      steps:
        - answer: {{return: '${{name_message("Sherlock", "Holmes") + "!" + name_message("A", "B", "C")}}'}}
    {self.SUB}
    """
        assert returns(run, source) == "Hello Sherlock Holmes from England.!Hello A B from C."

    def test_an_explicit_null_is_not_the_default(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        main:
          steps:
            - call_it: {call: sub, args: {x: null}, result: r}
            - answer: {return: "${r}"}
        sub:
          params: [x: 1]
          steps:
            - a: {return: "${x}"}
        """,
            )
            is None
        )

    def test_default_of_a_json_source(self, run: Any) -> None:
        assert (
            returns(
                run,
                '{"main": {"steps": [{"a": {"return": "${sub()}"}}]},'
                ' "sub": {"params": ["x: \\"dflt\\""], "steps": [{"a": {"return": "${x}"}}]}}',
            )
            == "dflt"
        )

    def test_variables_of_the_caller_are_its_own(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        main:
          steps:
            - init: {assign: [{x: 1}]}
            - call_it: {call: sub}
            - answer: {return: "${x}"}
        sub:
          steps:
            - a: {assign: [{x: 2}]}
        """,
            )
            == 1
        )

    def test_recursion_within_the_limit(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        main:
          steps:
            - answer: {return: "${factorial(10)}"}
        factorial:
          params: [n]
          steps:
            - base:
                switch:
                  - condition: ${n <= 1}
                    return: 1
            - deeper: {return: "${n * factorial(n - 1)}"}
        """,
            )
            == 3628800
        )

    def test_endless_recursion_is_a_recursion_error(self, run: Any) -> None:
        ended = run("""
        main:
          steps:
            - answer: {return: "${deeper(1)}"}
        deeper:
          params: [n]
          steps:
            - again: {return: "${deeper(n + 1)}"}
        """)
        assert "RecursionError" in ended.tags

    def test_end_in_a_subworkflow_returns_null_to_its_caller(self, run: Any) -> None:
        assert returns(
            run,
            """
        main:
          steps:
            - call_it: {call: sub, result: r}
            - answer: {return: "${[r]}"}
        sub:
          steps:
            - stop: {next: end}
            - never: {return: 1}
        """,
        ) == [None]

    def test_a_subworkflow_that_sleeps_may_be_called_in_an_expression(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        main:
          steps:
            - choose:
                switch:
                  - condition: ${slow(1) == 2 and slow(2) == 3}
                    return: "both"
        slow:
          params: [n]
          steps:
            - wait: {call: sys.sleep, args: {seconds: 3600}}
            - answer: {return: "${n + 1}"}
        """,
            )
            == "both"
        )

    def test_and_or_call_only_what_they_need(self, run: Any) -> None:
        ended = run("""
        main:
          steps:
            - init: {assign: [{x: "${false and noted(1)}"}, {y: "${true or noted(2)}"}, {z: "${true and noted(3)}"}]}
            - answer: {return: "${[x, y, z]}"}
        noted:
          params: [n]
          steps:
            - log: {call: sys.log, args: {text: "${string(n)}"}}
            - answer: {return: true}
        """)
        assert ended.result == [False, True, True]
        assert ended.logs == [("DEFAULT", "3")]


class TestArguments:
    def test_the_parameter_is_the_decoded_argument_as_it_is(self, run: Any) -> None:
        source = "main:\n  params: [args]\n  steps:\n    - a:\n        return: ${args}"
        assert returns(run, source, {"x": [1, 2.5, None]}) == {"x": [1, 2.5, None]}
        assert returns(run, source, "text") == "text"
        assert returns(run, source) is None

    def test_optional_arguments(self, run: Any) -> None:
        source = """
        main:
          params: [args]
          steps:
            - a: {return: '${default(map.get(args, "name"), "nobody")}'}
        """
        assert returns(run, source) == "nobody"
        assert returns(run, source, {"name": "me"}) == "me"

    def test_a_list_of_steps_is_a_main_without_parameters(self, run: Any) -> None:
        assert returns(run, "- a:\n    return: 1", {"ignored": True}) == 1

    def test_bytes_cannot_be_returned(self, run: Any) -> None:
        assert "ValueError" in run('- a:\n    return: ${text.encode("a")}').tags
