"""`docs/reference/errors.md`: every code that an error or a fault can have, read from the code that gives it."""

import ast
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pointsman.errors
from pointsman.errors import PointsmanError
from pointsman.handlers.answering import guarded

__all__ = ["errors", "fault_codes"]

DOCUMENTS = Path(pointsman.errors.__file__).parent / "documents"

# Call → which of its arguments is the code.
_CODE = {"Problem": 0, "Flaw": 0, "Unreadable": 0, "Fault": 3}

_FAULTS: Mapping[str, tuple[str, str]] = {
    "accelerator-mismatch": (
        "The template asks for another accelerator, or another number of them, than the pool's candidates have.",
        "ask for what a node has, or change the candidates; all candidates of a pool offer the same",
    ),
    "branch-mismatch": (
        "The Platform names another branch than the one this head is of.",
        "set `spec.branch` to it, or remove the field",
    ),
    "candidate-invalid": (
        "A candidate of an AcceleratorPool lacks a field that its provisioning needs, or has one of another.",
        "see the fields of `Candidate`; a reservation needs its name and one zone",
    ),
    "cap-below-minimum": (
        "The nodes that are always kept cost more than the spending cap.",
        "raise `spendingCap.perHour`, or lower `nodes.min`",
    ),
    "deadline-too-short": (
        "`deadlines.rollout` is less than holds, approvals, bake and placing may take together.",
        "raise it, or shorten them",
    ),
    "duplicate-document": ("Two documents, or two items of a list, have one name.", "rename or remove one"),
    "duplicate-key": ("A map has one key twice, which YAML takes and forgets the first.", "keep one"),
    "experiment-same": ("An experiment's other model is the service's own.", "name the other version"),
    "foreign-account": (
        "The template names a service account that the namespace may not use.",
        "use one of the namespace's `serviceAccounts`",
    ),
    "foreign-namespace": (
        "The folder belongs to another namespace than the document names.",
        "move the file, or change `metadata.namespace`",
    ),
    "foreign-target": (
        "An AlertRule scales a pool that no service of its namespace uses.",
        "scale a pool that its services use",
    ),
    "hostname-missing": (
        "The service has no host name, and the Platform has no domain to make one of.",
        "set `route.hostnames`, or the gateway's `domain`",
    ),
    "image-unpinned": (
        "An image's tag may change under a revision, as `latest` does.",
        "use a digest, or another tag",
    ),
    "immutable": ("The field is not what it was in the commit applied.", "make a new object, and move what uses it"),
    "metric-not-selector": (
        "A metric of one's own is a PromQL expression, not a series.",
        'give the series itself, as `http_requests_total{code=~"5.."}`',
    ),
    "missing-field": ("A required field is not there.", "add it"),
    "model-source": (
        "The model has no source, two sources, or a registry that is not clear.",
        "give `uri`, or `name` with `alias` or `version`, and the registry",
    ),
    "namespace-unclear": (
        "No namespace is named, and none owns the folder.",
        "set `metadata.namespace`, or list the folder in the Platform",
    ),
    "out-of-bounds": (
        "The value has the right type, and is too small, too large or not among those known.",
        "choose one that the fault names",
    ),
    "platform-missing": ("The repository has no Platform.", "add one, as `examples/demo/platform.yaml`"),
    "platform-scope": (
        "A kind, or a field, that is the platform's stands where a namespace's documents are.",
        "move it out of the folder, or remove the field",
    ),
    "policy-not-allowed": ("The namespace does not allow the policy.", "choose one of `allowedPolicies`"),
    "pool-elsewhere": ("The pool is in another cluster than the service.", "use a pool of the service's cluster"),
    "pool-too-small": (
        "Stable and canary beside one another need more nodes than `nodes.max`.",
        "raise `nodes.max`, or lower `replicas`",
    ),
    "port-unclear": ("The server has several ports, and none is named `http` or `h2c`.", "name the serving one `http`"),
    "reserved-label": ("A label or annotation begins with `pointsman.dev/`.", "use a prefix of your own"),
    "route-taken": ("Another service has this host name and path.", "change one of them"),
    "syntax": ("The file is no YAML that can be read, or uses what documents may not (tags, merge keys).", "as told"),
    "too-large": ("The file, its depth or what its anchors expand to is over the limit.", "split the file"),
    "unknown-field": ("No such field here.", "use the nearest known name, which the fault gives where there is one"),
    "unknown-reference": ("No document of that kind has this name.", "use the name that is meant, or add the document"),
    "unsafe-template": (
        "The pod template asks for what the namespace's Pod Security Standard refuses.",
        "do without, or ask the platform's owners for another `podSecurity`",
    ),
    "weight-over-bake": (
        "A step takes more than the bake leaves to the canary.",
        "remove the step: 100 % comes after the bake",
    ),
    "weights-order": (
        "Steps are out of order: mirrors first, then cohorts, then rising weights.",
        "change the order",
    ),
    "window-invalid": (
        "A freeze window never opens, has no such time zone, or mixes its two forms.",
        "give `schedule` and `duration`, or `start` and `end`",
    ),
    "wrong-type": (
        "The value is of another type; YAML makes a number, a truth value or a time of some texts.",
        "quote it, or write the value asked for",
    ),
}
"""Code → what it means, and how it is mended. A code without an entry stops the generator."""

