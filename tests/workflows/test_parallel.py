"""Parallel steps: the reference's "Parallel steps" and "Execute workflow steps in parallel"."""

from typing import Any

import pytest


def test_branches_write_what_is_shared(run: Any) -> None:
    ended = run("""
    - init: {assign: [{user: {}}, {notification: {}}, {input: ["apples", "oranges"]}]}
    - both:
        parallel:
          shared: [user, notification]
          branches:
            - getUser:
                steps:
                  - a: {assign: [{local: 1}, {user: '${input[0]}'}]}
            - getNotification:
                steps:
                  - b: {assign: [{local: 2}, {notification: '${input[1] + local}'}]}
    - answer: {return: "${[user, notification]}"}
    """)
    assert ended.result == ["apples", "oranges2"]


@pytest.mark.parametrize("loop", ["in: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]", "range: [1, 12]"])
@pytest.mark.parametrize("limit", ["", "concurrency_limit: 1", "concurrency_limit: ${1 + 2}"])
def test_iterations_accumulate_without_losing_an_assignment(run: Any, loop: str, limit: str) -> None:
    ended = run(f"""
    main:
      steps:
        - init: {{assign: [{{total: 0}}, {{seen: {{}}}}]}}
        - loop:
            parallel:
              shared: [total, seen]
              {limit}
              for:
                value: v
                {loop}
                steps:
                  - wait: {{call: sys.sleep, args: {{seconds: "${{v % 3}}"}}}}
                  - add: {{assign: [{{total: "${{total + same(v)}}"}}, {{'seen[string(v)]': "${{v * v}}"}}]}}
        - answer: {{return: "${{[total, len(seen), seen]}}"}}
    same:
      params: [x]
      steps:
        - wait: {{call: sys.sleep, args: {{seconds: "${{x % 2}}"}}}}
        - a: {{return: "${{x}}"}}
    """)
    total, count, seen = ended.result
    assert (total, count, seen["12"]) == (78, 12, 144)


def test_index_and_value_of_a_parallel_loop(run: Any) -> None:
    ended = run("""
    - init: {assign: [{texts: ["a", "b", "c"]}, {out: ["", "", ""]}]}
    - loop:
        parallel:
          shared: [out]
          for:
            value: text
            index: i
            in: ${texts}
            steps:
              - set: {assign: [{"out[i]": "${text + i}"}]}
    - answer: {return: "${out}"}
    """)
    assert ended.result == ["a0", "b1", "c2"]


def test_branches_wait_at_the_same_time(run: Any) -> None:
    ended = run("""
    - init: {assign: [{start: "${sys.now()}"}]}
    - waits:
        parallel:
          branches:
            - a: {steps: [{five: {call: sys.sleep, args: {seconds: 5}}}]}
            - b: {steps: [{ten: {call: sys.sleep, args: {seconds: 10}}}]}
            - c: {call: sys.sleep, args: {seconds: 7}}
    - answer: {return: "${sys.now() - start}"}
    """)
    assert ended.result == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize(("limit", "seconds"), [("", 20), ("concurrency_limit: 4", 100), ("concurrency_limit: 20", 20)])
def test_no_more_run_at_once_than_the_limits_allow(run: Any, limit: str, seconds: int) -> None:
    ended = run(f"""
    - init: {{assign: [{{start: "${{sys.now()}}"}}]}}
    - loop:
        parallel:
          {limit}
          for:
            value: v
            range: [1, 40]
            steps:
              - wait: {{call: sys.sleep, args: {{seconds: 10}}}}
    - answer: {{return: "${{sys.now() - start}}"}}
    """)
    assert ended.result == pytest.approx(seconds, abs=1e-3)


def test_nested_parallel_steps_do_not_starve(run: Any) -> None:
    ended = run("""
    - init: {assign: [{n: 0}]}
    - outer:
        parallel:
          shared: [n]
          for:
            value: a
            range: [1, 30]
            steps:
              - inner:
                  parallel:
                    shared: [n]
                    for:
                      value: b
                      range: [1, 3]
                      steps:
                        - wait: {call: sys.sleep, args: {seconds: 1}}
                        - add: {assign: [{n: "${n + 1}"}]}
    - answer: {return: "${n}"}
    """)
    assert ended.result == 90


