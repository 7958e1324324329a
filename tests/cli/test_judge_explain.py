"""`pointsman judge explain`: why, in sentences, from a file or from the ledger."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.cli.courses import START, Answered, course, judged, lines, recorded, ticks
from tests.cli.ledger_samples import decision, plan, rollout, service
from tests.handlers.rollout_cloud import Behaviour, Cloud
from tests.handlers.rollout_cloud import service as modelled

from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.recording_lines import kept
from pointsman.core.names import JSON
from pointsman_cli.judging.course import Course, Moment
from pointsman_cli.judging.ledger_course import course_of_decisions
from pointsman_cli.judging.report.page import page
from pointsman_cli.judging.wording import explain, headline

WELL = [Answered()] * 6
FAILS = [Answered()] * 3 + [Answered(canary=((50, 4),))] * 5


def told(of: Course, heading: str) -> list[str]:
    (found,) = [list(one.sentences) for one in explain(of) if one.heading == heading]
    return found


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        pytest.param(WELL, "Nothing speaks against v13 so far", id="continue"),
        pytest.param(FAILS, "v13 goes back: its 5xx is worse than that of v12", id="errors"),
        pytest.param(
            [Answered(buckets=(4, 2))] * 6, "v13 goes back: its latency is worse than that of v12", id="latency"
        ),
        pytest.param(
            [*WELL, Answered(canary=((0, 0),))], "Nothing can be said of v13 at the moment", id="nothing-answered"
        ),
    ],
)
def test_the_first_line_is_the_verdict(answered: list[Answered], expected: str) -> None:
    assert headline(course(answered)) == expected


def test_what_was_compared_has_both_sides_the_time_and_the_exposure() -> None:
    assert told(course(FAILS), "What was compared") == [
        "v13 (the canary) with v12 (stable) of demo/digits, tick by tick: what hits both at the same time counts for "
        "nothing.",
        "6 ticks in 1 min, 02:59:50 to 03:00:50 UTC on 2026-11-22.",
        "The canary, at 5 % of the requests, answered 200; 8 of its answers were bad.",
    ]


def test_what_was_seen_has_both_sides_the_effect_and_its_interval() -> None:
    errors, latency = told(course(FAILS), "What was seen")
    assert re.fullmatch(
        r"5xx: 4\.0 % of the canary's 200 answers, 0\.5\d % of stable's 4,750: 7\.\d times as many; "
        r"(at least [\d.]+ times as many|[\d.]+ to [\d.]+ times as many, each end) with 95 % confidence\.",
        errors,
    )
    assert "median 200 ms against 200 ms" in latency
    assert "the buckets are too wide to forgive a little" in latency


def test_an_effect_that_has_changed_has_no_interval_whose_ends_are_the_wrong_way_round() -> None:
    errors, _ = told(course([*WELL, Answered(canary=((50, 25),))]), "What was seen")
    assert errors.endswith("; it has changed, so that no one value fits all ticks.")


def test_a_canary_without_bad_answers_is_not_said_to_have_many_times_stables() -> None:
    errors, _ = told(course([Answered(canary=((17, 0),))] * 3), "What was seen")
    assert errors.startswith("5xx: 0.0 % of the canary's ")
    assert not re.search(r": [\d.,]+ times as many", errors)


def test_a_margin_is_named_where_the_buckets_are_fine_enough_for_it() -> None:
    known = course(WELL)
    fine = tuple(1.1**step for step in range(5))
    moments = []
    for moment in known.moments:
        stable = moment.tick.baseline
        pods = tuple(pod._replace(edges_ms=fine) for pod in stable.pods)
        moments.append(replace(moment, tick=replace(moment.tick, baseline=replace(stable, pods=pods))))
    forgiving = replace(known, moments=tuple(moments))
    _, latency = told(forgiving, "What was seen")
    assert "(10 % or 2 ms, whichever is more, is forgiven)" in latency
    assert '<td class="n">+10 % or 2 ms</td>' in page(forgiving)


def test_how_strong_it_is_names_the_odds_the_bound_and_the_metric() -> None:
    first, second, third, *rest = told(course(FAILS), "How strong that is")
    assert re.fullmatch(
        r"The evidence that the canary is worse is [\d,]+ to 1: decisive\. At 100 to 1 it goes back\.", first
    )
    assert second == "A canary that is no worse gets there in at most 1 of 100 rollouts, however often one looks."
    assert re.fullmatch(r"Most of it comes from 5xx; best it fits odds of a bad answer \d+ times stable's\.", third)
    assert rest == ["It has been rising since tick 4 (03:00:30 UTC)."]


def test_what_was_left_out_is_counted_by_its_reason() -> None:
    assert told(replace(course(WELL), moments=_judged_young(WELL)), "What was left out")[:2] == [
        "2 ticks: one side had no requests, or the canary's share had only begun.",
        "5 ticks of latency: pods are warming up.",
    ]


def test_a_canary_with_little_load_is_no_proof_of_speed() -> None:
    (said,) = [line for line in told(course(WELL), "What was left out") if line.startswith("Latency")]
    assert said == (
        "Latency that speaks for the canary: it carries 0.11 times stable's load per pod, and would be the faster one "
        "anyway."
    )


def test_a_bad_pod_is_named_as_the_one_at_fault() -> None:
    known = course(WELL)
    last = known.moments[-1]
    verdict = replace(last.verdict, numbers={**last.verdict.numbers, "replaced_pods": ["canary-2"]})
    left = told(replace(known, moments=(*known.moments[:-1], replace(last, verdict=verdict))), "What was left out")
    assert any(line.startswith("canary-2: it alone was bad, and is not counted any more") for line in left)


def test_pods_that_began_anew_are_named() -> None:
    known = course(WELL)
    moments = list(known.moments)
    stable = moments[4].tick.baseline
    fresh = stable.pods[0]._replace(started_at=START, requests=3)
    moments[4] = replace(
        moments[4], tick=replace(moments[4].tick, baseline=replace(stable, pods=(fresh, stable.pods[1])))
    )
    left = told(replace(known, moments=tuple(moments)), "What was left out")
    assert "stable-1 began anew meanwhile: what was not read before that is not known." in left


def test_the_harm_that_is_excluded_is_said() -> None:
    strong = told(course([Answered()] * 20), "How strong that is")
    assert any(
        re.fullmatch(r"At most [\d.]+ in 1,000 of its answers are bad beyond stable's, .*", line) for line in strong
    )


def _judged_young(answered: list[Answered]) -> tuple[Moment, ...]:
    """The canary's pods alone have just begun."""
    young = [
        replace(one, canary=replace(one.canary, pods=tuple(pod._replace(age_s=1.0) for pod in one.canary.pods)))
        for one in ticks(answered)
    ]
    return tuple(Moment(tick, verdict) for tick, verdict in judged(young, JudgePolicy.of({"warmup": "30m"})))


