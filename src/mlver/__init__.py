"""git-mlver: version large data and models with plain git.

`mlver.run()` records a run from inside a Python program (mlver.api).

This module imports nothing: every git command that touches a tracked file starts a process of
ours, and each import is paid for there.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("run", "Run"):
        import importlib

        return getattr(importlib.import_module("mlver.api"), name)
    raise AttributeError(f"module 'mlver' has no attribute {name!r}")
