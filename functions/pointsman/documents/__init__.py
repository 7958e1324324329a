"""The five kinds that users write: their models, and the loader of a whole repository. No I/O.

The loader is imported when it is first asked for: a function that needs one model pays for that one only.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman.documents.config import Config, Loaded, Written
    from pointsman.documents.faults import Fault
    from pointsman.documents.loader import load

__all__ = ["Config", "Fault", "Loaded", "Written", "load"]

_HOME = {"Config": "config", "Loaded": "config", "Written": "config", "Fault": "faults", "load": "loader"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