def test_missing_ticks_and_a_source_that_is_down_are_named() -> None:
    found = ticks(WELL)
    down = replace(found[4], source_down="429 Too Many Requests")
    kept = [*found[:3], down, *found[6:]]
    policy = JudgePolicy.of({"warmup": "0s"})
    known = replace(
        course(WELL), moments=tuple(Moment(tick, verdict) for tick, verdict in judged(kept, policy)), policy=policy
    )
    left = told(known, "What was left out")
    assert "1 tick: the metrics could not be read." in left
    assert "20 s between ticks, 2 times: the counters are cumulative, so that the next tick has those counts." in left


def test_nothing_left_out_is_said_as_well() -> None:
    policy = JudgePolicy.of({"warmup": "0s"})
    found = judged(ticks(WELL), policy)[2:]
    known = replace(course(WELL), moments=tuple(Moment(*one) for one in found))
    fair = replace(known, moments=tuple(_fairly(moment) for moment in known.moments))
    assert told(fair, "What was left out") == ["Nothing."]


def _fairly(moment: Moment) -> Moment:
    verdict = moment.verdict
    return replace(moment, verdict=replace(verdict, numbers={**verdict.numbers, "latency_is_proof": True}))


def test_after_a_rollback_it_says_what_happens_and_the_way_out() -> None:
    assert told(course(FAILS), "What comes next") == [
        "All traffic goes to v12; v13 is not tried again by itself.",
        "Evidence does not expire: the verdict stays.",
        "If it was meant, `pointsman unblock` lets it be tried again.",
    ]