def test_deeper_than_two_is_a_parallel_nesting_error(run: Any) -> None:
    ended = run("""
    main:
      steps:
        - a: {parallel: {for: {value: v, in: [1], steps: [{b: {parallel: {for: {value: w, in: [1], steps: [
            {c: {call: third}}]}}}}]}}}
    third:
      steps:
        - attempt:
            try:
              steps:
                - d: {parallel: {for: {value: x, in: [1], steps: [{e: {assign: [{y: 1}]}}]}}}
            except: {as: e, steps: [{log: {call: sys.log, args: {json: "${e}"}}}]}
    """)
    assert ended.context is None
    assert "ParallelNestingError" in ended.logs[0][1]["tags"]


def test_every_branch_runs_and_their_errors_are_one(run: Any) -> None:
    ended = run("""\
- catchErrors:
    try:
      steps:
        - failOdd:
            parallel:
              for:
                value: num
                range: [0, 5]
                steps:
                  - checkEven:
                      switch:
                        - condition: ${num % 2 != 0}
                          raise: "how odd!"
    except:
      as: e
      steps:
        - returnError: {return: "${e}"}
""")
    error = ended.result
    assert error["message"] == (
        "UnhandledBranchError: One or more branches or iterations encountered an unhandled runtime error"
    )
    assert error["tags"] == ["UnhandledBranchError", "RuntimeError"]
    assert error["truncated"] is False
    assert sorted(branch["id"] for branch in error["branches"]) == ["1", "3", "5"]
    assert error["branches"][0]["error"] == {
        "context": 'RuntimeError: "how odd!"\nin step "checkEven", routine "main", line: 13',
        "payload": "how odd!",
    }


def test_tags_of_the_branches_are_tags_of_the_whole(run: Any) -> None:
    ended = run("""
    - both:
        parallel:
          branches:
            - missing: {steps: [{a: {assign: [{m: {}}, {x: "${m.key}"}]}}]}
            - own: {steps: [{b: {raise: {tags: [Mine], message: m}}}]}
            - fine: {steps: [{c: {call: sys.log, args: {text: went on}}}]}
    """)
    assert {"UnhandledBranchError", "KeyError", "LookupError", "Mine"} <= set(ended.tags)
    assert {branch["id"] for branch in ended.payload["branches"]} == {"missing", "own"}
    assert ended.logs == [("DEFAULT", "went on")]


def test_an_error_caught_in_its_branch_is_none(run: Any) -> None:
    ended = run("""
    - init: {assign: [{got: null}]}
    - both:
        parallel:
          shared: [got]
          branches:
            - a:
                try: {raise: boom}
                except: {as: e, steps: [{note: {assign: [{got: "${e}"}]}}]}
            - b: {assign: [{x: 1}]}
    - answer: {return: "${got}"}
    """)
    assert ended.result == "boom"


def test_a_branch_ends_with_its_steps_and_continue_with_an_iteration(run: Any) -> None:
    ended = run("""
    - init: {assign: [{n: 0}]}
    - loop:
        parallel:
          shared: [n]
          for:
            value: v
            range: [1, 6]
            steps:
              - odd:
                  switch:
                    - condition: ${v % 2 == 1}
                      next: continue
              - add: {assign: [{n: "${n + v}"}]}
        next: answer
    - never: {return: wrong}
    - answer: {return: "${n}"}
    """)
    assert ended.result == 12


def test_an_empty_list_starts_nothing(run: Any) -> None:
    ended = run("""
    - loop: {parallel: {for: {value: v, in: [], steps: [{a: {raise: never}}]}}}
    - answer: {return: 1}
    """)
    assert ended.result == 1


@pytest.mark.parametrize(("limit", "tag"), [("${0}", "ValueError"), ('${"2"}', "TypeError")])
def test_a_limit_must_be_a_positive_integer(run: Any, limit: str, tag: str) -> None:
    ended = run(f"""
    - loop:
        parallel:
          concurrency_limit: '{limit}'
          for: {{value: v, in: [1], steps: [{{a: {{assign: [{{x: 1}}]}}}}]}}
    """)
    assert tag in ended.tags


def test_after_a_hundred_errors_the_list_is_cut(run: Any) -> None:
    ended = run("""
    - loop: {parallel: {for: {value: v, range: [1, 120], steps: [{a: {raise: "${string(v)}"}}]}}}
    """)
    assert len(ended.payload["branches"]) == 100
    assert ended.payload["truncated"] is True
