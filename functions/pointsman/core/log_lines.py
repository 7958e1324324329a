"""What pointsman writes into its log: every event of it, with its fields. Dashboards, alerts and `docs` build on these.

A line is one event with fields and never a sentence; it bears neither header, payload nor secret, only what is named
here. What a rollout or a pool decides is written by those who save it, after it was saved (`core.narration`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ENVELOPE", "FIELDS", "LINES", "SEVERITIES", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the log: when it is written, and its fields beside the envelope's. `?` marks those that may lack."""

    event: str
    when: str
    fields: Sequence[str]
    severity: str = "INFO"

    def names(self) -> frozenset[str]:
        return frozenset(name.rstrip("?") for name in self.fields)


ENVELOPE: Mapping[str, str] = {
    "severity": "Cloud Logging's.",
    "event": "Which line it is: one of those below.",
    "message": "For people: the event, what it is about, and the reason where there is one.",
    "time": "When it was written, RFC 3339, UTC.",
    "function": "Entry point that writes it.",
    "logging.googleapis.com/trace": "`projects/P/traces/KEY`: the event's key, for all that the event led to.",
    "logging.googleapis.com/spanId": "Span that it was written in, 16 hex digits.",
    "logging.googleapis.com/labels": "`service`, `rollout`, `pool` and `execution` once more, to filter by.",
}
"""Field → meaning, of every line; the trace's two where there is one."""

FIELDS: Mapping[str, str] = {
    "accelerators": "Accelerators of the nodes seen: nodes times those of a node of the candidate.",
    "action": "The verdict: `advance`, `continue`, `hold` or `roll_back`.",
    "age_s": "Seconds from the event's own time to this line.",
    "attempt": "Which attempt it is, from 1: an execution's at a rollout, a delivery's at an event.",
    "baseline": "Revision that the canary is compared with; absent where nothing serves yet.",
    "baseline_bad": "The baseline's requests in this tick that count as bad.",
    "baseline_requests": "The baseline's requests in this tick.",
    "branch": "Branch followed.",
    "by": "Who asked: an account.",
    "canary_bad": "Requests of the canary that count as bad: in this tick; in `rollout-ended` since the start.",
    "canary_requests": "Requests of the canary: in this tick; in `rollout-ended` since the start.",
    "candidate": "Node pool of the candidate in use or at fault.",
    "cause": "`verdict`: why it is `hold`. `rollout-opened`: key of the event that led to it, or who asked.",
    "channel": "Name of the channel.",
    "code": "Code of the error (`docs/reference/errors.md`).",
    "cold": "Whether this is the first request that the process answers.",
    "commit": "Commit that the rollout carries out.",
    "cost_per_hour": "What the nodes seen cost an hour, by the prices in the AcceleratorPool.",
    "decision": "Number of the decision in its rollout (`pointsman why`).",
    "duration_s": "Seconds from the rollout's opening to its end.",
    "error": "Class of the error.",
    "execution": "Name of the workflow's execution.",
    "faults": "How many faults a refused head has.",
    "found": "What was found, one sentence.",
    "from_revision": "Stable revision when the rollout began.",
    "held": "Nodes that rollouts and alerts hold of the pool.",
    "id": "`id` of the CloudEvent.",
    "import_ms": "Processor time, in ms, of the process up to its first answer: imports, wiring and that answer.",
    "key": "Key of the event in the ledger: `pointsman trace KEY`.",
    "kind": "`roll_out`, `roll_back` or `remove`; of a decision `state`, `weight`, `verdict` or `command`.",
    "log_e": "Evidence against the canary, in nats.",
    "log_e_needed": "Evidence at which it is rolled back.",
    "metric": "Metric to blame.",
    "ms": "Wall time of the answer, in ms.",
    "notice": "Kind of the notice.",
    "number": "Number of the command.",
    "outcome": "State that the rollout ended in.",
    "part": "Which part of the sweep: the kind of finding.",
    "pool": "Name of the AcceleratorPool.",
    "reason": "Why, one sentence.",
    "result": "`applied`, `ignored` or `rejected`.",
    "retry_at": "When trying again may help.",
    "revision": "Revision that the rollout brings, the canary.",
    "rollout": "Id of the rollout.",
    "seen": "Nodes seen ready.",
    "seen_pct": "Canary's weight that was seen in force, in percent.",
    "sender": "Sender of the webhook, as in its path.",
    "service": "Key of the service: `cluster/namespace/name`. Of a notice `namespace/name`.",
    "source": "`source` of the CloudEvent.",
    "state": "State of the rollout.",
    "status": "HTTP status of the answer.",
    "step": "Index into the policy's steps.",
    "stockouts": "Candidates that are not asked again yet, for want of machines.",
    "text": "The notice's text.",
    "title": "The notice's title.",
    "token": "Fencing token.",
    "topic": "Topic that it was published on.",
    "type": "`type` of the CloudEvent.",
    "until": "Until when the candidate is not asked again.",
    "verb": "Verb of a command, or of a step function.",
    "wanted": "Nodes wanted.",
    "was": "What it was before: the state, the weight in percent, or the stable revision.",
    "weight_pct": "Canary's weight that is wanted, in percent.",
    "where": "`file:line` of our own mistake.",
    "workflow": "Name of the workflow.",
}
"""Field → meaning and unit."""

