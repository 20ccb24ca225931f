"""What a PutObject sends: the parts of an object, never joined in memory.

A large body goes out as a file, not as bytes: botocore then asks the server first (`Expect:
100-continue`), so that an object which is there is not sent, and no pack is copied. It is sent in
blocks, each with the timeout to itself: a slow line is no timeout.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

_SMALL = 1024 * 1024


def body_of(parts: Sequence[bytes | memoryview]) -> bytes | PartsBody:
    """The concatenation of `parts`, in whichever form is best sent."""
    views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    if sum(view.nbytes for view in views) <= _SMALL:
        return b"".join(views)
    return PartsBody(views)


def content_md5(parts: Iterable[bytes | memoryview]) -> str:
    """The Content-MD5 header of the concatenation of `parts`."""
    hasher = hashlib.md5(usedforsecurity=False)
    for part in parts:
        hasher.update(part)
    return base64.b64encode(hasher.digest()).decode("ascii")


class PartsBody:
    """As much of a binary file as botocore and urllib3 use."""

    def __init__(self, views: Sequence[memoryview]) -> None:
        self._views = views
        self._size = sum(view.nbytes for view in views)
        self._at = self._part = self._inside = 0

    def __len__(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        self._part, self._inside = 0, self._at
        while self._part < len(self._views) and self._inside >= self._views[self._part].nbytes:
            self._inside -= self._views[self._part].nbytes
            self._part += 1
        return self._at

    def read(self, size: int = -1) -> bytes | memoryview:
        """The next `size` bytes, fewer at the end; all that is left where negative. What lies in
        one part is not copied."""
        wanted = self._size - self._at if size < 0 else size
        pieces: list[memoryview] = []
        while wanted and self._part < len(self._views):
            piece = self._views[self._part][self._inside : self._inside + wanted]
            pieces.append(piece)
            wanted -= piece.nbytes
            self._inside += piece.nbytes
            self._at += piece.nbytes
            if self._inside == self._views[self._part].nbytes:
                self._part, self._inside = self._part + 1, 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
