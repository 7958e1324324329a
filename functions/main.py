"""Every entry point, in the order of a rollout's life: a request in, an answer out.

Here alone the clock and the environment are read, and ports get their adapters. Everything is imported where it is
needed: a function's cold start pays for its own clients and no others.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache, partial, wraps
from importlib import import_module
from itertools import count
from time import perf_counter, process_time, sleep
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import functions_framework
from flask import Request

from pointsman.adapters.endpoints import Settings, read
from pointsman.adapters.logs import Lines
from pointsman.core.names import JSON
from pointsman.core.traces import Parent, below
from pointsman.handlers.answering import asked, guarded, in_json
from pointsman.handlers.delivery import Answer, deliver, incoming
from pointsman.handlers.envelope import decode


@cache
def settings(*needed: str) -> Settings:
    return read(os.environ, *needed)


log = Lines(lambda: os.environ.get("GOOGLE_CLOUD_PROJECT", ""), lambda: datetime.now(UTC))
requests = count()


def connected(name: str, *arguments: Any) -> Any:
    return import_module(f"pointsman.adapters.{name}").connect(settings(), *arguments)


@cache
def port(name: str, *arguments: Any) -> Any:
    """What `pointsman.adapters.<name>` connects, once a process: requests share its clients. What is saved and
    started is logged; with traces on, calls are spans."""
    found = connected(name, *arguments)
    if name in ("ledger", "workflows"):
        from pointsman.adapters.narrated import narrated

        found = narrated(name, found, log)
    if (recorder := spans()) is None:
        return found
    from pointsman.adapters.spanned import spanned

    return spanned(name, found, recorder)


@cache
def spans() -> Any:
    """Where spans go; None: nowhere, and nothing is loaded for them."""
    if settings().traces == "off":
        return None
    from pointsman.adapters.tracing import connect

    return connect(settings(), os.environ.get("FUNCTION_TARGET", "pointsman"))


SECRETS = SimpleNamespace(read=lambda name: port("secrets").read(name))  # connected when the first is read
ADAPTERS: dict[str, tuple[Any, ...]] = {"bus": ("pubsub", partial(decode, {})), "source": ("git", SECRETS.read)}


def registry(described: Any) -> Any:
    from pointsman.adapters.registries import connect

    return connect(settings(), described, SECRETS, port("ledger"))  # anew each time: its token may be


def ports(*names: str, **others: Any) -> dict[str, Any]:
    """Ports by the names of a handler's parameters, and what else it takes."""
    return {**{name: port(*ADAPTERS.get(name, (name,))) for name in names}, **others}


def entry(function: Callable[[Request, datetime], Answer]) -> Any:
    name = function.__name__

    @functions_framework.http
    @wraps(function)  # the framework knows a function by its name
    def answered(request: Request) -> Answer:
        if request.method != "POST":
            return "", 405, {"Allow": "POST"}
        began, caller = perf_counter(), Parent.of(dict(request.headers))
        with log.within(function=name, trace=caller and caller.trace, span=caller and caller.span):
            answer = guarded(name, partial(function, request, datetime.now(UTC)), log)
            first = next(requests) == 0
            took, spent = round(1000 * (perf_counter() - began)), round(1000 * process_time()) if first else None
            verb = request.path.strip("/") if answer[1] < 400 else ""  # a stranger's words are not repeated
            log("answered", severity="DEBUG", status=answer[1], verb=verb or None, ms=took, cold=first, import_ms=spent)
        return answer

    return answered


@contextmanager
def traced(name: str, trace: str, parent: str = "", **about: str) -> Iterator[None]:
    """What is logged here belongs to this trace, and is a span of it where traces are on."""
    opened = recorder.span(name, trace=trace, parent=parent, **about) if (recorder := spans()) else nullcontext()
    with opened as span, log.within(trace=trace or None, span=span, **about):
        yield


def stepped(request: Request, kind: str, handle: Callable[[str, JSON], JSON]) -> Answer:
    """One call of a workflow, logged with what it is about: a `rollout` or a `pool`, and the execution that asks."""
    body = request.get_json(force=True, silent=True)
    about = {name: str(body[name]) for name in (kind, "execution") if name in body} if isinstance(body, dict) else {}
    if spans() is None or kind not in about:
        with log.within(**about):
            return asked(request, handle)
    from pointsman.handlers.tracing import place_in_trace

    trace, parent = place_in_trace(port("ledger"), **about)
    with traced(f"{kind} {request.path.strip('/')}", trace, parent, **about):
        return asked(request, handle)


def delivered(request: Request, now: datetime, handle: Callable[..., Any], **wired: Any) -> Answer:
    event, unread = incoming(dict(request.headers), request.get_data(), now)
    handled = partial(handle, now=now, **wired)
    with traced(f"handle {event.type}", event.key, below(event.traceparent, event.key)):
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
    return stepped(request, "rollout", partial(handle, steps=steps, now=now))


@entry
def pool_step(request: Request, now: datetime) -> Answer:
    from pointsman.handlers.pool_step import Steps, handle

    here = settings("POINTSMAN_LOCATION")
    clusters = {"node_pools": partial(port, "node_pools"), "mode": here.pools, "project": here.project, "log": log}
    steps = Steps(**ports("ledger", "workflows", "bus", **clusters))
    return stepped(request, "pool", partial(handle, steps=steps, now=now))


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
