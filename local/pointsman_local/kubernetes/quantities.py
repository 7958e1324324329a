"""Kubernetes quantities (`500m`, `1Gi`, `2`) as exact numbers."""

import re
from fractions import Fraction
from typing import Any

__all__ = ["quantity"]

_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
}
_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Z]*)$")


def quantity(value: Any) -> Fraction:
    """Raises ValueError for what is none."""
    match = _FORM.match(str(value))
    if not match or match[2] not in _SUFFIXES:
        raise ValueError(f"{value!r} is no quantity")
    return Fraction(match[1]) * _SUFFIXES[match[2]]
