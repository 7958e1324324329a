"""`pointsman judge`: rollouts recorded, judged again, explained and drawn; and what the judge would catch."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pointsman.core.names import JSON
    from pointsman_cli.judging.course import Course

__all__ = ["command"]

FILE = click.Path(path_type=Path, dir_okay=False)
policy_option = click.option(
    "--policy", type=FILE, metavar="FILE", help="A RolloutPolicy document or its `judge` section, in place of its own."
)


@click.group()
def command() -> None:
    """Rollouts as the judge sees them: why, drawn, recorded, judged again; and what it would catch."""


@command.command(short_help="Judge recordings again: the same record, the same verdicts.")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@policy_option
@click.option("--ticks", is_flag=True, help="Print every tick's verdict, too, before the file's.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), help="Default: table on a terminal, or else json."
)
def replay(files: tuple[str, ...], policy: Path | None, ticks: bool, output: str | None) -> int:
    """Judge recorded rollouts again; the same record, the same verdicts.

    Where FILE has verdicts recorded, they are compared, unless it is judged by another policy. Exit status: 0 when
    every file was read and nothing differs, otherwise 1.
    """
    from pointsman_cli.judging.replay_shown import show
    from pointsman_cli.judging.replaying import replayed

    results = replayed(files, _named(policy), ticks=ticks)
    return 0 if show(results, output or ("table" if sys.stdout.isatty() else "json")) else 1


@command.command(short_help="Say in plain sentences why it was judged so.")
@click.argument("rollout", metavar="ROLLOUT|FILE")
@click.option("-n", "--namespace", help="Namespace of the service, where ROLLOUT is one.")
@policy_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(rollout: str, namespace: str | None, policy: Path | None, output: str) -> None:
    """Say in plain sentences why the judge says what it says.

    ROLLOUT is a rollout's id, or a service for its newest one; FILE is a recording.
    """
    from pointsman_cli.judging.wording import as_json, headline
    from pointsman_cli.judging.wording import explain as explained

    course, _ = _found(rollout, namespace, policy)
    if output == "json":
        click.echo(json.dumps(as_json(course), indent=2, ensure_ascii=False))
        return
    click.echo(headline(course))
    for paragraph in explained(course):
        click.echo(f"\n{paragraph.heading}")
        for sentence in paragraph.sentences:
            click.echo(f"  {sentence}")


@command.command(short_help="Draw it: one HTML file that needs nothing else.")
@click.argument("rollout", metavar="ROLLOUT|FILE")
@click.option("-n", "--namespace", help="Namespace of the service, where ROLLOUT is one.")
@policy_option
@click.option("--out", type=FILE, metavar="FILE", help="Where to write it. Default: the rollout's name, here.")
def report(rollout: str, namespace: str | None, policy: Path | None, out: Path | None) -> None:
    """Write a rollout's report: one HTML file that needs nothing else.

    ROLLOUT is a rollout's id, or a service for its newest one; FILE is a recording.
    """
    from pointsman_cli.judging.report.writing import write

    course, over = _found(rollout, namespace, policy)
    click.echo(write(course, out, over=over))


@command.command(short_help="Write a rollout of the ledger as a recording.")
@click.argument("rollout")
@click.option("-n", "--namespace", help="Namespace of the service, where ROLLOUT is one.")
@click.option("--out", type=FILE, metavar="FILE", help="Where to write it. Default: stdout.")
def record(rollout: str, namespace: str | None, out: Path | None) -> None:
    """Write a rollout of the ledger as a recording, which `replay`, `explain` and `report` take.

    ROLLOUT is a rollout's id, or a service for its newest one. Its verdicts are recorded as they were given.
    """
    from pointsman.errors import Invalid
    from pointsman_cli.judging.ledger_course import ask
    from pointsman_cli.judging.recording_file import lines

    course, _ = ask(rollout, namespace, None)
    text = "".join(f"{line}\n" for line in lines(course))
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"cannot be written: {error.strerror}", where=str(out), remedy="name another file") from error


def _found(rollout: str, namespace: str | None, policy: Path | None) -> "tuple[Course, bool]":
    """The rollout that is meant, and whether it is over; what another policy forgives is said on stderr."""
    from pointsman_cli.judging.sources import find

    course, over = find(rollout, namespace, _named(policy))
    for text in course.loosened:
        click.echo(f"looser than recorded: {text}", err=True)
    return course, over


def _named(file: Path | None) -> "JSON | None":
    """The `judge` section of a policy, which is named on stderr; None where the recording's own is meant."""
    if file is None:
        return None
    from pointsman_cli.judging.policies import described, read_rules

    rules = read_rules(file)
    click.echo(f"judged by {file}: {described(rules.judge)}", err=True)
    return rules.section


