"""git-mlver: version large data and models with plain git.

This module imports nothing: every git command that touches a tracked file starts a process of
ours, and each import is paid for there.
"""

__version__ = "0.1.0"
