"""`python -m benchmarks [NAME…]`: run all benchmarks, or those named, and print one table.

Machines differ and are noisy: absolute figures are for orientation, ratios are what to compare.
"""

import sys

from rich.console import Console
from rich.table import Table

from benchmarks import cost, documents, executor, imports, plane
from benchmarks.judge import rows as judge

BENCHMARKS = {
    "executor": executor.rows,
    "imports": imports.rows,
    "documents": documents.rows,
    "judge": judge.rows,
    "cost": cost.rows,
    "plane": plane.rows,
}


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("WHAT", "FIGURE", "YARDSTICK", "RATIO"):
        table.add_column(heading, justify="left" if heading == "WHAT" else "right")
    for name in wanted:
        print(f"{name} …", file=sys.stderr)
        for row in BENCHMARKS[name]():
            table.add_row(row.what, row.figure, row.yardstick, row.ratio)
    console = Console(width=140)
    console.print(table)
    if "judge" in wanted:
        console.print(
            "open: an aim not reached, or too few rollouts in this short run to tell; make bench-judge has enough"
        )


if __name__ == "__main__":
    main()
