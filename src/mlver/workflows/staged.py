"""Values of the pre-commit hook: what is staged, and what became of it."""

from __future__ import annotations

from typing import NamedTuple

ATTRIBUTES = b".gitattributes"


class Staged(NamedTuple):
    """A file whose staged content is new. `blob`: git's id of it; `size` in bytes."""

    mode: str
    blob: str
    path: bytes
    size: int


class Captured(NamedTuple):
    """A staged file that became a pointer. `tracked`: the attribute was there already."""

    path: bytes
    size: int
    tracked: bool
