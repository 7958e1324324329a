"""Callback endpoints in virtual time: "Wait using callbacks"."""

from typing import Any

import pytest


def test_nobody_rings_and_the_wait_times_out_in_virtual_time(run: Any) -> None:
    ended = run("""
    - create: {call: events.create_callback_endpoint, args: {http_callback_method: POST}, result: cb}
    - init: {assign: [{start: "${sys.now()}"}]}
    - wait:
        try: {call: events.await_callback, args: {callback: "${cb}", timeout: 3600}}
        except: {as: e, steps: [{answer: {return: '${["TimeoutError" in e.tags, sys.now() - start]}'}}]}
    """)
    timed_out, seconds = ended.result
    assert timed_out is True
    assert seconds == pytest.approx(3600, abs=0.001)


def test_the_default_timeout_is_twelve_hours(run: Any) -> None:
    ended = run("""
    - create: {call: events.create_callback_endpoint, result: cb}
    - init: {assign: [{start: "${sys.now()}"}]}
    - wait:
        try: {call: events.await_callback, args: {callback: "${cb}"}}
        except: {as: e, steps: [{answer: {return: "${sys.now() - start}"}}]}
    """)
    assert ended.result == pytest.approx(43200, abs=0.001)


def test_the_url_belongs_to_the_execution(run: Any) -> None:
    url = run("""
    - create: {call: events.create_callback_endpoint, result: cb}
    - answer: {return: "${cb.url}"}
    """).result
    assert url.startswith(
        "https://workflowexecutions.googleapis.com/v1/projects/lab/locations/us-central1/workflows/tested/executions/"
    )
    assert "/callbacks/" in url


RINGS = """
- create: {call: events.create_callback_endpoint, result: cb}
- init: {assign: [{got: []}, {codes: []}]}
- both:
    parallel:
      shared: [got, codes]
      branches:
        - waits:
            steps:
              - later: {call: sys.sleep, args: {seconds: DELAY}}
              - one: {call: events.await_callback, args: {callback: "${cb}", timeout: 100}, result: answer}
              - note: {assign: [{got: "${list.concat(got, answer)}"}]}
        - rings:
            steps:
              - loop:
                  for:
                    value: n
                    range: [1, 2]
                    steps:
                      - pause: {call: sys.sleep, args: {seconds: 10}}
                      - ring:
                          try:
                            call: http.post
                            args: {url: "${cb.url}", body: {n: "${n}"}}
                            result: r
                          except:
                            as: e
                            steps:
                              - refused: {assign: [{codes: "${list.concat(codes, e.code)}"}], next: continue}
                      - taken: {assign: [{codes: "${list.concat(codes, r.code)}"}]}
- answer: {return: {got: "${got}", codes: "${codes}"}}
"""


def test_a_request_wakes_who_waits_and_the_next_is_kept(run: Any) -> None:
    ended = run(RINGS.replace("DELAY", "1"))
    assert ended.context is None
    assert ended.result["codes"] == [200, 200]
    (got,) = ended.result["got"]
    assert got["type"] == "HTTP"
    assert got["http_request"]["method"] == "POST"
    assert got["http_request"]["body"] == {"n": 1}
    assert got["received_time"].endswith("Z")


def test_a_request_before_the_wait_is_kept_and_a_second_one_refused_meanwhile(run: Any) -> None:
    ended = run(RINGS.replace("DELAY", "60"))
    assert ended.result["codes"] == [200, 429]
    assert [got["http_request"]["body"] for got in ended.result["got"]] == [{"n": 1}]


def test_a_request_arrives_as_it_would_over_http(run: Any) -> None:
    ended = run("""
    - create: {call: events.create_callback_endpoint, result: cb}
    - ring:
        call: http.post
        args: {url: '${cb.url + "?a=b%20c"}', query: {n: 1, yes: true}, headers: {X-Mine: x}, body: {k: [1, null]}}
    - wait: {call: events.await_callback, args: {callback: "${cb}"}, result: got}
    - answer: {return: "${got.http_request}"}
    """)
    request = ended.result
    assert request["query"] == {"a": "b c", "n": "1", "yes": "true"}
    assert request["body"] == {"k": [1, None]}
    assert request["headers"]["X-Mine"] == "x"
    assert request["headers"]["Content-Type"].startswith("application/json")
    assert request["url"].startswith("/v1/projects/lab/locations/us-central1/workflows/tested/executions/")
    assert "?" not in request["url"]


def test_other_methods_and_endpoints_are_refused(run: Any) -> None:
    ended = run("""
    - create: {call: events.create_callback_endpoint, args: {http_callback_method: GET}, result: cb}
    - one:
        try: {call: http.post, args: {url: "${cb.url}"}}
        except: {as: e, steps: [{note: {assign: [{x: 1}], next: two}}]}
    - never: {raise: accepted}
    - two:
        try: {call: http.get, args: {url: '${cb.url + "x"}'}}
        except: {as: e, steps: [{answer: {return: "${e.code}"}}]}
    """)
    assert ended.result == 404


@pytest.mark.parametrize(
    ("arguments", "tag"),
    [
        ('{callback: {url: "https://example.com/callbacks/x"}}', "ValueError"),
        ("{callback: {}}", "TypeError"),
        ("{callback: text}", "TypeError"),
        ('{callback: "${cb}", timeout: soon}', "TypeError"),
        ('{callback: "${cb}", timeout: -1}', "ValueError"),
    ],
)
def test_wrong_arguments(run: Any, arguments: str, tag: str) -> None:
    ended = run(f"""
    - create: {{call: events.create_callback_endpoint, result: cb}}
    - wait: {{call: events.await_callback, args: {arguments}}}
    """)
    assert tag in ended.tags


@pytest.mark.parametrize(("method", "tag"), [("TRACE", "ValueError"), ("post", "ValueError"), (5, "TypeError")])
def test_wrong_methods(run: Any, method: Any, tag: str) -> None:
    ended = run(f"- create: {{call: events.create_callback_endpoint, args: {{http_callback_method: {method}}}}}")
    assert tag in ended.tags