_ROLLOUT = ("service", "rollout", "revision", "token", "commit", "execution?", "decision?")
_EVENT = ("key", "source", "id")

LINES: Sequence[Line] = (
    Line("answered", "A request was answered.", ("status", "ms", "verb?", "cold", "import_ms?"), "DEBUG"),
    Line("refused", "A request was refused for a reason that its caller can mend.", ("code", "reason"), "WARNING"),
    Line("failed", "A request met a mistake of ours.", ("code", "error", "where"), "ERROR"),
    Line(
        "webhook-published", "A webhook was verified and its event published.", ("sender", "topic", "key", "type", "id")
    ),
    Line("webhook-refused", "A call could not be verified.", ("sender",), "WARNING"),
    Line("webhook-unpublished", "A verified event could not be published.", ("sender", "code", "reason"), "ERROR"),
    Line("event-claimed", "A delivery took the event's claim.", (*_EVENT, "type", "attempt", "age_s?")),
    Line("event-handled", "The event is done.", (*_EVENT, "type", "result", "reason", "age_s?")),
    Line("event-delayed", "It comes back: something was transient.", (*_EVENT, "code", "reason"), "WARNING"),
    Line("event-failed", "It comes back: a mistake of ours.", (*_EVENT, "code", "error", "where"), "ERROR"),
    Line("event-unfinished", "It is handled; that could not be saved.", (*_EVENT, "code", "reason"), "WARNING"),
    Line("claim-failed", "The ledger could not be asked.", (*_EVENT, "code", "reason"), "WARNING"),
    Line("head-applied", "A branch's head is in force.", ("branch", "commit")),
    Line("head-refused", "A head has faults: nothing of it is in force.", ("branch", "commit", "faults"), "WARNING"),
    Line("line-stopped", "`pause --all`: no weight rises.", ("branch", "by"), "WARNING"),
    Line("line-resumed", "It may again.", ("branch",)),
    Line(
        "rollout-opened",
        "A rollout is in the ledger, before its execution.",
        (*_ROLLOUT, "kind", "cause", "from_revision?", "state"),
    ),
    Line("execution-started", "An execution was asked for.", ("workflow", "execution", "rollout?", "pool?")),
    Line("rollout-claimed", "An execution owns the rollout, by a new token.", (*_ROLLOUT, "attempt")),
    Line("state-changed", "The rollout's state changed.", (*_ROLLOUT, "state", "was", "step", "reason?")),
    Line("weight-set", "Another weight is wanted.", (*_ROLLOUT, "weight_pct", "was", "step")),
    Line("weight-seen", "Another weight was seen in force.", (*_ROLLOUT, "seen_pct", "was", "step")),
    Line(
        "decided",
        "A decision was saved: one line a tick that changed something.",
        (*_ROLLOUT, "kind", "state", "step", "weight_pct", "seen_pct", "reason"),
    ),
    Line(
        "verdict",
        "The judge spoke.",
        (
            *_ROLLOUT,
            "baseline?",
            "action",
            "metric?",
            "cause?",
            "reason",
            "log_e",
            "log_e_needed?",
            "canary_requests",
            "canary_bad",
            "baseline_requests",
            "baseline_bad",
        ),
    ),
    Line(
        "rollout-ended",
        "The rollout is over: promoted, or what was prevented.",
        (*_ROLLOUT, "kind", "outcome", "reason?", "duration_s", "canary_requests", "canary_bad"),
    ),
    Line("stable-set", "Another revision serves by default.", ("service", "revision?", "was?", "rollout?", "token")),
    Line("command-given", "A person asked for something.", ("rollout", "verb", "by", "number")),
    Line("command-taken", "A decision took it.", ("rollout", "verb", "by", "number", "decision?")),
    Line(
        "pool-changed",
        "Wanted or seen nodes, the candidate or the reason changed.",
        ("pool", "token", "execution?", "wanted", "seen", "held", "candidate?", "reason?"),
    ),
    Line(
        "pool-stock-out", "A candidate had no machines.", ("pool", "token", "candidate", "until", "reason"), "WARNING"
    ),
    Line("pool-exhausted", "No candidate has machines.", ("pool", "token", "reason", "retry_at"), "WARNING"),
    Line(
        "pool-standing",
        "What a pool is like, written in every whole sweep: every five minutes.",
        ("pool", "wanted", "seen", "held", "stockouts", "candidate?", "accelerators", "cost_per_hour?"),
    ),
    Line("swept", "The sweep found something; `weights` at WARNING.", ("part", "found")),
    Line("sweep-failed", "A part could not be looked at.", ("part", "code", "reason"), "WARNING"),
    Line(
        "notice",
        "People are told.",
        ("notice", "title", "text", "service?", "rollout?", "revision?", "state?"),
        "NOTICE",
    ),
    Line("notice-unsent", "A channel could not be reached.", ("channel", "code", "reason"), "ERROR"),
    Line("notice-rejected", "What came was no notice.", ("code?", "reason", "id?"), "ERROR"),
)
"""Every line, in the order of a rollout's life."""

SEVERITIES: Mapping[str, str] = {line.event: line.severity for line in LINES}
"""Event → severity."""
