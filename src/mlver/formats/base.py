"""What a format reads from, and what it gives.

`Source` is one version's bytes, read by position: a file, or a blob of which only what is asked
for is fetched. A format that cannot make sense of them raises NotThisFormat with the reason; the
file is then taken as opaque, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeGuard

from mlver.errors import MlverError


class NotThisFormat(MlverError):
    """The bytes are not what the name promised; `why` says where."""

    exit_code = 5


class Piece(NamedTuple):
    """A stretch of a version that has an id: equal ids are equal bytes."""

    id: bytes
    offset: int
    length: int


class Source(Protocol):
    """One version's bytes."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes; fewer at the end. Raises MissingContent, RemoteError."""

    def pieces(self) -> Sequence[Piece]:
        """The content in pieces, in order, cut where content says."""

    @property
    def is_near(self) -> bool:
        """True where all bytes are at hand, so that a look at all of them costs little."""


class CutSource(Source, Protocol):
    """A version that lies in pieces: it costs nothing to know them, and each is had by itself."""

    @property
    def is_cut(self) -> bool:
        """True."""

    def prepare(self, ranges: Sequence[tuple[int, int]]) -> None:
        """These (start, end) will be read: what is far of them is fetched in one go."""

    def stream(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        """The bytes of these pieces, one after the other, read ahead."""

    def recall(self, name: str) -> bytes | None:
        """What was kept under this name for this content, if it is still there."""

    def keep(self, name: str, data: bytes) -> None:
        """Keep what was derived from this content. It may be gone at any time."""


def is_cut(source: Source) -> TypeGuard[CutSource]:
    """True for a version that lies in pieces."""
    return getattr(source, "is_cut", False)


class Bytes:
    """A version, or a part of one, in memory."""

    is_near = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def pieces(self) -> Sequence[Piece]:
        return ()
