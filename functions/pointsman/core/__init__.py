"""Decisions: pure functions of recorded inputs. No clock, no environment, no network, no logging."""
