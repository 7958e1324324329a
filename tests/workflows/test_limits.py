"""How much a workflow may be and do: "Quotas and limits"."""

import json
from typing import Any

import pytest


def test_fifty_assignments_and_no_more(run: Any) -> None:
    assert run(json.dumps([{"a": {"assign": [{f"v{n}": n} for n in range(50)]}}])).refused is None
    refused = run(json.dumps([{"a": {"assign": [{f"v{n}": n} for n in range(51)]}}])).refused
    assert refused is not None
    assert "50 assignments" in refused


def test_fifty_conditions_and_no_more(run: Any) -> None:
    conditions = [{"condition": False, "next": "end"}] * 51
    assert run(json.dumps([{"a": {"switch": conditions[:50]}}])).refused is None
    assert run(json.dumps([{"a": {"switch": conditions}}])).refused is not None


def test_ten_branches_and_no_more(run: Any) -> None:
    branches = [{f"b{n}": {"assign": [{"x": n}]}} for n in range(11)]
    assert run(json.dumps([{"a": {"parallel": {"branches": branches[:10]}}}])).refused is None
    assert run(json.dumps([{"a": {"parallel": {"branches": branches}}}])).refused is not None


def test_ten_parameters_and_no_more(run: Any) -> None:
    for count, refused in ((10, False), (11, True)):
        source = {
            "main": {"steps": [{"a": {"return": 1}}]},
            "sub": {"params": [f"p{n}" for n in range(count)], "steps": [{"a": {"return": 1}}]},
        }
        assert (run(json.dumps(source)).refused is not None) is refused


def test_expressions_of_four_hundred_characters_and_no_more(run: Any) -> None:
    assert run.value('"' + "x" * 398 + '"').result == "x" * 398
    refused = run.value('"' + "x" * 399 + '"').refused
    assert refused is not None
    assert "400 characters" in refused


def test_sources_of_128_kilobytes_and_no_more(run: Any) -> None:
    start = "- a:\n    return: 1\n#"
    assert run(start + "x" * (128 * 1024 - len(start))).result == 1
    refused = run(start + "x" * (128 * 1024 - len(start) + 1)).refused
    assert refused is not None
    assert "128 KB" in refused


def test_a_hundred_thousand_steps_are_the_end(run: Any) -> None:
    ended = run("""
    - attempt:
        try:
          steps:
            - forever: {next: forever}
        except: {as: e, steps: [{never: {return: caught}}]}
    """)
    assert ended.payload["tags"] == ["ResourceLimitError"]


@pytest.mark.parametrize("last", ["{assign: [{x: 1}]}", "{call: sys.sleep, args: {seconds: 1}}"])
def test_the_hundred_thousandth_step_is_the_last_wherever_it_stands(run: Any, last: str) -> None:
    # The loop is one step, and each of its rounds one.
    source = """
    main:
      params: [rounds]
      steps:
        - loop: {for: {value: v, range: ['${1}', '${rounds}'], steps: [{x: {assign: [{y: 1}]}}]}}
        - last: LAST
    """.replace("LAST", last)
    assert run(source, 99_998).payload is None
    assert run(source, 99_999).payload["tags"] == ["ResourceLimitError"]


def test_calls_count_though_nothing_jumps_back(run: Any) -> None:
    ended = run("""
    main: {steps: [{a: {return: "${tree(17)}"}}]}
    tree:
      params: [depth]
      steps:
        - leaf: {switch: [{condition: "${depth == 0}", return: 1}]}
        - node: {return: "${tree(depth - 1) + tree(depth - 1)}"}
    """)
    assert ended.payload["tags"] == ["ResourceLimitError"]


def test_strings_of_256_kilobytes_and_no_more(run: Any) -> None:
    source = """
    main:
      params: [rounds]
      steps:
        - init: {assign: [{s: "x"}]}
        - loop:
            for: {value: v, range: ['${1}', '${rounds}'], steps: [{double: {assign: [{s: "${s + s}"}]}}]}
        - answer: {return: "${len(s)}"}
    """
    assert run(source, 18).result == 256 * 1024
    assert "ResourceLimitError" in run(source, 19).tags


def test_variables_of_512_kilobytes_and_no_more(run: Any) -> None:
    source = """
    main:
      params: [copies]
      steps:
        - init: {assign: [{s: "x"}, {kept: []}]}
        - loop:
            for: {value: v, range: [1, 16], steps: [{double: {assign: [{s: "${s + s}"}]}}]}
        - keep:
            for:
              value: v
              range: ['${1}', '${copies}']
              steps: [{add: {assign: [{kept: "${list.concat(kept, {string(v): [s]})}"}]}}]
        - answer: {return: "${len(kept)}"}
    """
    assert run(source, 6).result == 6
    ended = run(source, 8)
    assert ended.payload["tags"] == ["ResourceLimitError", "MemoryLimitExceededError"]


def test_clearing_a_variable_frees_its_memory(run: Any) -> None:
    ended = run("""
    - init: {assign: [{s: "x"}, {rounds: 0}]}
    - loop:
        for: {value: v, range: [1, 17], steps: [{double: {assign: [{s: "${s + s}"}]}}]}
    - again: {assign: [{a: "${s}"}, {b: "${s}"}, {a: null}, {b: null}, {rounds: "${rounds + 1}"}]}
    - check: {switch: [{condition: "${rounds < 20}", next: again}]}
    - answer: {return: "${rounds}"}
    """)
    assert ended.result == 20
