"""What other controllers' documented rules would have decided on the same ticks."""

from pointsman_cli.judging.peers.documented import DOCUMENTED, Setting, outcomes
from pointsman_cli.judging.peers.windows import Outcome, Window

__all__ = ["DOCUMENTED", "Outcome", "Setting", "Window", "outcomes"]
