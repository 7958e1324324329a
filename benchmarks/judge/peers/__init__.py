"""The peers' rules over many rollouts at once, at documented settings and over grids to be tuned."""

from benchmarks.judge.peers.deciding import Setting, decide
from benchmarks.judge.peers.grids import PEERS, grid
from benchmarks.judge.peers.tuning import Scores, Tuned, best, scores, tuned
from pointsman_cli.judging.peers.documented import DOCUMENTED

__all__ = ["PEERS", "Scores", "Setting", "Tuned", "best", "decide", "grid", "rules", "scores", "tuned"]


def rules() -> tuple[Setting, ...]:
    """The documentation's settings."""
    return DOCUMENTED
