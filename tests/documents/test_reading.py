"""From bytes to documents: what is looked at, what is refused, and laws that hold for any bytes."""

import string
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.documents import Loaded, load

Break = Callable[..., list[str]]
OURS = b"apiVersion: pointsman.dev/v1\n"


def alone(text: str | bytes, **options: bool) -> list[tuple[str, int, int, str]]:
    """Faults of one file that is a part of a repository: code, line, column, path."""
    data = text if isinstance(text, bytes) else text.encode()
    loaded = load({"a.yaml": data}, part=True)
    return [(fault.code, fault.line, fault.column, fault.path) for fault in loaded.faults]


@pytest.mark.parametrize(
    "text",
    [
        "kind: Platform\n",
        "{{ .Values.pointsman }}\n",
        "apiVersion: v1\nkind: ConfigMap\ndata: {a: pointsman.dev/v1, b: ~}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: {pointsman.dev/x: y}}\nx: {<<: {a: b}}\n",
        "# pointsman.dev/\n---\n---\n# nothing\n--- ~\n",
        "- pointsman.dev/patch\n",
        "commonLabels: {pointsman.dev/x: y}\nkind: Kustomization\n",
    ],
    ids=["without-our-text", "template", "other-group", "others-faults", "empty", "a-list", "without-version"],
)
def test_what_is_not_ours_is_skipped(text: str) -> None:
    loaded = load({"a.yaml": text.encode()}, part=True)
    assert (loaded.documents, loaded.faults) == (0, ())


def test_only_yaml_files_are_looked_at() -> None:
    assert load({"a.json": OURS + b"kind: [", "b.txt": OURS + b"kind: ["}, part=True).faults == ()
    assert len(load({"a.yml": OURS + b"kind: [", "b.yaml": OURS + b"kind: ["}, part=True).faults) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apiVersion: pointsman.dev/v1\nspec: [\n", ("syntax", 3, 1, "")),
        ("apiVersion: pointsman.dev/v1\nspec:\n\t- a\n", ("syntax", 3, 1, "")),
        ("apiVersion: pointsman.dev/v1\nkind: a: b\n", ("syntax", 2, 8, "")),
        ('apiVersion: pointsman.dev/v1\nkind: "a\nspec: {}\n', ("syntax", 2, 7, "")),
        ("apiVersion: pointsman.dev/v1\nkind: [a\nspec: {}\n", ("syntax", 2, 7, "")),
        ("apiVersion: pointsman.dev/v1\nkind: {a: b\nspec: {}\n", ("syntax", 2, 7, "")),
        ("apiVersion: pointsman.dev/v1\nkind ModelService\nspec: {}\n", ("syntax", 2, 1, "")),
        ("apiVersion: pointsman.dev/v1\nkind: [\n  {a: b},\n  {c: d}\n  {e: f}\n]\n", ("syntax", 5, 3, "")),
        ("apiVersion: pointsman.dev/v1\nkind: *nobody\n", ("syntax", 2, 7, "")),
        ("apiVersion: pointsman.dev/v1\nspec: &a [*a]\n", ("syntax", 2, 11, "")),
        ("apiVersion: pointsman.dev/v1\n? [a]\n: b\n", ("syntax", 2, 3, "")),
        (OURS + b"kind: \xff\n", ("syntax", 1, 1, "")),
        (OURS + b"kind: \x00\n", ("syntax", 1, 1, "")),
        ("- {apiVersion: pointsman.dev/v1, kind: Platform}\n", ("wrong-type", 1, 1, "")),
        ("apiVersion:pointsman.dev/v1\n", ("wrong-type", 1, 1, "")),
        ("kind: Platform # pointsman.dev/\n", ("missing-field", 1, 1, "apiVersion")),
        ("apiVersion: pointsman.dev/v1\n", ("missing-field", 1, 1, "kind")),
        ("apiVersion: pointsman.dev/v1\nkind: 7\n", ("wrong-type", 2, 1, "kind")),
        ("apiVersion: pointsman.dev/v1\nkind: ~\n", ("wrong-type", 2, 1, "kind")),
        ("apiVersion: pointsman.dev/v1beta1\nkind: Platform\n", ("unknown-reference", 1, 1, "apiVersion")),
        ("apiVersion: pointsman.dev/v1\nkind: Pool\n", ("unknown-reference", 2, 1, "kind")),
    ],
)
def test_what_cannot_be_read_is_one_fault(text: str | bytes, expected: tuple[str, int, int, str]) -> None:
    assert alone(text) == [expected]


