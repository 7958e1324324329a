"""The form of a recording: one JSON object a line, by its `kind`. What the reader makes of a line that has another
form is `core.judge.recording`'s."""

from collections.abc import Mapping
from typing import Any

__all__ = ["KINDS", "recording_schema"]

Schema = dict[str, Any]

COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53}
TIME: Schema = {"type": "string", "format": "date-time"}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
SEQ: Schema = {"type": "integer", "description": "Number of the tick. Rises strictly; a gap is allowed."}
COUNTS: Schema = {"type": "array", "items": COUNT}
MODE: Schema = {"enum": ["Enforce", "Observe"], "description": "`Observe` is shown, and never rolls back."}


def recording_schema() -> Schema:
    """One line of a recording: the first is a `head`, the others follow in the order in which they were made."""
    return {
        "title": "One line of a recorded rollout",
        "description": (
            "JSON Lines. The first line is a head; ticks follow, and beside them what was decided and asked for. Lines "
            "of other kinds and fields that are not named here are kept and not judged. `pointsman judge replay` makes "
            "every verdict again."
        ),
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": TEXT},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/$defs/{kind}"}} for kind in KINDS
        ],
        "$defs": {**KINDS, "metric": METRIC, "arm": ARM, "pod": POD, "sums": SUMS},
    }


def _form(description: str, fields: Mapping[str, Schema], *required: str, **more: object) -> Schema:
    return {
        "description": description,
        "type": "object",
        "properties": dict(fields),
        "required": list(required),
        **more,
    }


