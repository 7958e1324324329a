"""Assignments, jumps and switches: "Variables", "Jumps", "Conditions"."""

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