def test_an_undecided_rollout_is_told_how_many_requests_settle_it() -> None:
    first, second = told(course([Answered()] * 4), "What comes next")
    assert first == "The next step begins when this one's hold is over and it has had its requests."
    assert re.fullmatch(
        r"If the canary is as good as stable, that is known after about [\d,]+ more of the canary's requests, "
        r"[\d a-z]+ at this rate\.",
        second,
    )


def test_a_policy_that_observes_is_said_to_act_on_nothing() -> None:
    observed = course(FAILS, policy={"warmup": "0s", "mode": "Observe"})
    assert told(observed, "What comes next")[-1] == "Nobody acts on it: the policy only observes."


def test_evidence_that_was_enough_and_only_observed_has_the_odds_of_then_and_of_now() -> None:
    observed = course([*FAILS, *WELL], policy={"warmup": "0s", "mode": "Observe"})
    now, then, *_ = told(observed, "How strong that is")
    assert now == "The evidence that the canary is worse is 1,744,285 to 1: decisive. At 100 to 1 it goes back."
    assert then == "439 to 1 was enough at tick 5 (03:00:50 UTC)."


def test_a_recording_without_ticks_was_not_judged() -> None:
    empty = replace(course(WELL), moments=())
    assert headline(empty) == "v13 was not judged: there is no tick"
    assert told(empty, "What was compared") == ["Nothing: the recording has no tick."]


