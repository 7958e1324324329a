"""`pointsman judge`: recorded rollouts judged again, explained and drawn; and what the judge would catch."""

import os
from pathlib import Path

import click

__all__ = ["command"]

FILE = click.Path(path_type=Path, dir_okay=False)
policy_option = click.option(
    "--policy", type=FILE, metavar="FILE", help="A RolloutPolicy document or its `judge` section, in place of its own."
)


@click.group()
def command() -> None:
    """Judge recorded rollouts again, say why, draw it, or ask what would be caught."""


@command.command()
@click.option("--rate", type=click.FloatRange(0, 100_000, min_open=True), required=True, help="Requests a second.")
@click.option("--base", type=click.FloatRange(0, 50), required=True, help="Bad answers of stable, in percent.")
@click.option("--split", metavar="P,P,…", help="The canary's share in each step, percent. Default: the policy's steps.")
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
@click.option("--rollouts", type=click.IntRange(2, 10_000), default=30, show_default=True, help="Rollouts a row.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another sample.")
@policy_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(
    rate: float,
    base: float,
    split: str | None,
    hold: str | None,
    tick: str,
    pods: int | None,
    latency_ms: float,
    sigma: float,
    buckets: str,
    rollouts: int,
    seed: int,
    policy: Path | None,
    output: str,
) -> None:
    """What would the judge catch for a service of such traffic, and after how many requests?"""
    from concurrent.futures import ProcessPoolExecutor

    from pointsman_cli.judging.policies import described, read_rules
    from pointsman_cli.judging.simulation.answer import simulate as answered
    from pointsman_cli.judging.simulation.asked import length_s, other_steps, steps_text
    from pointsman_cli.judging.simulation.service import BUCKETS, Service
    from pointsman_cli.judging.simulation.shown import show
    from pointsman_cli.output import emit

    tick_s = length_s(tick, "--tick")
    rules = other_steps(read_rules(policy), split, hold, tick_s)
    service = Service(rate, base / 100, latency_ms, sigma, pods or 3, pods is not None, BUCKETS[buckets])
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = answered(
            service,
            rules,
            rollouts=rollouts,
            seed=seed,
            tick_s=tick_s,
            run=lambda one, jobs: list(pool.map(one, jobs, chunksize=4)),
        )
    if output == "json":
        emit(found.as_json(), "json")
    else:
        show(service, found, steps=steps_text(rules), tick_s=tick_s, policy=described(rules.judge))
