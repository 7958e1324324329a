"""What steps do: assign, call, switch, next, for, subworkflows, return."""

from typing import Any

import pytest


def returns(run: Any, source: str, data: Any = None) -> Any:
    ended = run(source, data)
    assert ended.refused is None
    assert ended.context is None
    return ended.result


class TestAssign:
    def test_later_entries_see_earlier_ones(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init:
            assign:
              - x: 1
              - y: ${x + 1}
              - x: ${x + 10}
        - answer:
            return: ${[x, y]}
        """,
        ) == [11, 2]

    def test_places_within_lists_and_maps(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init:
            assign:
              - my_list: ["zero", "one", "two"]
              - idx: 0
              - my_list[0]: 0
              - my_list[idx + 1]: 1
              - my_list[len(my_list) - 1]: 2
              - deep: [[10, 11, 12], [20, 21, 22]]
              - deep[0][1]: "Value11"
              - key_str: "Key"
              - my_map: {"Key1": "hello"}
              - my_map.Key1: "Value1"
              - my_map["Key2"]: "Value2"
              - my_map[key_str + "3"]: "Value3"
              - nested: {"Inner": {"Key1": "Value1"}}
              - nested.Inner.Key2: "Value2"
              - nested.Inner["Key3"]: [1]
              - nested.Inner.Key3[0]: 9
        - answer:
            return: ${[my_list, deep, my_map, nested]}
        """,
        ) == [
            [0, 1, 2],
            [[10, "Value11", 12], [20, 21, 22]],
            {"Key1": "Value1", "Key2": "Value2", "Key3": "Value3"},
            {"Inner": {"Key1": "Value1", "Key2": "Value2", "Key3": [9]}},
        ]

    def test_one_variable_assigned_to_another_is_an_independent_copy(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init:
            assign:
              - a: {"list": [1, 2], "n": 1}
              - b: ${a}
              - b.n: 2
              - b.list[0]: 99
              - c: ${a.list}
              - c[1]: 77
        - answer:
            return: ${[a, b, c]}
        """,
        ) == [{"list": [1, 2], "n": 1}, {"list": [99, 2], "n": 2}, [1, 77]]

    @pytest.mark.parametrize("nothing", ["null", "~", ""])
    def test_null_clears_a_variable(self, run: Any, nothing: str) -> None:
        assert (
            returns(
                run,
                f"""
        - init:
            assign:
              - x: 1
              - x: {nothing}
        - answer:
            return: ${{x == null}}
        """,
            )
            is True
        )

    @pytest.mark.parametrize(
        ("target", "tag"),
        [("l[2]", "IndexError"), ("l[-1]", "IndexError"), ('l["a"]', "TypeError"), ("n.key", "TypeError")],
    )
    def test_places_that_are_not_there(self, run: Any, target: str, tag: str) -> None:
        ended = run(f"""
        - init:
            assign:
              - l: [1, 2]
              - n: 1
              - {target}: 3
        """)
        assert tag in ended.tags

    def test_all_scalar_types_of_yaml(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init:
            assign:
              - values: [1, -2, 4.1, "hello", plain, true, True, FALSE, null, ~, "1", 'true', yes, on, 2024-01-01]
        - answer:
            return: ${values}
        """,
        ) == [1, -2, 4.1, "hello", "plain", True, True, False, None, None, "1", "true", "yes", "on", "2024-01-01"]


