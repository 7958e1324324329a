"""The checks of `pointsman bootstrap doctor`, a file for each thing that is looked at."""
