"""Prometheus' text format: what a target answers on its metrics path."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

__all__ = ["Histogram", "Sample", "parse"]

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+\S+)?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Disjoint counts, one more than `bounds`; the sum of the observations."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a target at one scrape. `kind` is the family's type; summaries are left out."""

    name: str
    kind: str
    labels: tuple[tuple[str, str], ...]
    value: float | Histogram


def parse(text: str) -> list[Sample]:
    """Every counter, gauge, untyped and whole histogram in `text`. ValueError: the line that is none."""
    kinds: dict[str, str] = {}
    samples: list[Sample] = []
    histograms: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, float]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            words = line.split(None, 3)
            if len(words) == 4 and words[1] == "TYPE":
                kinds[words[2]] = words[3].strip()
            continue
        if not line.strip():
            continue
        found = LINE.match(line)
        if found is None:
            raise ValueError(f"not a sample: {line[:200]}")
        name, labels, value = found[1], _labels(found[2] or ""), float(found[3])
        family, part = _family(name, kinds)
        kind = kinds.get(family, "unknown")
        if kind == "histogram":
            le = labels.pop("le", part)
            histograms.setdefault((family, _sorted(labels)), {})[le] = value
        elif kind in ("counter", "gauge", "unknown", "untyped") and not name.endswith("_created"):
            samples.append(Sample(name, "unknown" if kind == "untyped" else kind, _sorted(labels), value))
    samples.extend(_histograms(histograms))
    return samples


def _family(name: str, kinds: Mapping[str, str]) -> tuple[str, str]:
    """The family that a sample belongs to, and which part of a histogram or summary it is."""
    if name in kinds:
        return name, ""
    for suffix in ("_bucket", "_count", "_sum", "_total"):
        if name.endswith(suffix) and (family := name.removesuffix(suffix)) in kinds:
            return family, suffix
    return name, ""


def _labels(text: str) -> dict[str, str]:
    return {
        name: ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], value) if "\\" in value else value
        for name, value in LABEL.findall(text)
    }


def _sorted(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _histograms(
    found: Mapping[tuple[str, tuple[tuple[str, str], ...]], Mapping[str, float]],
) -> Iterator[Sample]:
    for (name, labels), parts in found.items():
        edges = sorted((float(le), le) for le in parts if not le.startswith("_"))
        if not edges or edges[-1][0] != inf:
            continue  # a histogram without its last bucket has no count
        below, counts = 0, []
        for _, le in edges:
            counts.append(int(parts[le]) - below)
            below = int(parts[le])
        yield Sample(
            name,
            "histogram",
            labels,
            Histogram(tuple(edge for edge, _ in edges[:-1]), tuple(counts), parts.get("_sum", 0.0)),
        )
