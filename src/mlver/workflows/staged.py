"""Values of the pre-commit hook: what is staged, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

ATTRIBUTES = b".gitattributes"


@dataclass(frozen=True, slots=True)
class Staged:
    """A file whose staged content is new. `blob`: git's id of it; `size` in bytes."""

    mode: str
    blob: str
    path: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Captured:
    """A staged file that became a pointer. `tracked`: the attribute was there already."""

    path: bytes
    size: int
    tracked: bool