@command.command(short_help="What would be caught at your traffic, after how many requests?")
@click.option("--rate", type=click.FloatRange(0, 100_000, min_open=True), required=True, help="Requests a second.")
@click.option("--base", metavar="SHARE", required=True, help="Stable's share of bad answers: 0.005, or 0.5%.")
@click.option("--split", metavar="P,P,…", help="The canary's percent in each step. Default: the policy's steps.")
@click.option("--hold", metavar="DURATION", help="How long each step is held. Default: the policy's.")
@click.option("--tick", default="10s", show_default=True, metavar="DURATION", help="Time between two looks.")
@click.option("--pods", type=click.IntRange(1, 200), help="Stable's pods, counted one by one. Default: 3, uncounted.")
@click.option(
    "--latency-ms", type=click.FloatRange(1, 60_000), default=200.0, show_default=True, help="Median latency."
)
@click.option(
    "--sigma", type=click.FloatRange(0.05, 3), default=1.0, show_default=True, help="Its spread: s.d. of the logarithm."
)
@click.option(
    "--buckets",
    type=click.Choice(["fine", "google", "prometheus"]),
    default="fine",
    show_default=True,
    help="Latency buckets: 1.1 apart (Envoy), 1.4 apart (Google's load balancers), Prometheus' defaults.",
)
@click.option(
    "--rollouts", type=click.IntRange(2, 10_000), help="Rollouts a row. Default: for an answer in some seconds."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another sample.")
@policy_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(
    rate: float,
    base: str,
    split: str | None,
    hold: str | None,
    tick: str,
    pods: int | None,
    latency_ms: float,
    sigma: float,
    buckets: str,
    rollouts: int | None,
    seed: int,
    policy: Path | None,
    output: str,
) -> None:
    """What would the judge catch for a service of such traffic, and after how many requests?"""
    from pointsman_cli.judging.policies import read_rules
    from pointsman_cli.judging.processes import in_parallel
    from pointsman_cli.judging.simulation.answer import affordable
    from pointsman_cli.judging.simulation.answer import simulate as answered
    from pointsman_cli.judging.simulation.asked import as_json, length_s, other_steps, share_of
    from pointsman_cli.judging.simulation.service import BUCKETS, Service
    from pointsman_cli.judging.simulation.shown import show
    from pointsman_cli.output import emit, say

    tick_s = length_s(tick, "--tick")
    rules = other_steps(read_rules(policy), split, hold, tick_s)
    service = Service(rate, share_of(base, "--base"), latency_ms, sigma, pods or 3, pods is not None, BUCKETS[buckets])
    if sys.stderr.isatty():
        say("simulating, which takes ten seconds or more …", err=True)
    found = answered(
        service,
        rules,
        rollouts=rollouts or affordable(service, rules, tick_s),
        seed=seed,
        tick_s=tick_s,
        run=partial(in_parallel, chunk=4),
    )
    if output == "json":
        emit(found.as_json() | {"asked": as_json(service, rules, tick_s)}, "json")
    else:
        show(service, found, rules, tick_s)
