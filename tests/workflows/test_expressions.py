"""What expressions mean: the reference's pages "Expressions" and "Data types, functions, operators"."""

from typing import Any

import pytest

VALUES = {
    "n": 7,
    "d": 2.5,
    "s": "abc",
    "t": True,
    "nothing": None,
    "l": [10, 20, 30],
    "m": {"a": 1, "b": {"c": "deep"}},
}


def case(expression: str, expected: Any) -> Any:
    return pytest.param(expression, expected, id=expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        case("1 + 2", 3),
        case("7 - 10", -3),
        case("3 * 4", 12),
        case("1 + 2 * 3", 7),
        case("(1 + 2) * 3", 9),
        case("10 - 4 - 3", 3),
        case("2 * 3 % 4", 2),
        case("10 / 4", 2.5),
        case("10 / 5", 2.0),
        case("7 // 2", 3),
        case("-7 // 2", -4),
        case("7 % 3", 1),
        case("1 + 0.5", 1.5),
        case("-n", -7),
        case("- -n", 7),
        case("n - -1", 8),
        case(".5 + 1", 1.5),
        case("1e3", 1000.0),
        case("-9223372036854775808", -(2**63)),
        case("9223372036854775807", 2**63 - 1),
    ],
)
def test_arithmetic(run: Any, expression: str, expected: Any) -> None:
    ended = run.value(expression, **VALUES)
    assert ended.result == expected
    assert type(ended.result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        case('"a" + "b"', "ab"),
        case('"n=" + 7', "n=7"),
        case('7 + "=n"', "7=n"),
        case('"x" + 1.5', "x1.5"),
        case('"is " + true', "is true"),
        case('false + "!"', "false!"),
        case('1 + 2 + "x"', "3x"),
        case('"x" + 1 + 2', "x12"),
        case(r'"line\nbreak"', "line\nbreak"),
        case(r'"say \"hi\""', 'say "hi"'),
        case(r'"back\\slash"', "back\\slash"),
        case(r'"tab\there"', "tab\there"),
        case('"brace } inside"', "brace } inside"),
        case("'single'", "single"),
        case('"ünïcode ✓"', "ünïcode ✓"),
    ],
)
def test_strings(run: Any, expression: str, expected: str) -> None:
    assert run.value(expression, **VALUES).result == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        case("1 < 2", True),
        case("2 <= 2", True),
        case("1 > 2.5", False),
        case("2.0 >= 2", True),
        case("1 == 1.0", True),
        case("1 != 2", True),
        case('"a" < "b"', True),
        case('"a" == "a"', True),
        case("null == null", True),
        case("nothing == null", True),
        case("0 == null", False),
        case('"" == null', False),
        case("false == null", False),
        case("1 == true", False),
        case('1 == "1"', False),
        case("[1, [2]] == [1, [2]]", True),
        case("[1, 2] == [2, 1]", False),
        case("m == m", True),
        case("true and false", False),
        case("true or false", True),
        case("true AND true", True),
        case("false OR true", True),
        case("not false", True),
        case("NOT t", False),
        case("not (1 > 2)", True),
        case("not t or t", True),
        case("true or true and false", True),
        case("(true or true) and false", False),
        case("1 < 2 and 2 < 3", True),
        case("true == True", True),
        case("FALSE == false", True),
        case('"a" in m', True),
        case('"z" in m', False),
        case("20 in l", True),
        case("1 in [true]", False),
        case('not ("z" in m)', True),
        case('in("a", m)', True),
        case("false and l[99] == 1", False),
        case("true or l[99] == 1", True),
    ],
)
def test_comparison_and_logic(run: Any, expression: str, expected: bool) -> None:
    assert run.value(expression, **VALUES).result is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        case("m.a", 1),
        case('m["a"]', 1),
        case("m.b.c", "deep"),
        case('m["b"].c', "deep"),
        case('m["b"]["c"]', "deep"),
        case('m["" + "a"]', 1),
        case("l[0]", 10),
        case("l[1 + 1]", 30),
        case("l[len(l) - 1]", 30),
        case("[l[0], n + 1]", [10, 8]),
        case('{"k": n, s: l}', {"k": 7, "abc": [10, 20, 30]}),
        case("[]", []),
        case("{}", {}),
        case("[[1, 2], [3]][1][0]", 3),
    ],
)
def test_access_and_literals(run: Any, expression: str, expected: Any) -> None:
    assert run.value(expression, **VALUES).result == expected


