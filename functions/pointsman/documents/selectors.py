"""Whether a text is a PromQL series selector: a metric's name with matchers, and nothing around it."""

import re

__all__ = ["not_a_selector"]

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
_MATCHER = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*|{_STRING})\s*(?:=~|!~|!=|=)\s*{_STRING}"
_MATCHERS = rf"\{{\s*(?:(?:{_MATCHER}|{_STRING})\s*(?:,\s*(?:{_MATCHER}|{_STRING})\s*)*,?\s*)?\}}"
_SELECTOR = re.compile(rf"^\s*(?:{_NAME}\s*(?:{_MATCHERS})?|{_MATCHERS})\s*$")
_CALL = re.compile(rf"^\s*({_NAME})\s*(?:(?:by|without)\s*\([^)]*\)\s*)?\(")
_RANGE = re.compile(r"\[[^\]]*\]")


def not_a_selector(text: str) -> str | None:
    """Why the text is no series selector, in a few words; None when it is one."""
    if _SELECTOR.match(text):
        return None if re.search(r"[^\s{}]", text) else "names no metric"
    if call := _CALL.match(text):
        return f"{call.group(1)}(...) is a function"
    # Quoted values may hold anything.
    bare = re.sub(_STRING, '""', text)
    if _RANGE.search(bare):
        return "has a range"
    if re.search(r"\b(offset|@)\b", bare):
        return "has an offset"
    if re.search(r"[-+*/%^<>]|\b(and|or|unless|by|without|on)\b|[!=]=", bare):
        return "is an expression"
    return "is no series selector"
