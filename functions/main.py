"""Every entry point, in the order of a rollout's life: a request in, an answer out.

Here alone the clock and the environment are read, and ports get their adapters. Everything is imported where it is
needed: a function's cold start pays for its own clients and no others.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial, wraps
from importlib import import_module
from time import sleep
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import functions_framework
from flask import Request

from pointsman.adapters.endpoints import Settings, read
from pointsman.adapters.logs import log
from pointsman.handlers.answering import asked, guarded, in_json
from pointsman.handlers.delivery import Answer, deliver, incoming
from pointsman.handlers.envelope import decode


@cache
def settings(*needed: str) -> Settings:
    return read(os.environ, *needed)


@cache
def port(name: str, *arguments: Any) -> Any:
    """What `pointsman.adapters.<name>` connects, once a process: requests share its clients."""
    return import_module(f"pointsman.adapters.{name}").connect(settings(), *arguments)


SECRETS = SimpleNamespace(read=lambda name: port("secrets").read(name))  # connected when the first is read
ADAPTERS: dict[str, tuple[Any, ...]] = {"bus": ("pubsub", partial(decode, {})), "source": ("git", SECRETS.read)}


def registry(described: Any) -> Any:
    from pointsman.adapters.registries import connect

    return connect(settings(), described, SECRETS, port("ledger"))  # anew each time: its token may be


def ports(*names: str, **others: Any) -> dict[str, Any]:
    """Ports by the names of a handler's parameters, and what else it takes."""
    return {**{name: port(*ADAPTERS.get(name, (name,))) for name in names}, **others}


def entry(function: Callable[[Request, datetime], Answer]) -> Any:
    @functions_framework.http
    @wraps(function)  # the framework knows a function by its name
    def answered(request: Request) -> Answer:
        if request.method != "POST":
            return "", 405, {"Allow": "POST"}
        return guarded(function.__name__, partial(function, request, datetime.now(UTC)), log)

    return answered


def delivered(request: Request, now: datetime, handle: Callable[..., Any], **wired: Any) -> Answer:
    event, unread = incoming(dict(request.headers), request.get_data(), now)
    handled = partial(handle, now=now, **wired)
    return deliver(event, handled, ledger=port("ledger"), now=now, log=log, unread=unread)


@entry
def receive_webhook(request: Request, now: datetime) -> Answer:
    from pointsman.adapters import webhook_secrets
    from pointsman.handlers.webhook import receive

    call = request.method, request.path, dict(request.headers), request.stream.read
    secrets, bus = lambda: webhook_secrets.read(settings()), partial(port, "pubsub")
    return receive(*call, secrets=secrets, bus=bus, now=now, log=log)


@entry
def on_repo_push(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.repo_push import handle

    here = settings("POINTSMAN_REPOSITORY", "POINTSMAN_LOCATION")
    wired = ports("source", "ledger", "workflows", "bus", registry=registry, followed=here)
    return delivered(request, now, handle, **wired)


@entry
def on_model_registered(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.model_registered import handle

    return delivered(request, now, handle, **ports("ledger", "workflows", "bus", registry=registry))


@entry
def on_alert(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.alert import handle

    return delivered(request, now, handle, **ports("ledger", "workflows", "bus"))


@entry
def rollout_step(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.rollout_step import Steps, handle

    clusters = {"cluster": partial(port, "kubernetes"), "metrics": partial(port, "metrics")}
    steps = Steps(**ports("ledger", "workflows", "bus", "probe", **clusters))
    return asked(request, partial(handle, steps=steps, now=now))


@entry
def pool_step(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.pool_step import Steps, handle

    here = settings("POINTSMAN_LOCATION")
    clusters = {"node_pools": partial(port, "node_pools"), "mode": here.pools, "project": here.project}
    steps = Steps(**ports("ledger", "workflows", "bus", **clusters))
    return asked(request, partial(handle, steps=steps, now=now))


@entry
def command(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.caller import email_of
    from pointsman.handlers.command import handle

    caller = email_of(dict(request.headers))
    wired = ports("ledger", "workflows", caller=caller, number=str(uuid4()), now=now)
    return asked(request, partial(handle, **wired))


@entry
def sweep(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.sweep import SCHEDULED, handle, scope_of

    here = settings("POINTSMAN_REPOSITORY", "POINTSMAN_LOCATION")
    later = {"source": partial(port, *ADAPTERS["source"]), "inspector": partial(port, "steps"), "registry": registry}
    wired = ports("ledger", "workflows", "bus", **later, followed=here, now=now, log=log, pause=sleep)
    scope = scope_of(request.get_json(force=True, silent=True), request.headers.get(SCHEDULED), now)
    return in_json(handle(scope, **wired))


@entry
def notify(request: Request, now: datetime) -> Answer:
    from pointsman.adapters import channels, commit_statuses
    from pointsman.handlers.notify import receive

    statuses = partial(commit_statuses.connect, settings(), SECRETS) if commit_statuses.available(settings()) else None
    channel = partial(channels.connect, secrets=SECRETS)
    return receive(dict(request.headers), request.get_data(), channel=channel, statuses=statuses, now=now, log=log)
