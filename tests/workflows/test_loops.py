"""Loops: "Iteration"."""

from typing import Any

import pytest


def returns(run: Any, source: str, data: Any = None) -> Any:
    ended = run(source, data)
    assert ended.refused is None
    assert ended.context is None
    return ended.result


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
            for: {value: v, in: [2], steps: [{b: {assign: [{n: "${n + v}"}]}}]}
        - answer: {return: "${n}"}
        """,
            )
            == 3
        )
