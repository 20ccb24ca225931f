"""What a format reads from, and what it gives.

`Source` is one version's bytes, read by position: a file, or a blob of which only what is asked
for is fetched. A format that cannot make sense of them raises NotThisFormat with the reason; the
file is then taken as opaque, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

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
