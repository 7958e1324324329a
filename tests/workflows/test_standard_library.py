"""The standard library: one table, by the reference's pages."""

import hashlib
import re
from typing import Any

import pytest


def case(expression: str, expected: Any) -> Any:
    return pytest.param(expression, expected, id=expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        case('int("42")', 42),
        case('int("-7")', -7),
        case("int(2.7)", 2),
        case("int(-2.7)", -2),
        case("double(3)", 3.0),
        case('double("2.7")', 2.7),
        case('double("1e3")', 1000.0),
        case("string(7)", "7"),
        case("string(1.7)", "1.7"),
        case("string(true)", "true"),
        case('string("s")', "s"),
        case('keys({"a": 1, "b": 2})', ["a", "b"]),
        case("len([1, 2, 3])", 3),
        case('len({"a": 1})', 1),
        case('len("añb")', 3),
        case('default(null, "d")', "d"),
        case('default(0, "d")', 0),
        case('default(false, "d")', False),
        case('if(1 < 2, "yes", "no")', "yes"),
        case('if(false, "yes", "no")', "no"),
        case('if(null, "yes", "no")', "no"),
        case("get_type(1)", "integer"),
        case("get_type(1.0)", "double"),
        case('get_type("")', "string"),
        case("get_type(true)", "boolean"),
        case("get_type(null)", "null"),
        case("get_type([])", "list"),
        case("get_type({})", "map"),
        case('get_type(text.encode("a"))', "bytes"),
        case('base64.encode(text.encode("hello?>"))', "aGVsbG8/Pg=="),
        case('base64.encode(text.encode("hello?>"), false)', "aGVsbG8/Pg"),
        case('text.decode(base64.decode("aGVsbG8="))', "hello"),
        case('text.decode(base64.decode("aGVsbG8", false))', "hello"),
        case('text.decode(base64.decode("aGVs\\r\\nbG8=\\n"))', "hello"),
        case('text.decode(base64.decode("YS+A/w=="))', "a/\ufffd\ufffd"),
        case('text.decode(base64.decode("YfY="), "us-ascii")', "a\ufffd"),
        case('json.decode(base64.decode("WyJh/yJd"))', ["a\ufffd"]),
        case('json.decode("\\"\\\\ud83d\\\\ude00 \\\\ud83d\\"")', "\U0001f600 \ufffd"),
        case('"\\ud800"', "\ufffd"),
        case('json.decode("{\\"a\\": [1, 2.5, null, true]}")', {"a": [1, 2.5, None, True]}),
        case('json.decode(text.encode("[1]"))', [1]),
        case('json.encode_to_string({"a": 1})', '{"a":1}'),
        case('json.encode_to_string("é")', '"é"'),
        case('text.decode(json.encode([1, "a", null]))', '[1,"a",null]'),
        case('json.encode_to_string({"a": [1]}, true)', '{\n    "a": [\n        1\n    ]\n}'),
        case("json.encode_to_string([1], {})", "[\n    1\n]"),
        case('json.encode_to_string([1], {"prefix": ">", "indent": " "})', "[\n> 1\n>]"),
        case("json.encode_to_string([1], false)", "[1]"),
        case("list.concat([1], 2)", [1, 2]),
        case("list.concat([1], [2, 3])", [1, [2, 3]]),
        case("list.prepend([1], 0)", [0, 1]),
        case('map.get({"a": 1}, "a")', 1),
        case('map.get({"a": 1}, "b")', None),
        case('map.get({"a": {"b": {"c": 1}}}, ["a", "b", "c"])', 1),
        case('map.get({"a": {"b": 1}}, ["a", "x", "c"])', None),
        case('map.get({"a": 1}, ["a", "b"])', None),
        case('map.get(null, "a")', None),
        case('map.get([1], "a")', None),
        case('default(map.get({}, "k"), "none")', "none"),
        case('map.delete({"a": 1, "b": 2}, "a")', {"b": 2}),
        case('map.delete({"a": 1}, "zzz")', {"a": 1}),
        case('map.merge({"a": 1, "b": 1}, {"b": 2, "c": 3})', {"a": 1, "b": 2, "c": 3}),
        case('map.merge({"a": {"x": 1}}, {"a": {"y": 2}})', {"a": {"y": 2}}),
        case('map.merge_nested({"a": {"x": 1, "y": 1}}, {"a": {"y": 2}})', {"a": {"x": 1, "y": 2}}),
        case('map.merge_nested({"a": {"x": 1}}, {"a": 5})', {"a": 5}),
        case("math.abs(-3)", 3),
        case("math.abs(-2.5)", 2.5),
        case("math.floor(2.9)", 2),
        case("math.floor(-2.1)", -3),
        case("math.max(1, 2)", 2),
        case("math.min(1.5, 2)", 1.5),
        case("retry.default_backoff.multiplier", 1.25),
        case("http.default_retry.max_retries", 5),
        case('text.find_all("banana", "an")', [1, 3]),
        case('text.find_all("00000", "00")', [0, 2]),
        case('text.find_all("banana", "x")', []),
        case('text.find_all_regex("ab12cd3", "[0-9]+")', [{"index": 2, "match": "12"}, {"index": 6, "match": "3"}]),
        case('text.find_all_regex("abab", "a|ab")', [{"index": 0, "match": "ab"}, {"index": 2, "match": "ab"}]),
        case('text.find_all_regex("ééb", "b")', [{"index": 2, "match": "b"}]),
        case('text.match_regex("hello world", "w.rld$")', True),
        case('text.match_regex("hello", "^ello")', False),
        case('text.match_regex("a1", "\\\\d")', True),
        case('text.replace_all("a.b.c", ".", "-")', "a-b-c"),
        case('text.replace_all_regex("a1b22", "[0-9]+", "<\\\\0>")', "a<\\0>b<\\0>"),
        case('text.split("a,b,,c", ",")', ["a", "b", "", "c"]),
        case('text.split("abc", "|")', ["abc"]),
        case('text.substring("hello", 1, 3)', "el"),
        case('text.substring("hello", 0, 5)', "hello"),
        case('text.substring("hello", 2, 4)', "ll"),
        case('text.substring("hello", -10, 10)', "hello"),
        case('text.substring("hello", -3, -1)', "ll"),
        case('text.substring("hello", 4, 2)', ""),
        case('text.substring("hello", 9, 12)', ""),
        case('text.to_lower("ÀB")', "àb"),
        case('text.to_upper("àb")', "ÀB"),
        case('text.url_encode("a b/c?ü")', "a%20b%2Fc%3F%C3%BC"),
        case('text.url_encode("a/b/c?item=d+e f")', "a%2Fb%2Fc%3Fitem%3Dd%2Be%20f"),
        case('text.url_encode("a.b-c_d~e")', "a.b-c_d%7Ee"),
        case('text.url_encode_plus("a b/c")', "a+b%2Fc"),
        case('text.url_decode("a%20b+c%2F")', "a b c/"),
        case('text.decode(text.encode("é", "ISO-8859-1"), "ISO-8859-1")', "é"),
        case("time.format(1720788633)", "2024-07-12T12:50:33.000000Z"),
        case('time.format(1720788633, "GMT")', "2024-07-12T12:50:33.000000Z"),
        case('time.format(1720788633.5, "")', "2024-07-12T12:50:33.500000Z"),
        case('time.format(1720788633, "Europe/Berlin")', "2024-07-12T14:50:33.000000+02:00"),
        case('time.parse("2024-07-12T12:50:33Z")', 1720788633.0),
        case('time.parse("2024-07-12T14:50:33.250+02:00")', 1720788633.25),
        case('base64.encode(hash.compute_checksum(text.encode("a"), "MD5"))', "DMF1ucDxtqgxw5niaXcmYQ=="),
        case("len(json.encode_to_string({}))", 2),
    ],
)
def test_answers(run: Any, expression: str, expected: Any) -> None:
    ended = run.value(expression)
    assert ended.refused is None
    assert ended.result == expected
    assert type(ended.result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "tag"),
    [
        case('int("abc")', "ValueError"),
        case('int("2.5")', "ValueError"),
        case("int(true)", "TypeError"),
        case("int(null)", "TypeError"),
        case("int(1e30)", "ValueError"),
        case('double("x")', "ValueError"),
        case("double([])", "TypeError"),
        case("string({})", "TypeError"),
        case("string(null)", "TypeError"),
        case("keys([1])", "TypeError"),
        case("len(1)", "TypeError"),
        case("len(null)", "TypeError"),
        case('if(1, "a", "b")', "TypeError"),
        case("if(true, 1, 1 / 0)", "ZeroDivisionError"),
        case('base64.decode("%%%")', "ValueError"),
        case("base64.decode(1)", "TypeError"),
        case('base64.encode("text")', "TypeError"),
        case('json.decode("{")', "ValueError"),
        case('json.decode("NaN")', "ValueError"),
        case('json.decode("1e999")', "ValueError"),
        case("json.decode(1)", "TypeError"),
        case('json.encode(text.encode("a"))', "ValueError"),
        case("json.encode(1, 2)", "TypeError"),
        case("list.concat(1, 2)", "TypeError"),
        case("list.prepend({}, 2)", "TypeError"),
        case("map.get({}, 1)", "TypeError"),
        case('map.get({}, ["a", 1])', "TypeError"),
        case("map.delete([], 1)", "TypeError"),
        case("map.merge({}, null)", "TypeError"),
        case("map.merge_nested([], {})", "TypeError"),
        case('math.abs("1")', "TypeError"),
        case("math.max(1, true)", "TypeError"),
        case('hash.compute_checksum("text", "SHA256")', "TypeError"),
        case('hash.compute_checksum(text.encode("a"), "CRC")', "ValueError"),
        case("text.to_lower(1)", "TypeError"),
        case('text.match_regex("a", "(")', "ValueError"),
        case('text.match_regex("aa", "(a)\\\\1")', "ValueError"),
        case("text.substring(1, 0, 1)", "TypeError"),
        case('text.substring("abc", 0, 1.0)', "TypeError"),
        case('text.substring("abc", "0", 1)', "TypeError"),
        case('text.decode("text")', "TypeError"),
        case('text.decode(base64.decode("/w=="), "no-such")', "ValueError"),
        case('text.encode("é", "ascii")', "ValueError"),
        case('text.encode("a", "no-such")', "ValueError"),
        case('text.url_decode("%zz")', "ValueError"),
        case('time.format(0, "No/Where")', "ValueError"),
        case('time.format("0")', "TypeError"),
        case('time.parse("yesterday")', "ValueError"),
        case('time.parse("2024-13-01T00:00:00Z")', "ValueError"),
        case("time.parse(0)", "TypeError"),
        case("sys.get_env(1)", "TypeError"),
        case('sys.get_env("X", 1)', "TypeError"),
    ],
)
def test_errors(run: Any, expression: str, tag: str) -> None:
    ended = run.value(expression)
    assert ended.refused is None
    assert tag in ended.tags


