"""Index objects of remotes that were read before, kept in a folder of the store.

They are immutable and named by their digest, so a file here is never stale: it is right, or it
does not match its name, is dropped by who reads it, and read from the remote again. A clone
therefore reads only what others have pushed since. It is a cache: any failure here means "not
kept", and all of it may be deleted at any time. Large ones are read by `pread` from an open file:
a file that is cut short under a map of it would end the process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable

from mlver.model.digest import Digest

FOLDER = b"remote-index"


class IndexCache:
    """The folder at `root`, made when something is first kept.

    `scratch`: for one command that believes nothing that was kept: a folder of its own inside,
    gone with it, and only for what is too large for memory.
    """

    def __init__(self, root: bytes, *, scratch: bool = False) -> None:
        self._scratch = scratch
        nonce = os.urandom(8).hex().encode()
        self._root = os.path.join(root, b"scratch-" + nonce) if scratch else root

    def get(self, digest: Digest) -> bytes | None:
        """The object's bytes, to be verified; None where they are not here."""
        with contextlib.suppress(OSError), open(self._path(digest), "rb") as file:
            return file.read()
        return None

    def open(self, digest: Digest) -> int | None:
        """The object's file, open for reading; what it gives is to be verified."""
        try:
            return os.open(self._path(digest), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return None

    def put(self, digest: Digest, data: bytes) -> None:
        """Keep `data`, in one step."""
        if not self._scratch:
            self.put_parts(digest, [data])

    def put_parts(self, digest: Digest, parts: Iterable[bytes]) -> None:
        """Keep an object that comes in parts, in one step. Raises what `parts` raises."""
        fresh = self._path(digest) + b"." + os.urandom(4).hex().encode()
        try:
            os.makedirs(self._root, exist_ok=True)
            with open(fresh, "xb") as file:
                for part in parts:
                    file.write(part)
            os.replace(fresh, self._path(digest))
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            if not isinstance(error, OSError):
                raise

    def drop(self, digest: Digest) -> None:
        """Free one: it was damaged, or is of no use any more."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(digest))

    def close(self) -> None:
        """Nothing of a scratch folder stays."""
        if self._scratch:
            shutil.rmtree(self._root, ignore_errors=True)

    def clear(self) -> None:
        """Free it all: what is needed is read again."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _path(self, digest: Digest) -> bytes:
        return os.path.join(self._root, digest.hex().encode())
