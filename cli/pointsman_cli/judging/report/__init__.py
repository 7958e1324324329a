"""A rollout as one HTML file that needs nothing else: charts are SVG written by hand, one a module."""