@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "SHA256", "SHA384", "SHA512"])
def test_checksums_are_those_of_the_algorithm(run: Any, algorithm: str) -> None:
    ended = run.value(f'base64.encode(hash.compute_checksum(text.encode("data"), "{algorithm}"))')
    import base64

    assert base64.b64decode(ended.result) == hashlib.new(algorithm.lower(), b"data").digest()


def test_hmac_of_the_published_vector(run: Any) -> None:
    # RFC 4231, test case 2
    ended = run.value(
        'base64.encode(hash.compute_hmac(text.encode("Jefe"), text.encode("what do ya want for nothing?"), "SHA256"))'
    )
    import base64

    assert base64.b64decode(ended.result).hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_uuids_differ_and_are_version_4(run: Any) -> None:
    one, two = run.value("[uuid.generate(), uuid.generate()]").result
    assert one != two
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)


def test_environment(run: Any) -> None:
    source = """
    - answer:
        return:
          - ${sys.get_env("MINE")}
          - ${sys.get_env("GOOGLE_CLOUD_PROJECT_ID")}
          - ${sys.get_env("GOOGLE_CLOUD_LOCATION")}
          - ${sys.get_env("GOOGLE_CLOUD_WORKFLOW_ID")}
          - ${sys.get_env("UNSET")}
          - ${sys.get_env("UNSET", "otherwise")}
    """
    assert run(source, env={"MINE": "x"}).result == ["x", "lab", "us-central1", "tested", None, "otherwise"]


