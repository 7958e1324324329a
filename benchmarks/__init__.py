"""Figures, each with its yardstick measured in the same run: `make bench`, or `python -m benchmarks [NAME…]`."""
