"""What the commands speak to: the ledger they read, the function `command` that acts, and who asks."""

import json
import os
from collections.abc import Mapping

from pointsman.adapters.endpoints import Settings, read
from pointsman.core.records import RolloutRecord, ServiceRecord
from pointsman.errors import Absent, Denied, Invalid, Unavailable
from pointsman.ports import Ledger

__all__ = ["ALL", "ask", "find_rollout", "find_service", "ledger", "settings"]

TIMEOUT_S = 30.0
ALL = 10_000


def settings(*needed: str) -> Settings:
    """The settings of this shell. Raises Invalid, naming what is not set and how to set it."""
    try:
        return read(os.environ, *needed)
    except Invalid as error:
        raise Invalid(error.what, where=error.where, remedy='on a laptop: eval "$(pointsman local env)"') from None


def ledger() -> Ledger:
    from pointsman.adapters.ledger import connect

    return connect(settings("POINTSMAN_LEDGER"))


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
    known = ", ".join(sorted(f"{record.namespace}/{record.name}" for record in everything)) or "none"
    wanted = f"{namespace}/{name}" if namespace else name
    raise Absent(f"no service {wanted}", where="ledger", remedy=f"known: {known}")


def find_rollout(records: Ledger, wanted: str, namespace: str | None = None) -> RolloutRecord:
    """A rollout by its id, the start of one, or the name of a service (its newest)."""
    everything = [saved.record for saved in records.find(RolloutRecord, limit=ALL)]
    by_id = [record for record in everything if record.id.startswith(wanted)]
    if len(by_id) == 1:
        return by_id[0]
    if len(by_id) > 1:
        raise Invalid(f"{len(by_id)} rollouts begin with {wanted}", remedy="give more of the id")
    try:
        key = find_service(records, wanted, namespace).key
    except Absent:
        raise Absent(f"no rollout and no service {wanted}", remedy="pointsman rollouts list") from None
    of_service = sorted(
        (record for record in everything if record.service == key), key=lambda record: record.started_at
    )
    if not of_service:
        raise Absent(f"service {wanted} has had no rollout yet", remedy="push a model")
    return of_service[-1]


def ask(verb: str, service: ServiceRecord, rollout: str | None, why: str) -> Mapping[str, object]:
    """Post a command. Raises Denied for who may not, Invalid for what cannot be, Unavailable out of reach."""
    import urllib3

    url = os.environ.get("POINTSMAN_COMMAND_URL")
    if not url:
        raise Invalid(
            "POINTSMAN_COMMAND_URL is not set",
            where="environment",
            remedy='on a laptop: eval "$(pointsman local env)"; in the cloud: the URL of the function `command`',
        )
    body = {"service": f"{service.namespace}/{service.name}", "rollout": rollout, "why": why}
    try:
        answer = urllib3.request(
            "POST",
            f"{url}/{verb}",
            json=body,
            headers={"Authorization": f"Bearer {_token(url)}"},
            timeout=TIMEOUT_S,
            retries=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(f"the function `command` does not answer: {error}", where=url) from error
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
        raise Unavailable(what, where=where, remedy=remedy)
    raise Invalid(what, where=where, remedy=remedy)


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
            "no identity token can be had", remedy="set POINTSMAN_IDENTITY_TOKEN to gcloud auth print-identity-token"
        ) from error