@pytest.mark.parametrize(
    ("arguments", "logged"),
    [
        ("{text: hello}", ("DEFAULT", "hello")),
        ("{text: hello, severity: WARNING}", ("WARNING", "hello")),
        ("{json: {a: 1}, severity: INFO}", ("INFO", {"a": 1})),
        ("{data: '${[1, 2]}'}", ("DEFAULT", [1, 2])),
        ('["message", "ERROR"]', ("ERROR", "message")),
    ],
)
def test_log(run: Any, arguments: str, logged: Any) -> None:
    assert run(f"- a: {{call: sys.log, args: {arguments}}}").logs == [logged]


@pytest.mark.parametrize(
    ("arguments", "tag"),
    [
        ("{}", "TypeError"),
        ("{text: a, data: b}", "TypeError"),
        ("{json: text}", "TypeError"),
        ("{data: '${text.encode(\"a\")}'}", "TypeError"),
        ("{text: '${text.encode(\"a\")}'}", "TypeError"),
        ("{text: a, severity: LOUD}", "ValueError"),
    ],
)
def test_log_takes_exactly_one_payload(run: Any, arguments: str, tag: str) -> None:
    assert tag in run(f"- a: {{call: sys.log, args: {arguments}}}").tags


def test_sleeping_moves_the_clock_and_costs_nothing(run: Any) -> None:
    ended = run("""
    - init: {assign: [{start: "${sys.now()}"}]}
    - a: {call: sys.sleep, args: {seconds: 86400}}
    - b: {call: sys.sleep, args: {seconds: 0.5}}
    - c: {call: sys.sleep_until, args: {time: "${time.format(start + 100000)}"}}
    - d: {call: sys.sleep_until, args: {time: "2001-01-01T00:00:00Z"}}
    - answer: {return: "${[get_type(start), sys.now() - start]}"}
    """)
    kind, slept = ended.result
    assert kind == "double"
    assert slept == pytest.approx(100000, abs=0.001)


