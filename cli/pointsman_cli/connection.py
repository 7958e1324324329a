"""What the commands speak to: the ledger they read, the function `command` that acts, and who asks."""

import json
import os
from collections.abc import Mapping

from pointsman.adapters.endpoints import Settings, read
from pointsman.core.records import EventRecord, RolloutRecord, ServiceRecord
from pointsman.errors import Absent, Denied, Invalid, Unavailable
from pointsman.ports import Ledger

__all__ = ["ALL", "EVERY_SERVICE", "ask", "find_event", "find_rollout", "find_service", "ledger", "settings"]

TIMEOUT_S = 30.0
ALL = 10_000
EVERY_SERVICE = "*"


def settings(*needed: str) -> Settings:
    """The settings of this shell. Raises Invalid, naming what is not set and how to set it."""
    try:
        return read(os.environ, *needed)
    except Invalid as error:
        raise Invalid(error.what, where=error.where, remedy='on a laptop: eval "$(pointsman local env)"') from None


def ledger() -> Ledger:
    from pointsman.adapters.ledger import connect

    return connect(settings("POINTSMAN_LEDGER"))


def find_event(records: Ledger, wanted: str) -> EventRecord:
    """An event by its key, the start of it, or its id."""
    everything = [saved.record for saved in records.find(EventRecord, limit=ALL)]
    found = [record for record in everything if record.key.startswith(wanted) or record.id == wanted]
    if not found:
        raise Absent(f"no event {wanted}", remedy="pointsman events list")
    if len(found) > 1:
        raise Invalid(f"{len(found)} events begin with {wanted}", remedy="give more of the key")
    return found[0]


def find_service(records: Ledger, name: str, namespace: str | None) -> ServiceRecord:
    """The service of that name; `NAMESPACE/NAME` will do, and no namespace where the name is the only one."""
    if "/" in name:
        namespace, _, name = name.rpartition("/")
    everything = [saved.record for saved in records.find(ServiceRecord, limit=ALL)]
    found = [record for record in everything if record.name == name and namespace in (None, record.namespace)]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(sorted(record.namespace for record in found))
        raise Invalid(f"service {name} is in {places}", remedy="say which with -n NAMESPACE")
    wanted = f"{namespace}/{name}" if namespace else name
    known = ", ".join(sorted(f"{record.namespace}/{record.name}" for record in everything))
    raise Absent(f"no service {wanted}", remedy=f"known: {known}" if known else "push a ModelService first")


def find_rollout(records: Ledger, wanted: str, namespace: str | None = None) -> RolloutRecord:
    """A rollout by its id, the name of a service (its newest rollout), or the start of an id, in this order."""
    if exact := records.read(RolloutRecord, wanted):
        return exact.record
    try:
        key = find_service(records, wanted, namespace).key
    except Absent as error:
        return _by_start(records, wanted, error.remedy if namespace or "/" in wanted else "")
    of_service = [saved.record for saved in records.find(RolloutRecord, {"service": key}, limit=ALL)]
    if not of_service:
        raise Absent(f"service {wanted} has had no rollout yet", remedy="push a model")
    return max(of_service, key=lambda record: record.started_at)


def _by_start(records: Ledger, wanted: str, remedy: str) -> RolloutRecord:
    everything = [saved.record for saved in records.find(RolloutRecord, limit=ALL)]
    found = [record for record in everything if record.id.startswith(wanted)]
    if len(found) > 1:
        raise Invalid(f"{len(found)} rollouts begin with {wanted}", remedy="give more of the id")
    if not found:
        raise Absent(f"no rollout and no service {wanted}", remedy=remedy or "pointsman rollouts list")
    return found[0]


def ask(verb: str, service: str, rollout: str | None, why: str) -> Mapping[str, object]:
    """Post a command about `NAMESPACE/NAME` or `EVERY_SERVICE`.

    Raises Denied for who may not, Invalid for what cannot be, Unavailable out of reach.
    """
    import urllib3

    url = os.environ.get("POINTSMAN_COMMAND_URL")
    if not url:
        raise Invalid(
            "POINTSMAN_COMMAND_URL is not set",
            where="environment",
            remedy='on a laptop: eval "$(pointsman local env)"; in the cloud: the URL of the function `command`',
        )
    try:
        answer = urllib3.request(
            "POST",
            f"{url}/{verb}",
            json={"service": service, "rollout": rollout, "why": why},
            headers={"Authorization": f"Bearer {_token(url)}"},
            timeout=TIMEOUT_S,
            retries=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("the function `command` does not answer", where=url, remedy=_reach(url)) from error
    if answer.status == 401:
        raise Denied("your identity was not taken", where=url, remedy='renew it: eval "$(pointsman local env)"')
    try:
        found: Mapping[str, object] = json.loads(answer.data)
    except ValueError:
        found = {}
    if answer.status == 200:
        return found
    what = str(found.get("what", f"status {answer.status}"))
    where, remedy = str(found.get("where", "")), str(found.get("remedy", ""))
    if answer.status == 403:
        raise Denied(what, where=where, remedy=remedy)
    if answer.status >= 500:
        raise Unavailable(what, where=where or url, remedy=remedy or "try again; if it stays: see its logs")
    raise Invalid(what, where=where, remedy=remedy)


def _reach(url: str) -> str:
    return "pointsman local status" if url.startswith("http://127.0.0.1:") else "check POINTSMAN_COMMAND_URL"


def _token(audience: str) -> str:
    """An identity token of the person who asks: the local cloud's, or that of the gcloud login."""
    if token := os.environ.get("POINTSMAN_IDENTITY_TOKEN"):
        return token
    import google.auth.exceptions
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    try:
        return str(id_token.fetch_id_token(Request(), audience))  # type: ignore[no-untyped-call]
    except google.auth.exceptions.GoogleAuthError as error:
        raise Denied(
            "no identity token can be had",
            remedy="export POINTSMAN_IDENTITY_TOKEN=$(gcloud auth print-identity-token)",
        ) from error