def test_a_file_is_explained(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.jsonl", lines(ticks(FAILS)))
    ran = pointsman("judge", "explain", file)
    assert ran.status == 0
    assert ran.lines[0] == "v13 goes back: its 5xx is worse than that of v12"
    assert "What was left out" in ran.lines
    found = json.loads(pointsman("judge", "explain", file, "-o", "json").out)
    assert found["headline"] == ran.lines[0]
    assert (found["verdict"], found["metric"], found["seq"]) == ("roll_back", "5xx", 5)
    assert [one["heading"] for one in found["paragraphs"]] == [
        line for line in ran.lines if line.startswith(("What", "How"))
    ]


def in_ledger(ledger: Any) -> None:
    """A rollout with its decisions: a judged one for each tick, then an abort."""
    policy = {"warmup": "0s"}
    found = judged(ticks(FAILS), JudgePolicy.of(policy))
    ledger.put(
        service(stable="v12"), rollout("aaaa1111bbbb", "rolled_back", planned=plan(judge=policy), seq=len(found))
    )
    for number, (tick, verdict) in enumerate(found, start=1):
        after = {"verdict": verdict.as_json(), "want": 5}
        inputs = {"tick": kept(tick), "commands": []}
        ledger.put(
            decision("aaaa1111bbbb", number, "stepping", after=after, inputs=inputs, kind="verdict", at=tick.until)
        )
    by = {"verb": "abort", "by": "ada@example.com", "why": "enough"}
    last = decision("aaaa1111bbbb", len(found) + 1, "giving_back", kind="command", after={"want": 0})
    asked: dict[str, Any] = {"tick": None, "commands": [by]}
    ledger.put(replace(last, inputs=asked, at=START + timedelta(minutes=5)))


@pytest.mark.parametrize(
    "words", [["aaaa1111bbbb"], ["aaaa"], ["digits", "-n", "demo"]], ids=["id", "start", "service"]
)
def test_a_rollout_of_the_ledger_is_explained_as_it_was_judged(pointsman: Any, ledger: Any, words: list[str]) -> None:
    in_ledger(ledger)
    ran = pointsman("judge", "explain", *words)
    assert ran.status == 0
    assert ran.lines[0] == "digits-4e5f6a7b was rolled back: its 5xx is worse than that of digits-0a1b2c3d"
    assert "  The canary, at 5 % of the requests, answered 200; 8 of its answers were bad." in ran.lines


def test_another_policy_judges_the_ticks_of_the_ledger_again(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    in_ledger(ledger)
    policy = tmp_path / "policy.yaml"
    policy.write_text("judge: {mode: Observe, warmup: 0s}\n")
    ran = pointsman("judge", "explain", "aaaa", "--policy", policy)
    assert ran.lines[0] == "digits-4e5f6a7b was rolled back: it was only observed, and seen to be worse"
    assert "only observed" in ran.err
    assert "looser than recorded: nothing is acted on\n" in ran.err


def test_the_report_of_a_rollout_in_the_ledger_has_what_people_asked(
    pointsman: Any, ledger: Any, tmp_path: Path
) -> None:
    in_ledger(ledger)
    ran = pointsman("judge", "report", "aaaa", "--out", tmp_path / "a.html")
    assert ran.status == 0
    assert "<td>abort</td><td>asked by ada@example.com: enough</td>" in (tmp_path / "a.html").read_text()


def test_what_is_nowhere_is_named(pointsman: Any, ledger: Any) -> None:
    ran = pointsman("judge", "explain", "nix")
    assert (ran.status, ran.err) == (1, "error: no rollout and no service nix — pointsman rollouts list\n")


def test_a_service_that_is_not_in_that_namespace_is_told_with_those_that_are(pointsman: Any, ledger: Any) -> None:
    in_ledger(ledger)
    for words in (["digits", "-n", "prod"], ["prod/digits"]):
        ran = pointsman("judge", "explain", *words)
        assert (ran.status, ran.err) == (1, f"error: no rollout and no service {words[0]} — known: demo/digits\n")


@pytest.mark.parametrize("name", ["rollouts/3f9c2d1a.jsonl", "/nowhere/at-all", "./digits"])
def test_a_file_that_is_not_there_is_not_looked_for_in_the_ledger(pointsman: Any, name: str) -> None:
    ran = pointsman("judge", "explain", name)
    assert ran.status == 1
    assert ran.err.startswith(f"error: {name}: there is no such file — name a recording, a rollout's id or a service")


@pytest.mark.parametrize(
    ("ended", "answered", "expected"),
    [
        ("promoted", WELL, "v13 was promoted: nothing spoke against it"),
        ("aborted", WELL, "v13 was aborted: nothing spoke against it"),
        ("superseded", [*WELL, Answered(canary=((0, 0),))], "v13 gave way to a newer revision: the judge could say "),
        ("rolled_back", FAILS, "v13 was rolled back: its 5xx is worse than that of v12"),
    ],
)
def test_a_rollout_that_has_ended_is_told_by_its_end(ended: str, answered: list[Answered], expected: str) -> None:
    known = replace(course(answered), ended=ended)
    assert headline(known).startswith(expected)
    assert ("Nothing: the rollout has ended." in told(known, "What comes next")) == (ended != "rolled_back")


def test_a_first_deployment_has_nothing_beside_it() -> None:
    alone = course([Answered(stable=(), split=1.0)] * 4)
    assert told(alone, "What was compared")[0] == (
        "v13 of demo/digits, alone: no stable revision answered beside it, so that it is judged by the greatest share "
        "of bad answers that is ever accepted, 30 %."
    )


def test_a_rollout_that_is_recorded_from_the_ledger_is_judged_again_to_the_same_verdicts(
    pointsman: Any, ledger: Any, tmp_path: Path
) -> None:
    in_ledger(ledger)
    file = tmp_path / "a.jsonl"
    assert pointsman("judge", "record", "digits", "-n", "demo", "--out", file).status == 0
    kinds = [json.loads(line)["kind"] for line in file.read_text().splitlines()]
    assert kinds.count("tick") == kinds.count("verdict") == 9
    ran = pointsman("judge", "replay", file)
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["verdict"] == "roll_back"


def test_a_recording_has_what_people_asked_for(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    in_ledger(ledger)
    file = tmp_path / "a.jsonl"
    file.write_text(pointsman("judge", "record", "aaaa").out)
    pointsman("judge", "report", file, "--out", tmp_path / "a.html")
    assert "<td>abort</td><td>asked by ada@example.com: enough</td>" in (tmp_path / "a.html").read_text()


def test_a_rollout_judged_again_begins_with_what_it_had_begun_with() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.tick(60.0)
    opened = cloud.push(modelled("v2"), "c2")
    cloud.behaviours[opened.to_revision] = Behaviour(errors=0.02)
    cloud.execute(opened.id).run()
    record, decisions = cloud.rollout(opened.id), cloud.decisions(opened.id)
    said = course_of_decisions(record, decisions)
    again = course_of_decisions(record, decisions, cast("JSON", record.plan["judge"]))
    assert len(said.moments) >= 3
    assert [moment.verdict.log_e for moment in again.moments] == [moment.verdict.log_e for moment in said.moments]