def test_deep_nesting_is_refused_before_anything_recurses() -> None:
    assert alone(b"# pointsman.dev/\n" + b"[" * 100_000) == [("too-large", 2, 66, "")]
    assert alone(b"# pointsman.dev/\n" + b"[" * 64 + b"]" * 64) == []


def test_an_anchor_counts_as_often_as_it_is_used() -> None:
    lines = ["# pointsman.dev/", "a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert alone("\n".join(lines)) == [("too-large", 6, 8, "")]


def test_an_anchor_is_as_deep_where_it_is_used_as_what_it_names() -> None:
    deep = f"# pointsman.dev/\na: &a {'[' * 40}{']' * 40}\nb: {'[' * 40}*a{']' * 40}\n"
    assert alone(deep) == [("too-large", 3, 44, "")]


@pytest.mark.parametrize(("size", "faults"), [(512 * 1024, []), (512 * 1024 + 1, [("too-large", 1, 1, "")])])
def test_a_file_may_have_512_kib(size: int, faults: list[tuple[str, int, int, str]]) -> None:
    text = b"# pointsman.dev/"
    assert alone(text + b"x" * (size - len(text))) == faults


def test_a_file_may_have_20000_values() -> None:
    def values(count: int) -> str:
        return f"# pointsman.dev/\n[{','.join('x' * (count - 1))}]\n"

    assert alone(values(20_000)) == []
    assert [fault[0] for fault in alone(values(20_001))] == ["too-large"]


def test_a_repository_may_have_5000_documents() -> None:
    policy = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: p%d}\n---\n"
    files = {
        f"{part}.yaml": "".join(policy % (part * 1000 + index) for index in range(1000)).encode() for part in range(5)
    }
    loaded = load(files, part=True)
    assert (loaded.documents, loaded.faults) == (5000, ())
    loaded = load({**files, "z.yaml": (policy % 5000).encode()}, part=True)
    (fault,) = loaded.faults
    assert (fault.code, fault.file, fault.line) == ("too-large", "z.yaml", 1)


def test_a_number_too_long_to_be_written_is_refused() -> None:
    text = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: p}\nspec: {onNewRevision: 0x%s}\n"
    assert alone(text % ("f" * 20_000)) == [("syntax", 4, 23, "spec.onNewRevision")]
    assert alone(text % ("f" * 30)) == [("wrong-type", 4, 8, "spec.onNewRevision")]


def test_a_fault_is_one_line_and_steers_no_terminal() -> None:
    text = 'apiVersion: pointsman.dev/v1\nkind: "a\\n\\e[31mb"\n'
    (fault,) = load({"a.yaml": text.encode()}, part=True).faults
    assert str(fault).startswith(r'a.yaml:2:1 kind: no kind "a\n\x1b[31mb" — use one of Platform')


def test_a_field_in_the_wrong_map_is_told_where_it_belongs() -> None:
    text = """\
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata: {name: p, steps: []}
spec: {profile: Safe}
"""
    remedies = [fault.remedy for fault in load({"a.yaml": text.encode()}, part=True).faults]
    assert remedies == ["known here: name, namespace, labels, annotations", "it belongs in spec.judge"]


def test_an_alias_for_a_value_is_taken() -> None:
    text = """\
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata: {name: p}
spec: {steps: [{weight: 5, hold: &hold 20m}, {weight: 25, hold: *hold}]}
"""
    assert alone(text) == []


def test_a_fault_inside_an_anchor_lies_where_it_is_used() -> None:
    text = """\
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata: {name: p, annotations: &notes {a: b}}
spec:
  judge: *notes
"""
    assert alone(text) == [("unknown-field", 5, 3, "spec.judge.a")]


