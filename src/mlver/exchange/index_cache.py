"""Index objects of remotes that were read before, kept in a folder of the store.

They are immutable and named by their digest, so a file here is never stale: it is right, or it
does not match its name and is read from the remote again. A clone therefore reads only what
others have pushed since. It is a cache: any failure here means "not kept", and all of it may be
deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from mlver.model.digest import Digest, digest_of

FOLDER = b"remote-index"


class IndexCache:
    """The folder at `root`, made when something is first kept."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    def get(self, digest: Digest) -> bytes | None:
        """The object's bytes, verified; None where they are not here."""
        try:
            with open(self._path(digest), "rb") as file:
                data = file.read()
        except OSError:
            return None
        return data if digest_of(data) == digest else None

    def put(self, digest: Digest, data: bytes) -> None:
        """Keep `data`, in one step."""
        fresh = self._path(digest) + b"." + secrets.token_hex(4).encode()
        try:
            os.makedirs(self._root, exist_ok=True)
            with open(fresh, "xb") as file:
                file.write(data)
            os.replace(fresh, self._path(digest))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)

    def clear(self) -> None:
        """Free it all: what is needed is read again."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._root):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._root, name))
            os.rmdir(self._root)

    def _path(self, digest: Digest) -> bytes:
        return os.path.join(self._root, digest.hex().encode())
