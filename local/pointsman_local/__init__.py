"""The local cloud: servers that speak Google's wire protocols, on one machine, for unmodified clients.

It shares no decision with what it runs: a server built on the code under test would agree with its bugs.
"""
