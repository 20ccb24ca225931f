"""What a strategy gives: the merged file as parts, and its conflicts.

A part is bytes, or a stretch of one of the three versions; so a merge costs memory for what
changed, and what nobody touched keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mlver.errors import LocalIOError
from mlver.formats.base import Source
from mlver.merge.options import Options
from mlver.model.conflict import Conflict

BASE, OURS, THEIRS = 0, 1, 2
_BLOCK = 1024 * 1024


class Copy(NamedTuple):
    """`length` bytes from `offset` of a version (BASE, OURS, THEIRS)."""

    side: int
    offset: int
    length: int


Part = Copy | bytes


class Versions(NamedTuple):
    """The three versions of a file; base is empty where both sides added it."""

    base: Source
    ours: Source
    theirs: Source


@dataclass(frozen=True, slots=True)
class Merged:
    """`key_source`: as in a diff. `notes`: what a person should know, such as why a file was taken
    as opaque. With conflicts, the parts make a valid file in which ours stands where they are."""

    format: str
    parts: Sequence[Part]
    conflicts: tuple[Conflict, ...] = ()
    key: tuple[str, ...] = ()
    key_source: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not self.conflicts


class Strategy(Protocol):
    """A module of this package. Raises NotThisFormat where a version is not what the name says."""

    def merge(self, versions: Versions, name: str, options: Options) -> Merged:
        """Merge versions of which each differs from both others."""


def whole(source: Source, side: int) -> list[Part]:
    """All of one version."""
    return [Copy(side, 0, source.size)] if source.size else []


def read_parts(versions: Versions, parts: Sequence[Part]) -> Iterator[bytes]:
    """The bytes that parts make."""
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        at, end = part.offset, part.offset + part.length
        while at < end:
            data = versions[part.side].read(at, min(_BLOCK, end - at))
            if not data:
                raise LocalIOError(
                    "a version got shorter while it was merged",
                    why="another program writes to it",
                    fix="run it again when that program has ended",
                )
            yield data
            at += len(data)