@pytest.mark.parametrize(
    ("expression", "tag"),
    [
        case("m.missing", "KeyError"),
        case('m["missing"]', "KeyError"),
        case("m.b.missing", "KeyError"),
        case("l[3]", "IndexError"),
        case("l[-1]", "IndexError"),
        case('l["0"]', "TypeError"),
        case("l[1.0]", "TypeError"),
        case("m[1]", "TypeError"),
        case("n.field", "TypeError"),
        case("nothing.field", "TypeError"),
        case("s[0]", "TypeError"),
        case("1 / 0", "ZeroDivisionError"),
        case("1 // 0", "ZeroDivisionError"),
        case("1 % 0", "ZeroDivisionError"),
        case("1.5 / 0", "ZeroDivisionError"),
        case("1 + true", "TypeError"),
        case("true + true", "TypeError"),
        case("1 + null", "TypeError"),
        case('"a" + null', "TypeError"),
        case('"a" + l', "TypeError"),
        case('"a" - "b"', "TypeError"),
        case('"a" * 2', "TypeError"),
        case("-s", "TypeError"),
        case("-t", "TypeError"),
        case("not n", "TypeError"),
        case("n and t", "TypeError"),
        case("t and n", "TypeError"),
        case("nothing or t", "TypeError"),
        case('1 < "2"', "TypeError"),
        case("l < l", "TypeError"),
        case("null < 1", "TypeError"),
        case('"k" in s', "TypeError"),
        case('not "a" in m', "TypeError"),
        case("9223372036854775807 + 1", "ValueError"),
    ],
)
def test_errors_carry_the_documented_tag(run: Any, expression: str, tag: str) -> None:
    ended = run.value(expression, **VALUES)
    assert tag in ended.tags
    assert ended.payload["message"]


def test_the_message_on_a_wrong_argument_of_in_is_the_services(run: Any) -> None:
    ended = run.value('"searchTerm" in nothing', nothing=None)
    assert ended.payload == {
        "message": "The argument of 'in' must be a dict or an array; got: null",
        "tags": ["TypeError"],
    }


def test_the_message_on_a_missing_key_is_the_services(run: Any) -> None:
    assert run.value("m.taskCount", m={}).payload == {
        "message": "KeyError: key not found: taskCount",
        "tags": ["KeyError", "LookupError"],
    }


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('- a:\n    return: "hello-${w}"', id="only-within"),
        pytest.param('- a:\n    return: "$hello"', id="dollar"),
        pytest.param('- a:\n    return: "{x}"', id="braces"),
        pytest.param("- a:\n    return: sys.now()", id="no-braces"),
    ],
)
def test_what_is_no_expression_is_text(run: Any, source: str) -> None:
    assert isinstance(run(source).result, str)


def test_white_space_and_line_breaks_around_and_within_are_allowed(run: Any) -> None:
    source = """
    - init:
        assign:
          - table: customers
          - id: 7
    - answer:
        return: >-
          ${
            "SELECT * from " + table +
            "\\nWHERE id=" + string(id)
          }
    """
    assert run(source).result == "SELECT * from customers\nWHERE id=7"


def test_expressions_are_evaluated_deep_within_lists_and_maps_and_as_keys(run: Any) -> None:
    source = """
    - init:
        assign:
          - key: "dyn"
    - answer:
        return:
          plain: 1
          list: [1, "${1 + 1}", {"inner": "${[key]}"}]
          "${key}": value
          '${key + "amic"}': "${null}"
    """
    assert run(source).result == {"plain": 1, "list": [1, 2, {"inner": ["dyn"]}], "dyn": "value", "dynamic": None}


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 +",
        "1 2",
        "a b",
        "(1",
        "[1",
        "1)",
        "a.",
        "a[",
        '"open',
        "m.special!key",
        "1 ** 2",
        "a not in b",
        "a ? b : c",
        "l[0:1]",
        "And true",
        "1 && 2",
        "!t",
        "9223372036854775808",
        "f(1,)",
        "not",
        "x = 1",
        "{1 2}",
        "lambda: 1",
    ],
)
def test_what_is_not_in_the_grammar_is_refused_at_deployment(run: Any, expression: str) -> None:
    ended = run(f"""
    - init:
        assign: [{{a: 1}}, {{b: []}}, {{t: true}}, {{m: {{}}}}, {{l: []}}, {{x: 1}}]
    - answer:
        return: '${{{expression}}}'
    """)
    assert ended.refused is not None
    assert ended.refused.startswith("failed to build: error in step answer: ")


@pytest.mark.parametrize("text", ["${1", "${a + 1", "${1} and ${2}", "${}x}"])
def test_an_expression_that_is_not_closed_is_refused(run: Any, text: str) -> None:
    assert run(f"- answer:\n    return: '{text}'").refused is not None