def _of(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


METRIC = _form(
    "One metric of the head.",
    {
        "name": _of(TEXT, "Unique. A ratio's is the class of bad answers, a latency's and a mean's the pods' field."),
        "type": {"enum": ["ratio", "latency", "mean", "absolute"], "description": "`absolute`: the guard."},
        "of": _of(TEXT, "The total that a ratio is of. Default: `requests`."),
        "set": _of(TEXT, "The metric set that it is of. Default: the total, or the latency's own name."),
        "class": _of(TEXT, "What the judge calls a ratio's class of bad answers. Default: its name."),
        "weight": _of(
            SHARE,
            "Its part of the error rate; scaled down where all add up to more than 1. Default, unless all have "
            "one: as of a policy's metrics.",
        ),
        "edges_ms": _of(
            {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
            "Upper edges of a latency's buckets, rising; counts have one more, for what is above.",
        ),
        "margin_pct": _of({"type": "number", "minimum": 0, "maximum": 1000}, "What is forgiven, in percent."),
        "margin_ms": _of({"type": "number", "minimum": 0}, "The same in milliseconds, of a latency, if that is more."),
        "bounds": _of(
            {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}, "Least and greatest value of a mean's."
        ),
        "worse": {"enum": ["higher", "lower"], "description": "Which end of a mean is worse. Default: `higher`."},
        "limit": _of({"type": "number", "minimum": 0.01, "maximum": 0.95}, "The guard's share of bad answers."),
        "mode": MODE,
    },
    "name",
    "type",
)

SUMS = _form(
    "A mean's cumulative sums.",
    {"n": COUNT, "sum": NUMBER, "ss": _of(NUMBER, "Of squares."), "sss": _of(NUMBER, "Of cubes, where known.")},
    "n",
    "sum",
    "ss",
)

POD = _form(
    "One pod's counters. They are cumulative since `start`, so that a lost tick loses nothing. Beside those named here "
    "there is one field for each latency of the head (its counts by bucket, each request in one), each mean (its sums) "
    "and each total that a ratio is `of`.",
    {
        "id": _of(TEXT, "`*` where the counters name no pods."),
        "start": _of(
            TIME,
            "When its counters began at zero. A pod that is seen for the first time counts where that is in the tick's "
            "window, `t0` included; else from its next reading on.",
        ),
        "at": _of(TIME, "When it was read. Default: the tick's end."),
        "age_s": _of({"type": "number", "minimum": 0}, "How long it has been ready. Default: since `start`."),
        "requests": _of(COUNT, "Answered."),
        "started": _of(COUNT, "Taken in, answered or not: what is overdue is then judged before it times out."),
        "bad": _of({"type": "object", "additionalProperties": COUNT}, "Bad answers by class."),
        "stratum": _of(TEXT, "Zone, route or node class: sides are compared inside each."),
    },
    additionalProperties={"anyOf": [COUNTS, {"$ref": "#/$defs/sums"}, COUNT, TEXT]},
)

ARM = _form(
    "One side in a tick.",
    {
        "pods": {"type": "array", "items": {"$ref": "#/$defs/pod"}},
        "ready": _of(COUNT, "Pods that carry its share of the requests together."),
    },
    "pods",
)

KINDS: Mapping[str, Schema] = {
    "head": _form(
        "Whose rollout it is, what is judged and how strictly, what was known of stable before.",
        {
            "v": {"const": 1, "description": "Version of the form."},
            "rollout": TEXT,
            "model": TEXT,
            "stable": _of(TEXT, "The revision that serves."),
            "canary": _of(TEXT, "The revision under trial."),
            "metrics": {"type": "array", "items": {"$ref": "#/$defs/metric"}, "minItems": 1, "maxItems": 40},
            "profile": {"enum": ["default", "safe", "sensitive"]},
            "alpha": _of(
                {"type": "number", "minimum": 1e-6, "maximum": 0.5}, "False rollbacks. Default: the profile's."
            ),
            "mode": MODE,
            "warmup_s": _of(
                {"type": "number", "minimum": 0, "maximum": 3600},
                "Latency of younger pods is not judged, unless stable's are all as young. Default: 60.",
            ),
            "carried": {
                "type": "object",
                "description": "The judge's state at the beginning, where known; `seed_history` is not read then.",
            },
            "seed_history": _form(
                "Stable before the rollout: bets are made from it. A latency's counts are by its name.",
                {
                    "requests": COUNT,
                    "bad": {"type": "object", "additionalProperties": COUNT},
                    "phi": _of(
                        {"type": "array", "items": {"type": ["number", "array"], "minimum": 0, "items": NUMBER}},
                        "Dispersion of bad answers among pods as it was measured (1: as by luck), for counts of a pod "
                        "and tick capped at 1, 3, 10, 30 and not at all. Over one tick, then perhaps the same over six "
                        "ticks: one list of five or ten numbers, two lists, or a pair for each cap.",
                    ),
                    "tau": _of(
                        {"type": "number", "minimum": 0, "maximum": 0.5},
                        "Lasting spread among pods: standard deviation of the log of their shares. Without it, it is "
                        "estimated from the rollout's own ticks.",
                    ),
                },
            ),
        },
        "metrics",
    ),
    "tick": _form(
        "One reading of both sides.",
        {
            "seq": SEQ,
            "t0": _of(TIME, "Where its window of data time begins."),
            "t1": _of(TIME, "And ends."),
            "split": _of(
                SHARE,
                "The canary's share in force. Default: that of the last tick or split line, or what was counted.",
            ),
            "source_down": _of(TEXT, "What hindered the reading; empty or absent where nothing did."),
            "opening": _of(
                {"type": "boolean"}, "The canary's share begins in this window: its requests are not judged."
            ),
            "arms": _form("Both sides.", {"canary": {"$ref": "#/$defs/arm"}, "baseline": {"$ref": "#/$defs/arm"}}),
        },
        "seq",
        "t0",
        "t1",
        "arms",
    ),
    "verdict": _form(
        "What was said after a tick. A replay must say the same: `log_e` to 10⁻⁹, `action` exactly.",
        {
            "seq": SEQ,
            "action": {"enum": ["advance", "continue", "hold", "roll_back", "rollback"]},
            "log_e": _of(NUMBER, "Evidence that the canary is worse, in nats."),
            "reason": TEXT,
            "by_metric": {"type": "object"},
        },
        "seq",
        "action",
        "log_e",
    ),
    "split": _form(
        "The canary's share was changed.",
        {"seq": SEQ, "from": SHARE, "to": SHARE, "why": TEXT},
        "seq",
        "from",
        "to",
    ),
    "command": _form(
        "Somebody asked for something.",
        {"seq": SEQ, "verb": TEXT, "by": TEXT, "why": TEXT},
        "seq",
        "verb",
    ),
    "decision": _form(
        "What moved the rollout, or was asked of it, as the audit log has it.",
        {"at": TIME, "what": TEXT, "why": TEXT},
        "what",
    ),
}
"""Kind → the form of its lines."""
