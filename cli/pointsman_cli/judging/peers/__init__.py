"""What other controllers' documented rules would have decided on the same ticks."""

from pointsman_cli.judging.peers.documented import DOCUMENTED, outcomes
from pointsman_cli.judging.peers.windows import Outcome, Rule, Window

__all__ = ["DOCUMENTED", "Outcome", "Rule", "Window", "outcomes"]
