"""The peers' rules over many rollouts at once, at documented settings and over grids to be tuned."""

from benchmarks.judge.peers.deciding import Setting, decide
from benchmarks.judge.peers.grids import PEERS, grid
from benchmarks.judge.peers.tuning import Scores, best, scores

__all__ = ["PEERS", "Scores", "Setting", "best", "decide", "grid", "scores"]
