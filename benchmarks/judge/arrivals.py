"""The arrivals of the Azure LLM inference trace 2023, from its public files; they are not part of this repository.

Source: github.com/Azure/AzurePublicDataset, `data/AzureLLMInferenceTrace_conv.csv` and `…_code.csv`, Creative Commons
Attribution 4.0, © Microsoft; described in P. Patel et al., "Splitwise: Efficient generative LLM inference using phase
splitting", ISCA 2024. Only the times are used: which requests arrive together.
"""

import csv
import gzip
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.judge.families import Family
from benchmarks.judge.scenarios import Arrivals

__all__ = ["ARRIVALS", "azure", "azure_nulls", "azure_regressions"]

ARRIVALS: Mapping[str, Literal["azure conv", "azure code"]] = {"conv": "azure conv", "code": "azure code"}


def azure(path: Path) -> dict[str, np.ndarray]:
    """Requests in each second of either trace, by its name. `path` is the folder of both files, plain or gzipped.

    Raises FileNotFoundError where one is missing, ValueError where one is no such file.
    """
    return {name: _seconds(_file(path, name)) for name in ARRIVALS}


def _file(folder: Path, name: str) -> Path:
    plain = folder / f"AzureLLMInferenceTrace_{name}.csv"
    for path in (plain, plain.with_suffix(".csv.gz")):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no {plain.name}, or the same with .gz, in {folder}")


def _seconds(path: Path) -> np.ndarray:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text))
    if not rows.fieldnames or "TIMESTAMP" not in rows.fieldnames:
        raise ValueError(f"{path}: has no column TIMESTAMP")
    # Seven digits of a second, of which Python reads six.
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC).timestamp() for row in rows]
    first = min(times)
    return np.bincount([int(time - first) for time in times])


def azure_nulls(traces: Arrivals) -> list[Family]:
    """A healthy canary under the trace's own arrivals, at its own rate."""
    return [
        Family(f"arrivals of azure {name}", rate=_rate(traces, name), arrivals=arrivals)
        for name, arrivals in ARRIVALS.items()
    ]


def azure_regressions() -> list[Family]:
    """Scaled to 56 requests a second."""
    return [
        family
        for name, arrivals in ARRIVALS.items()
        for family in (
            Family(f"errors x5, arrivals of azure {name}", errors=5.0, arrivals=arrivals),
            Family(f"latency x1.5, arrivals of azure {name}", slower=1.5, arrivals=arrivals),
        )
    ]


def _rate(traces: Arrivals, name: str) -> float:
    return float(traces[name].mean())
