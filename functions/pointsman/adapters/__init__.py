"""The world behind the ports: one file for each port. A client is imported where it is wired, never at the top.

Google's clients cost 180 to 450 ms of a cold start each, and a function is wired only with what it uses.
"""
