"""A rollout's report: one file that needs nothing else, that anybody can read, and in which a name is never markup."""

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.cli.courses import EDGES, START, Answered, course, lines, recorded, ticks

from pointsman.core.judge import JudgePolicy, Verdict
from pointsman_cli.judging.course import Course, Mark, Moment
from pointsman_cli.judging.peers import DOCUMENTED
from pointsman_cli.judging.report.page import page
from pointsman_cli.judging.report.svg import count_ticks, logarithmic, thinned

WELL = [Answered(canary=((50, 0), (50, 1)))] * 12
FAILS = [Answered()] * 3 + [Answered(canary=((50, 4),))] * 5
SLOW = [Answered()] * 2 + [Answered(buckets=(4, 2))] * 5
VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = '<script>alert("x")</script>&amp;'


class Read(HTMLParser):
    """A page, taken apart: whether its tags are balanced, its identifiers, texts and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "aria-labelledby":
                self.labelled += (value or "").split()
            elif name in ("src", "href", "xlink:href", "action", "srcset"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.texts).split())


def titled(text: str, heading: str) -> str:
    """The part of a page under a heading."""
    return text.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]


@pytest.mark.parametrize("answered", [WELL, FAILS, SLOW, [], [Answered(canary=((0, 0),))] * 3])
def test_a_report_is_a_whole_page_that_asks_for_nothing_else(answered: list[Answered]) -> None:
    text = page(course(answered))
    found = Read(text)
    assert found.open == []
    assert found.addresses == []
    assert found.tags["script"] == found.tags["iframe"] == found.tags["link"] == 0
    assert not re.search(r"url\(|@import|https?://", text)
    assert text.startswith("<!doctype html><html lang=")


@pytest.mark.parametrize("answered", [WELL, FAILS, SLOW])
def test_every_drawing_has_a_title_and_words_in_its_place(answered: list[Answered]) -> None:
    text = page(course(answered))
    found = Read(text)
    drawings = re.findall(r"<svg viewBox.*?</svg>", text)
    assert len(drawings) >= 8
    assert all(re.search(r'role="img".*<title id=.*?>.+</title><desc id=.*?>.+</desc>', one) for one in drawings)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.labelled) == set(found.ids)


def test_it_is_readable_in_the_dark_on_a_telephone_and_on_paper() -> None:
    text = page(course(FAILS))
    for needed in ("prefers-color-scheme: dark", "@media print", "@media (max-width:", 'name="viewport"'):
        assert needed in text


def test_names_that_users_wrote_are_never_markup() -> None:
    known = course([Answered(canary=((50, 4),))] * 6, marks=[Mark(START, 2, HOSTILE, f"by {HOSTILE}")])
    moments = tuple(_renamed(moment) for moment in known.moments)
    metrics = tuple(replace(metric, name=HOSTILE) for metric in known.policy.metrics[:1]) + known.policy.metrics[1:]
    policy = replace(known.policy, metrics=metrics)
    text = page(Course(HOSTILE, HOSTILE, HOSTILE, HOSTILE, policy, moments, known.marks))
    assert Read(text).tags["script"] == 0
    assert HOSTILE not in text
    assert HOSTILE in "".join(Read(text).texts)


def _renamed(moment: Moment) -> Moment:
    pods = tuple(pod._replace(pod=f"{HOSTILE}{pod.pod}") for pod in moment.tick.baseline.pods)
    verdict = moment.verdict
    told = Verdict(verdict.action, HOSTILE, HOSTILE, verdict.log_e, verdict.effect, verdict.numbers)
    return Moment(replace(moment.tick, baseline=replace(moment.tick.baseline, pods=pods)), told)


def test_the_head_says_verdict_reason_evidence_and_exposure_with_their_units() -> None:
    said = Read(page(course(FAILS))).said
    deciding = course(FAILS).deciding
    assert deciding is not None
    assert "v13 goes back: its 5xx is worse than that of v12" in said
    assert deciding.verdict.reason in said
    assert re.search(r"Evidence that it is worse [\d,^]+ to 1 decisive; 100 to 1 decides", said)
    assert re.search(r"Answered by the canary [\d,]+ requests [\d,]+ by stable meanwhile", said)
    assert re.search(r"Bad answers of the canary \d+ [\d.]+ %; stable [\d,]+, [\d.]+ %", said)
    assert re.search(r"Judged for [\d a-z]+ \d+ ticks, from 2026-11-22 02:59 UTC", said)


def test_the_line_of_the_evidence_is_crossed_where_the_canary_went_back() -> None:
    drawing = titled(page(course(FAILS)), "Evidence")
    limit = re.search(r'class="limit" x1="[\d.]+" y1="([\d.]+)"', drawing)
    path = re.search(r'class="sum" d="M([^"]+)"', drawing)
    assert limit is not None
    assert path is not None
    heights = [float(point.split()[1]) for point in path[1].split("L")]
    assert heights[-1] < float(limit[1]) < min(heights[:-1])  # pixels are counted from above


def test_the_scale_of_the_evidence_goes_as_far_as_the_evidence_and_leaves_room_below_the_line() -> None:
    answered = [Answered()] * 3 + [Answered(canary=((50, 25),))] * 5
    drawing = titled(page(course(answered, policy={"warmup": "0s", "mode": "Observe"})), "Evidence").split("</svg>")
    (wide,) = [part for part in drawing if 'width="916"' in part]
    named = re.findall(r'y="([\d.]+)" text-anchor="end">([\d,/^]+)</text>', wide)
    assert [words for _, words in named] == [
        *("1", "10", "100", "10,000", "10^10", "10^20", "10^50", "10^100"),
        *("1/10", "1/100"),
    ]
    path = re.search(r'class="sum" d="M([^"]+)"', wide)
    limit = re.search(r'class="limit" x1="[\d.]+" y1="([\d.]+)"', wide)
    assert path is not None
    assert limit is not None
    heights = [float(point.split()[1]) for point in path[1].split("L")][-5:]
    assert heights == sorted(set(heights), reverse=True)  # pixels are counted from above; no two lie on the edge
    assert min(heights) == 22.0
    assert float(limit[1]) < 200.0  # the frame ends at 266


def test_evidence_for_the_canary_is_drawn_as_far_as_it_goes() -> None:
    drawing = titled(page(course([Answered()] * 900)), "Evidence")
    assert ">1/1,000</text>" in drawing


def test_a_metric_has_its_band_and_its_margin() -> None:
    part = titled(page(course(WELL)), "How much worse")
    five_hundreds, latency = part.split("<figure>")[1:]
    assert 'class="band"' in five_hundreds
    assert "share of bad answers, in multiples of stable" in five_hundreds
    assert "share of answers that took longer than" in latency
    sure = r"(between ×[\d.]+ and ×[\d.]+, each end|below ×[\d.]+) with 95 % confidence at whatever moment one looks"
    assert re.search(f"it lies {sure}", five_hundreds)


def test_slow_answers_that_stable_never_gave_are_said_to_lie_above_a_bound() -> None:
    text = page(course([*[Answered()] * 6, Answered(buckets=(4, 2))]))
    latency = titled(text, "How much worse").split("<figure>")[-1]
    assert "in multiples of stable&#x27;s: it lies above ×20 with 95 % confidence" in latency
    assert "nothing was seen" not in latency


def test_bad_answers_that_stable_never_gave_are_a_band_above_a_bound_and_no_multiple() -> None:
    never = ((475, 0), (475, 0))
    text = page(course([*[Answered(stable=never)] * 2, *[Answered(canary=((50, 3),), stable=never)] * 4]))
    five_hundreds = titled(text, "How much worse").split("<figure>")[1]
    assert 'class="band"' in five_hundreds
    assert "it lies above ×10 with 95 % confidence" in five_hundreds
    assert "was seen" not in five_hundreds
    assert "none of stable&#x27;s 3,800" in titled(text, "Why")


def test_what_is_known_of_one_tick_alone_is_drawn_as_a_bar_and_a_dot() -> None:
    part = titled(page(course([Answered(), Answered(canary=((50, 3),), buckets=(3, 3))])), "How much worse")
    five_hundreds, latency = part.split("<figure>")[1:]
    assert 'class="last"' in five_hundreds
    edges = re.findall(r'class="band-edge" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', latency)
    assert edges
    for left, top, right, bottom in edges:
        assert left == right
        assert float(top) < float(bottom)


def test_the_band_of_a_metric_ends_where_no_one_value_fits_all_ticks() -> None:
    text = page(course([*[Answered()] * 6, Answered(canary=((50, 25),))]))
    five_hundreds = titled(text, "How much worse").split("<figure>")[1]
    edge = re.search(r'class="band-edge" d="M([^"]+)"', five_hundreds)
    effect = re.search(r'class="effect" d="M([^"]+)"', five_hundreds)
    assert edge is not None
    assert effect is not None
    assert float(edge[1].split("L")[-1].split()[0]) < float(effect[1].split("L")[-1].split()[0])
    assert "it lies at no one value, since it has changed.</figcaption>" in five_hundreds
    assert "at no one value, since it has changed" in titled(text, "Every metric")


def test_every_pod_of_both_sides_is_a_dot_that_says_its_numbers() -> None:
    text = page(course(WELL))
    (dots,) = [part for part in text.split("<figure>") if "<h3>Bad answers, pod by pod</h3>" in part]
    wide = dots.split('class="on-narrow"')[0]
    assert re.findall(r'class="pod (\w+)"', wide) == ["canary", "canary", "stable", "stable"]
    assert "<title>canary-2: 2 % bad of 550 requests</title>" in wide


def test_counters_without_pods_are_said_to_name_none() -> None:
    one_each = [Answered(stable=((950, 5),))] * 6
    assert "do not name pods" in Read(page(course(one_each))).said


def test_the_distributions_have_their_quantiles_beside_them() -> None:
    text = page(course(SLOW))
    (shapes,) = [part for part in text.split("<figure>") if "how long answers took" in part]
    rows = re.findall(r'<th scope="row">(\w+)</th><td class="n">([^<]+)</td><td class="n">([^<]+)</td>', shapes)
    assert [name for name, _, _ in rows] == ["median", "p90", "p99"]
    assert rows[0][1:] != rows[1][1:]
    assert all(_ms(stable) <= EDGES[2] for _, _, stable in rows)


def _ms(words: str) -> float:
    value, unit = words.split()
    return float(value) * (1000.0 if unit == "s" else 1.0)


def test_the_timeline_has_shares_verdicts_and_what_people_asked_in_order() -> None:
    asked = Mark(START.replace(second=35), 3, "abort", "asked by ada@example.com: too slow")
    part = titled(page(course(FAILS, marks=[asked])), "What happened when")
    found = re.findall(r'<tr><th scope="row">([\d:]+)</th><td>([^<]+)</td>', part)
    assert [time for time, _ in found] == sorted(time for time, _ in found)
    kinds = [what for _, what in found]
    assert kinds == ["hold (no-data)", "share", "continue", "abort", "roll back"]


def test_the_peers_are_asked_about_the_same_requests() -> None:
    part = titled(page(course(FAILS)), "What other rules would have done")
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th><td>([^<]+)</td>', part)
    assert [unescape(name) for name, _ in rows] == [
        "pointsman",
        *(rule.name for rule in DOCUMENTED),
    ]
    assert rows[0][1] == "rolls back"
    assert "lets it pass" not in dict(rows).values()  # the rollout ended before they could


def test_the_peers_of_a_rollout_that_is_over_let_it_pass() -> None:
    still = titled(page(course(WELL), over=False), "What other rules would have done")
    over = titled(page(course(WELL), over=True), "What other rules would have done")
    assert "no objection yet" in still
    assert "lets it pass" not in still
    assert "lets it pass" in over


def test_what_came_after_the_decision_is_not_drawn() -> None:
    short = page(course(FAILS[:6]))
    long = page(course([*FAILS[:6], *FAILS[-1:] * 5]))
    assert len(titled(long, "Evidence")) == len(titled(short, "Evidence"))


@pytest.mark.parametrize(("number", "most"), [(240, 260_000), (1500, 500_000)])
def test_a_long_rollout_makes_no_large_file(number: int, most: int) -> None:
    assert len(page(course([Answered()] * number)).encode()) < most


def test_what_no_eye_can_tell_apart_is_drawn_once_with_its_extremes() -> None:
    crowd = [(3.0 + index / 100, float(index % 7)) for index in range(50)]
    apart = [(float(x), 1.0) for x in range(10, 20)]
    drawn = thinned([*crowd, *apart])
    assert drawn[-10:] == apart
    assert len(drawn) <= 14
    assert {y for _, y in drawn[:-10]} >= {0.0, 6.0}


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 37.0, 4, [0.0, 10.0, 20.0, 30.0]),
        (610.0, 890.0, 3, [700.0, 800.0]),
        (5.0, 5.0, 3, [5.0]),
    ],
)
def test_an_axis_has_round_numbers(low: float, high: float, about: int, expected: list[float]) -> None:
    assert count_ticks(low, high, about) == expected


def test_what_lies_outside_a_scale_is_drawn_on_its_edge() -> None:
    scale = logarithmic(1.0, 100.0, 0.0, 200.0)
    assert [scale(value) for value in (0.0, 1.0, 10.0, 100.0, 1e9)] == pytest.approx([0.0, 0.0, 100.0, 200.0, 200.0])


def test_report_writes_a_file_named_after_the_rollout(
    pointsman: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = recorded(tmp_path / "a.jsonl", lines(ticks(FAILS), rollout="../3f9c/2d1a"))
    ran = pointsman("judge", "report", file)
    assert (ran.status, ran.out) == (0, "3f9c-2d1a.html\n")
    assert "v13 goes back" in (tmp_path / "3f9c-2d1a.html").read_text()


def test_report_writes_where_it_is_told_or_says_why_not(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.jsonl", lines(ticks(WELL)))
    assert pointsman("judge", "report", file, "--out", tmp_path / "b.html").out == f"{tmp_path / 'b.html'}\n"
    ran = pointsman("judge", "report", file, "--out", tmp_path / "no" / "b.html")
    assert ran.status == 1
    assert ran.err.endswith("b.html: cannot be written: No such file or directory — name another with --out\n")


def test_a_policy_of_one_metric_is_drawn_as_well() -> None:
    known = course(WELL)
    policy = JudgePolicy(metrics=(replace(known.policy.metrics[0], weight=1.0),))
    assert Read(page(replace(known, policy=policy))).open == []
