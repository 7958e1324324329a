"""Commands that change what happens: each is recorded with who asked and why, and acts at once."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from pointsman.core.records import RolloutRecord, ServiceRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import EVERY_SERVICE, ask, find_service, ledger
from pointsman_cli.output import namespace_option, say

__all__ = ["COMMANDS"]

# Verb → help.
_OF_A_ROLLOUT = {
    "promote": "Take the canary to 100 % now; needs --why",
    "abort": "Give all traffic back to stable",
    "approve": "Approve the step that waits",
    "pause": "Hold the weights of a rollout where they are, or with --all those of every rollout",
    "resume": "Go on after a pause",
    "skip": "End this step's hold; the judge still has its say",
}
_OF_A_SERVICE = {
    "undo": "Go back to the revision that was stable before",
    "retry": "Roll the newest revision out again",
    "unblock": "Let a revision that was rolled back be tried again",
    "delete": "Take a service away: its route, then its objects",
}
_OF_ALL = ("pause", "resume")


def _make(verb: str, text: str) -> click.Command:
    def run(service: str | None, namespace: str | None, why: str, **options: Any) -> None:
        if options.get("everything"):
            if service or namespace:
                raise click.UsageError("--all is of every service: name none")
            _all(verb, why)
            return
        if not service:
            raise click.UsageError("missing argument 'SERVICE', or --all")
        if verb == "promote" and not why.strip():
            raise click.UsageError("promote needs a reason: --why TEXT")
        records = ledger()
        found = find_service(records, service, namespace)
        if verb == "delete":
            _confirm(found, sure=options["yes"])
        _one(verb, records, found, why)

    decorated: Callable[..., Any] = run
    if verb == "delete":
        decorated = click.option("--yes", is_flag=True, help="Yes, take it away.")(decorated)
    if verb in _OF_ALL:
        decorated = click.option("--all", "everything", is_flag=True, help="Every service: the whole line.")(decorated)
    decorated = click.option("--why", default="", metavar="TEXT", help="The reason, kept in the audit log.")(decorated)
    decorated = namespace_option()(decorated)
    decorated = click.argument("service", required=verb not in _OF_ALL)(decorated)
    return click.command(verb, help=text + ".")(decorated)


def _confirm(service: ServiceRecord, *, sure: bool) -> None:
    """Asks only where somebody is there to answer."""
    if sure:
        return
    what = f"this takes {service.namespace}/{service.name} off the air"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"{what}: say --yes")
    click.confirm(f"{what}. Go on?", abort=True, err=True)


def _all(verb: str, why: str) -> None:
    answer = ask(verb, EVERY_SERVICE, None, why)
    say(f"every service: {verb} recorded, state {answer.get('state')}", err=True)
    if verb == "pause":
        say("  no weight rises anywhere; going back still works", err=True)
        say("  to go on: pointsman resume --all", err=True)


def _one(verb: str, records: Ledger, service: ServiceRecord, why: str) -> None:
    name, where = f"{service.namespace}/{service.name}", f"{service.name} -n {service.namespace}"
    running = _running(records, service) if verb in _OF_A_ROLLOUT else None
    answer = ask(verb, name, running.id if running else None, why)
    if answer.get("command") is None:
        say(f"{name}: nothing to {verb}, its last rollout has ended: {answer.get('state')}", err=True)
    else:
        say(f"{name}: {verb} recorded, state {answer.get('state')}", err=True)
        for line in _traffic(verb, service, running):
            say(f"  {line}", err=True)
        if hint := _NEXT.get(verb):
            say(f"  {hint}: pointsman {_HINTS[verb]} {where}", err=True)
    say(f"  see: pointsman why {where}", err=True)


# Verb → what the command in `_HINTS` is good for.
_NEXT: Mapping[str, str] = {
    "promote": "way back",
    "abort": "to try again",
    "undo": "way back",
    "pause": "to go on",
    "unblock": "to roll it out",
}
_HINTS: Mapping[str, str] = {
    "promote": "undo",
    "abort": "retry",
    "undo": "retry",
    "pause": "resume",
    "unblock": "retry",
}


def _running(records: Ledger, service: ServiceRecord) -> RolloutRecord | None:
    """The rollout that a command is meant for: the one that owns the service, else the one that waits for it."""
    for rollout in (service.owner, service.next):
        saved = records.read(RolloutRecord, rollout) if rollout else None
        if saved is not None and saved.record.ended == "no":
            return saved.record
    return None


def _traffic(verb: str, service: ServiceRecord, running: RolloutRecord | None) -> list[str]:
    """Weights before and after, for the commands that move them at once."""
    if running is None or verb not in ("promote", "abort"):
        return []
    now = 100 * running.seen / running.weight_total
    after = 100 if verb == "promote" else 0
    if now == after:
        return []
    lines = [f"{running.to_revision}: {now:g} % → {after} %"]
    if service.stable and service.stable != running.to_revision:
        lines.append(f"{service.stable}: {100 - now:g} % → {100 - after} %")
    return lines


COMMANDS: dict[str, click.Command] = {
    verb: _make(verb, text) for verb, text in {**_OF_A_ROLLOUT, **_OF_A_SERVICE}.items()
}