@pytest.mark.parametrize(
    ("call", "tag"),
    [
        ("call: sys.sleep, args: {seconds: '10'}", "TypeError"),
        ("call: sys.sleep, args: {seconds: -1}", "ValueError"),
        ("call: sys.sleep, args: {seconds: 31536001}", "ValueError"),
        ("call: sys.sleep_until, args: {time: 5}", "TypeError"),
        ("call: sys.sleep_until, args: {time: tomorrow}", "ValueError"),
        ("call: googleapis.compute.v1.instances.insert, args: {project: p}", "HttpError"),
        ("call: gke.request, args: {cluster_id: c, path: /api, method: GET}", "HttpError"),
    ],
)
def test_errors_of_calls_that_wait(run: Any, call: str, tag: str) -> None:
    ended = run(f"- a: {{{call}}}")
    assert ended.refused is None
    assert tag in ended.tags


def test_an_unknown_connector_names_itself(run: Any) -> None:
    ended = run("- a: {call: googleapis.compute.v1.instances.insert, args: {project: p}}")
    assert ended.payload["code"] == 501
    assert "UNIMPLEMENTED: googleapis.compute.v1.instances.insert" in ended.payload["message"]


def test_functions_may_be_called_by_a_step(run: Any) -> None:
    ended = run("""
    - a: {call: text.split, args: {source: "a-b", separator: "-"}, result: parts}
    - b: {call: len, args: ["${parts}"], result: n}
    - answer: {return: "${[parts, n]}"}
    """)
    assert ended.result == [["a", "b"], 2]
