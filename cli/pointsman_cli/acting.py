"""Commands that change what happens: each is recorded with who asked and why, and acts at once."""

from collections.abc import Callable
from typing import Any

import click

from pointsman_cli.connection import ask, find_service, ledger
from pointsman_cli.output import say

__all__ = ["COMMANDS"]

# Verb → help, and what the person is told when it was recorded.
_OF_A_ROLLOUT = {
    "promote": "Take the canary to 100 % now; needs --why",
    "abort": "Give all traffic back to stable",
    "approve": "Approve the step that waits",
    "pause": "Hold the weights where they are",
    "resume": "Go on after a pause",
    "skip": "End this step's hold; the judge still has its say",
}
_OF_A_SERVICE = {
    "undo": "Go back to the revision that was stable before",
    "retry": "Roll the newest revision out again",
    "unblock": "Let a revision that was rolled back be tried again",
    "delete": "Take a service away: its route, then its objects",
}


def _make(verb: str, text: str, *, of_rollout: bool) -> click.Command:
    def run(service: str, namespace: str | None, why: str, **options: Any) -> None:
        records = ledger()
        found = find_service(records, service, namespace)
        if verb == "delete" and not options["yes"]:
            raise click.UsageError(f"this takes {found.namespace}/{found.name} off the air: say --yes")
        if verb == "promote" and not why:
            raise click.UsageError("promote needs a reason: --why TEXT")
        answer = ask(verb, found, found.owner or found.next if of_rollout else None, why)
        say(f"{found.namespace}/{found.name}: {verb} recorded, state {answer.get('state')}", err=True)
        say(f"  see: pointsman why {found.name} -n {found.namespace}", err=True)

    decorated: Callable[..., Any] = run
    if verb == "delete":
        decorated = click.option("--yes", is_flag=True, help="Yes, take it away.")(decorated)
    decorated = click.option("--why", default="", help="The reason, kept in the audit log.")(decorated)
    decorated = click.option("-n", "--namespace", help="Namespace of the service.")(decorated)
    decorated = click.argument("service")(decorated)
    return click.command(verb, help=text + ".")(decorated)


COMMANDS: dict[str, click.Command] = {
    **{verb: _make(verb, text, of_rollout=True) for verb, text in _OF_A_ROLLOUT.items()},
    **{verb: _make(verb, text, of_rollout=False) for verb, text in _OF_A_SERVICE.items()},
}