class TestJumps:
    def test_next_skips_and_goes_back(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init:
            assign: [{n: 0}]
            next: check
        - never:
            return: "was not skipped"
        - add:
            assign: [{n: "${n + 1}"}]
            next: check
        - check:
            switch:
              - condition: ${n < 5}
                next: add
        - done:
            return: ${n}
        """,
            )
            == 5
        )

    def test_end_stops_without_a_value(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init:
            assign: [{n: 0}]
            next: end
        - never:
            return: 1
        """,
            )
            is None
        )

    def test_a_step_may_only_jump(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - first: {next: third}
        - second: {return: 2}
        - third: {return: 3}
        """,
            )
            == 3
        )

    def test_nested_steps_may_jump_to_those_around_them(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - outer:
            steps:
              - inner:
                  steps:
                    - jump: {next: target}
              - never: {return: wrong}
        - never_too: {return: wrong}
        - target: {return: right}
        """,
            )
            == "right"
        )

    def test_a_steps_block_runs_in_order_and_then_goes_on(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - block:
            steps:
              - one: {assign: [{trace: "1"}]}
              - two: {assign: [{trace: '${trace + "2"}'}]}
            next: last
        - never: {return: wrong}
        - last: {return: "${trace}"}
        """,
            )
            == "12"
        )

    def test_without_return_the_result_is_null(self, run: Any) -> None:
        assert returns(run, "- a:\n    assign: [{x: 1}]") is None

    def test_names_with_hyphens_are_names(self, run: Any) -> None:
        assert returns(run, "- go-on:\n    next: the-end\n- the-end:\n    return: 1") == 1


class TestSwitch:
    SOURCE = """
    main:
      params: [n]
      steps:
        - init:
            assign: [{trace: []}]
        - choose:
            switch:
              - condition: ${n < 0}
                return: negative
              - condition: ${n == 0}
                steps:
                  - a: {assign: [{trace: '${list.concat(trace, "zero")}'}]}
                  - b: {assign: [{trace: '${list.concat(trace, "body")}'}]}
              - condition: ${n == 1}
                assign:
                  - trace: ["one"]
                next: elsewhere
              - condition: ${n == 2}
                next: elsewhere
              - condition: ${n == 3}
                raise: "three"
              - condition: ${n == 4}
                call: double_it
                args: {x: "${n}"}
                result: trace
              - condition: ${n < 10}
                return: "first that holds"
              - condition: ${n < 10}
                return: "never"
            next: after
        - between:
            return: "step-level next was ignored"
        - after:
            return: ${trace}
        - elsewhere:
            return: '${["elsewhere", trace]}'
    double_it:
      params: [x]
      steps:
        - a: {return: "${2 * x}"}
    """

    @pytest.mark.parametrize(
        ("n", "expected"),
        [
            pytest.param(-1, "negative", id="return"),
            pytest.param(0, ["zero", "body"], id="steps"),
            pytest.param(1, ["elsewhere", ["one"]], id="assign-and-next"),
            pytest.param(2, ["elsewhere", []], id="next"),
            pytest.param(4, 8, id="call"),
            pytest.param(5, "first that holds", id="first-wins"),
            pytest.param(10, [], id="none-holds"),
        ],
    )
    def test_the_first_condition_that_holds_decides(self, run: Any, n: int, expected: Any) -> None:
        assert returns(run, self.SOURCE, n) == expected

    def test_a_condition_may_raise(self, run: Any) -> None:
        assert run(self.SOURCE, 3).payload == "three"

    def test_true_is_the_default(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - choose:
            switch:
              - condition: ${1 > 2}
                return: 1
              - condition: true
                return: 2
        """,
            )
            == 2
        )

    @pytest.mark.parametrize("value", ["1", '"true"', "null", "[]"])
    def test_a_condition_that_is_no_boolean_is_a_type_error(self, run: Any, value: str) -> None:
        ended = run(f"""
        - choose:
            switch:
              - condition: ${{{value}}}
                return: 1
        """)
        assert "TypeError" in ended.tags

    def test_a_condition_after_the_one_that_holds_is_not_evaluated(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - choose:
            switch:
              - condition: true
                return: 1
              - condition: ${1 / 0 == 1}
                return: 2
        """,
            )
            == 1
        )


class TestFor:
    def test_over_a_list_with_index(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init: {assign: [{seen: []}]}
        - loop:
            for:
              value: v
              index: i
              in: ["a", "b", "c"]
              steps:
                - note: {assign: [{seen: '${list.concat(seen, string(i) + v)}'}]}
        - answer: {return: "${seen}"}
        """,
        ) == ["0a", "1b", "2c"]

    def test_over_the_keys_of_a_map(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init: {assign: [{m: {"a": 10, "b": 20, "c": 30}}, {sum: 0}]}
        - loop:
            for:
              value: key
              in: ${keys(m)}
              steps:
                - add: {assign: [{sum: "${sum + m[key]}"}]}
        - answer: {return: "${sum}"}
        """,
            )
            == 60
        )

    @pytest.mark.parametrize(
        ("ends", "expected"),
        [
            ("[1, 4]", [1, 2, 3, 4]),
            ("[3, 3]", [3]),
            ("[2, 1]", []),
            ("[-1, 1]", [-1, 0, 1]),
            ("[0.5, 2.5]", [0.5, 1.5, 2.5]),
            ("[1, 2.5]", [1, 2]),
            ("${[0, len(seen) + 1]}", [0, 1]),
            ("['${1 + 1}', '${1 + 2}']", [2, 3]),
        ],
    )
    def test_a_range_includes_both_ends(self, run: Any, ends: str, expected: list[Any]) -> None:
        assert (
            returns(
                run,
                f"""
        - init: {{assign: [{{seen: []}}]}}
        - loop:
            for:
              value: v
              range: {ends}
              steps:
                - note: {{assign: [{{seen: "${{list.concat(seen, v)}}"}}]}}
        - answer: {{return: "${{seen}}"}}
        """,
            )
            == expected
        )

    def test_break_and_continue(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init: {assign: [{seen: []}]}
        - loop:
            for:
              value: v
              range: [1, 100]
              steps:
                - choose:
                    switch:
                      - condition: ${v % 2 == 0}
                        next: continue
                      - condition: ${v > 7}
                        next: break
                - note: {assign: [{seen: "${list.concat(seen, v)}"}]}
        - answer: {return: "${seen}"}
        """,
        ) == [1, 3, 5, 7]

    def test_break_leaves_only_the_inner_loop(self, run: Any) -> None:
        assert returns(
            run,
            """
        - init: {assign: [{seen: []}]}
        - outer:
            for:
              value: a
              in: [1, 2]
              steps:
                - inner:
                    for:
                      value: b
                      in: [1, 2, 3]
                      steps:
                        - choose:
                            switch:
                              - condition: ${b == 2}
                                next: break
                        - note: {assign: [{seen: "${list.concat(seen, [a, b])}"}]}
        - answer: {return: "${seen}"}
        """,
        ) == [[1, 1], [2, 1]]

    def test_a_jump_or_return_leaves_the_loop(self, run: Any) -> None:
        source = """
        - loop:
            for:
              value: v
              in: [1, 2, 3]
              steps:
                - choose:
                    switch:
                      - condition: ${v == 2}
                        JUMP
        - never: {return: "loop went on"}
        - found: {return: "jumped"}
        """
        assert returns(run, source.replace("JUMP", "next: found")) == "jumped"
        assert returns(run, source.replace("JUMP", "return: '${v}'")) == 2

    def test_variables_of_the_loop_are_forgotten_with_each_iteration(self, run: Any) -> None:
        ended = run("""
        - loop:
            for:
              value: v
              in: [1, 2]
              steps:
                - choose:
                    switch:
                      - condition: ${v == 1}
                        assign: [{local: 1}]
                      - condition: ${local == 1}
                        return: "still there"
        """)
        assert "KeyError" in ended.tags

    def test_the_list_is_that_of_the_beginning(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init: {assign: [{l: [1, 2, 3]}, {n: 0}]}
        - loop:
            for:
              value: v
              in: ${l}
              steps:
                - change: {assign: [{l: []}, {n: "${n + v}"}]}
        - answer: {return: "${n}"}
        """,
            )
            == 6
        )

    def test_a_loop_may_run_again(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init: {assign: [{n: 0}, {rounds: 0}]}
        - loop:
            for:
              value: v
              in: [1, 2]
              steps:
                - add: {assign: [{n: "${n + v}"}]}
        - again:
            assign: [{rounds: "${rounds + 1}"}]
        - check:
            switch:
              - condition: ${rounds < 3}
                next: loop
        - answer: {return: "${n}"}
        """,
            )
            == 9
        )

    @pytest.mark.parametrize("value", ["${m}", "${1}", '${"text"}', "${null}"])
    def test_what_is_no_list_is_a_type_error(self, run: Any, value: str) -> None:
        ended = run(f"""
        - init: {{assign: [{{m: {{}}}}]}}
        - loop:
            for:
              value: v
              in: {value}
              steps:
                - a: {{assign: [{{x: 1}}]}}
        """)
        assert "TypeError" in ended.tags

    def test_the_same_loop_variable_may_serve_loops_one_after_the_other(self, run: Any) -> None:
        assert (
            returns(
                run,
                """
        - init: {assign: [{n: 0}]}
        - first:
            for: {value: v, in: [1], steps: [{a: {assign: [{n: "${n + v}"}]}}]}
        - second:
            for: {value: v, in: [2], steps: [{a: {assign: [{n: "${n + v}"}]}}]}
        - answer: {return: "${n}"}
        """,
            )
            == 3
        )


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
