"""Where content can be had from: one small contract over remotes and other stores here.

A source finds records and gives their raw bytes; whoever reads verifies. `catalog.Catalog` is a
remote seen through its index objects; `sibling.Sibling` is the store of another repository here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mlver.errors import MlverError
from mlver.exchange.index_object import Found
from mlver.model.digest import Digest


class Source(Protocol):
    """A place to fetch records from."""

    @property
    def name(self) -> str:
        """For messages."""

    def prepare(self, ids: Iterable[Digest]) -> list[Digest]:
        """Look for all of these ids at once, ahead of `find`; those of which nothing is there.

        Raises as `find`. Where answers take long, one call of this replaces one for each id.
        """

    def find(self, digest: Digest, kind: int) -> Found | None:
        """Where the record lies, or None. Raises RemoteError, CorruptContent."""

    def find_alone(self, digest: Digest) -> Found | None:
        """A copy of the chunk that is no delta: what can be a base. Raises as `find`."""

    def find_blob(self, oid: Digest, size: int) -> Found | None:
        """The one chunk of this size that the blob is, or its recipe. Raises as `find`."""

    def read(self, pack: Digest, offset: int, length: int) -> bytes:
        """Raw bytes of a pack, exactly `length`. Raises RemoteError, CorruptContent."""

    def refresh(self) -> bool:
        """Something was not had: if what is there has changed, look again; True if done."""

    def close(self) -> None:
        """Release what is open."""


def has_blob(source: Source, oid: Digest, size: int) -> bool:
    """True if the source knows the blob: its recipe, or the one chunk that it is."""
    try:
        return source.find_blob(oid, size) is not None
    except MlverError:
        return False
