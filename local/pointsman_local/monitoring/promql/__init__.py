"""PromQL over the local store: the part of the language that dashboards and alert policies of ours use.

The grammar is checked by a parser that follows Prometheus 2.45; what is evaluated here differs in this: a rate or
increase is what was counted in the window, without extrapolation to its edges, and an instant value is at most a
minute old. What is not imitated is refused by name.
"""

from pointsman_local.monitoring.promql.evaluation import Query, Sample

__all__ = ["Query", "Sample"]