def test_documents_of_other_tools_in_a_file_are_skipped_and_ours_keep_their_lines() -> None:
    text = (
        "apiVersion: v1\nkind: Namespace\n---\napiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {nam: p}\n"
    )
    assert alone(text) == [("unknown-field", 6, 12, "metadata.nam")]


def test_a_byte_order_mark_is_no_part_of_the_first_word() -> None:
    assert alone(b"\xef\xbb\xbf" + OURS + b"kind: RolloutPolicy\nmetadata: {name: p}\n") == []


# --- laws ------------------------------------------------------------------------------------------------

PIECES = """\
apiVersion: pointsman.dev/v1|kind: ModelService|kind: Platform|kind: RolloutPolicy|metadata:|spec:|  name: a|  steps:
    - weight: 5|      hold: 1h|  model: {uri: a:b}|  template: {spec: {}}|---|  clusters: [{name: a}]|&a|*a|<<: *a|? |-
!!int x|~|[|]|{|}|"|\t|1: 2|!!timestamp x|!!bool x|!!float x|!!binary '*'|2026-13-45|2001-99-99T99:99:99Z|=|<<|1:99:99
.inf"""
WORDS = st.sampled_from([piece for line in PIECES.split("\n") for piece in line.split("|")])
TEXTS = st.lists(st.one_of(WORDS, st.text(string.printable, max_size=8)), max_size=30).map("\n".join)
FILES = st.dictionaries(
    st.sampled_from(["a.yaml", "b.yml", "teams/nlp/c.yaml", "d.txt"]),
    st.one_of(
        st.binary(max_size=200).map(lambda data: b"# pointsman.dev/\n" + data),
        TEXTS.map(lambda text: f"apiVersion: pointsman.dev/v1\n{text}".encode()),
    ),
    max_size=3,
)


def inside(loaded: Loaded, files: dict[str, bytes]) -> bool:
    for fault in loaded.faults:
        text = files.get(fault.file, b"")
        if fault.file != "." and not 1 <= fault.line <= text.count(b"\n") + text.count(b"\r") + 1:
            return False
        if fault.column < 1 or not fault.code or not fault.problem or not fault.remedy:
            return False
    return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
def test_any_bytes_give_faults_with_places_and_never_an_exception(files: dict[str, bytes]) -> None:
    loaded = load(files, branch="main")
    assert (loaded.config is None) == bool(loaded.faults)
    assert inside(loaded, files)
    assert list(loaded.faults) == sorted(
        loaded.faults, key=lambda fault: (fault.file, fault.line, fault.column, fault.path, fault.code)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_files_decides_nothing(repository: dict[str, bytes], data: st.DataObject) -> None:
    broken = {
        **repository,
        "z.yaml": repository["platform.yaml"],
        "teams/nlp/b.yaml": repository["teams/nlp/chat.yaml"],
    }
    order = data.draw(st.permutations(sorted(broken)))
    assert load({name: broken[name] for name in order}) == load(broken)


KEYS = st.sampled_from(
    [
        "spec",
        "metadata",
        "model",
        "template",
        "containers",
        "steps",
        "namespaces",
        "name",
        "replicas",
        "route",
        "weight",
        "candidates",
    ]
)
VALUES = st.sampled_from(
    ["7", "x", "[]", "{}", "~", "yes", "-1", "[1, {a: b}]", "{name: 1}", "1.5", "2026-01-01", "'7'"]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_document_with_any_value_anywhere_is_judged(repository: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(repository)))
    lines = repository[name].decode().splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key = lines[at].partition(":")[0]
    lines[at] = f"{key}: {data.draw(VALUES)}"
    # What was below the line goes, so that the file stays YAML more often than not.
    indent = len(key) - len(key.lstrip(" -"))
    rest = lines[at + 1 :]
    while rest and len(rest[0]) - len(rest[0].lstrip(" ")) > indent:
        rest.pop(0)
    files = {**repository, name: "\n".join([*lines[: at + 1], *rest]).encode()}
    loaded = load(files, branch="main")
    assert inside(loaded, files)
