"""Steps a second of the workflow executor, beside `workflows-emulator` of PyPI, on the same files.

The other one is installed into an environment of its own below `build/`, since its requirements contradict ours.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.row import Row

__all__ = ["rows"]

OTHER = "workflows-emulator==1.10.0"
ENVIRONMENT = Path("build/bench-venv")
RUNS = 3
ITERATIONS = 5_000

LOOP = f"""\
main:
  steps:
    - begin:
        assign:
          - total: 0
    - loop:
        for:
          value: number
          range: [1, {ITERATIONS}]
          steps:
            - add:
                assign:
                  - total: ${{total + number}}
    - end:
        return: ${{total}}
"""

JUMP = f"""\
main:
  steps:
    - begin:
        assign:
          - count: 0
    - add:
        assign:
          - count: ${{count + 1}}
    - again:
        switch:
          - condition: ${{count < {ITERATIONS}}}
            next: add
    - end:
        return: ${{count}}
"""

# Both time their own run of a file that is loaded already, so that neither pays for imports.
OURS = """
import sys, time, uuid
from pathlib import Path
from pointsman_local.workflows.compiler import deploy
from pointsman_local.workflows.rehearsal import environment, rehearse
program = deploy(Path(sys.argv[1]).read_text())
begun = time.perf_counter()
outcome = rehearse(program, None, environment("bench", "lab", "us-central1"), lambda severity, value: None)
print(time.perf_counter() - begun, outcome.result)
"""
THEIRS = """
import sys, time
from workflows_emulator.main import load_workflow, execute_workflow
config = load_workflow(sys.argv[1])
begun = time.perf_counter()
result = execute_workflow(config, {})
print(time.perf_counter() - begun, result)
"""


def rows() -> Iterator[Row]:
    theirs = _other()
    for name, source, steps, expected in (
        ("executor: for loop", LOOP, ITERATIONS, ITERATIONS * (ITERATIONS + 1) // 2),
        ("executor: jumps and switches", JUMP, 2 * ITERATIONS, ITERATIONS),
    ):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "bench.yaml"
            file.write_text(source)
            pairs = [
                (_seconds(sys.executable, OURS, file, expected), _seconds(theirs, THEIRS, file, expected))
                for _ in range(RUNS)
            ]
        ours, others = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Row(
            name,
            f"{steps / ours:,.0f} steps/s",
            f"{OTHER.partition('==')[0]} {steps / others:,.0f}",
            f"{statistics.median(other / our for our, other in pairs):.1f} x as fast",
        )


def _other() -> str:
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", OTHER]
        subprocess.run(install, check=True)
    return str(python)


def _seconds(python: str, program: str, file: Path, expected: int) -> float:
    run = subprocess.run([python, "-c", program, str(file)], check=True, capture_output=True, text=True, timeout=300)
    seconds, result = run.stdout.split()[-2:]
    assert json.loads(result) == expected, run.stdout
    return float(seconds)