_HEAD = """\
# Errors

Made by `python -m pointsman_cli.generate`: do not edit.

Every error that pointsman expects says what happened, where, and how to mend it, in one line:

```text
WHERE: WHAT — REMEDY
```

and as JSON where a function refuses: `{"code", "what", "where", "remedy"}`. The code says whether the same request may
succeed later.

## Codes of errors

| code | asked again | a function answers | an event | meaning |
|---|---|---|---|---|
"""
_DEFECT = """\
| `defect` | by events | 500 | comes back | A mistake of pointsman's own; the log has its type and place. |

Pub/Sub delivers an event that comes back up to 20 times, then the dead letter is asked once more
([topology](topology.md)). Cloud Workflows repeats a 503 and never a 500. What is not asked again is recorded as
`rejected`, with the reason: `pointsman events list`.

Exit status of the command: 0 done · 1 refused, failed or faults found · 2 wrong usage · 3 refused at deployment
(`workflows run`) · 4 local cloud not running, or a service out of reach · 130 Ctrl-C.

## Codes of faults

A fault is what is wrong in a document: `pointsman validate` and the notice of a refused commit print it as

```text
FILE:LINE:COLUMN PATH: PROBLEM — REMEDY
```

All faults of all files are told at once, and one fault applies nothing.

| code | meaning | remedy |
|---|---|---|
"""


def errors() -> str:
    """The page. Raises KeyError for a fault's code that nothing is said of."""
    codes = [_error(kind) for kind in _subclasses()]
    faults = [f"| `{code}` | {_FAULTS[code][0]} | {_FAULTS[code][1]} |" for code in sorted(fault_codes())]
    return "\n".join([_HEAD + "\n".join(codes), _DEFECT + "\n".join(faults), ""])


def fault_codes() -> set[str]:
    """Every code that the documents' loader and rules give."""
    return {code for file in sorted(DOCUMENTS.rglob("*.py")) for code in _codes(ast.parse(file.read_text()))}


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        place = _CODE.get(name)
        if place is not None and place < len(node.args):
            code = node.args[place]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value


def _subclasses() -> list[type[PointsmanError]]:
    found = (getattr(pointsman.errors, name) for name in pointsman.errors.__all__)
    return sorted((kind for kind in found if kind is not PointsmanError), key=lambda kind: str(kind.code))


def _error(kind: type[PointsmanError]) -> str:
    meaning = " ".join((kind.__doc__ or "").split())
    _, status, _ = guarded("reference", partial(_give, kind), lambda event, **fields: None)
    event = "comes back" if kind.retry else "`rejected`"
    return f"| `{kind.code}` | {'yes' if kind.retry else 'no'} | {status} | {event} | {meaning} |"


def _give(kind: type[PointsmanError]) -> tuple[str, int, dict[str, str]]:
    raise kind("as an example")
