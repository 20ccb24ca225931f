"""Which locks of remotes the processes of this clone hold, so that one that died is known at once.

    <folder>/<nonce>      a lock's nonce; the file is locked while its process lives, and names the
                          boot of the machine and the remote
    <folder>/.<nonce>     the same, before it is locked

The lock of the file ends with its process, whatever ends it. Only where it was free in this very
boot is the process known to be dead: a clone on a shared disk may be at work on another machine.
Where nothing can be written or locked, no process is ever known to be dead.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress

from mlver.store import files

FOLDER = b"collecting"
_NONCE = re.compile(r"\A[0-9a-f]{32}\Z")
_OLD = 7 * 24 * 3600.0  # Seconds; what such a note says is known by the remote's clock as well.


class LockNotes:
    """Notes in `folder`, which is made when first needed; none where it is empty."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._fd, self._path = -1, b""

    def write(self, nonce: str, url: str) -> None:
        """Note that this process is about to hold this lock on the remote at `url`."""
        boot = files.boot_id()
        if not self._folder or not boot:
            return
        with suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            path = os.path.join(self._folder, nonce.encode())
            new = os.path.join(self._folder, b"." + nonce.encode())
            self._fd = os.open(new, files.LOCKFILE, 0o644)
            if files.lock(self._fd):
                os.write(self._fd, _text(url))
                os.rename(new, path)
                self._path = path

    def close(self) -> None:
        """The lock is held no more."""
        if self._path:
            with suppress(OSError):
                os.unlink(self._path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path = -1, b""

    def dead(self, url: str) -> set[str]:
        """The nonces of processes that are known to have died, of locks on this remote."""
        found = set()
        with suppress(OSError):
            for name in os.listdir(self._folder) if self._folder else ():
                path = os.path.join(self._folder, name)
                if name.startswith(b"."):
                    _remove_if_old(path)
                elif _is_dead(path, _text(url)):
                    found.add(name.decode("ascii", "replace"))
                else:
                    _remove_if_old(path)
        return found

    def forget(self, nonces: Iterable[str]) -> None:
        """These locks are not on the remote any more. Names there are not ours alone to give."""
        for nonce in filter(_NONCE.match, nonces if self._folder else ()):
            with suppress(OSError):
                os.unlink(os.path.join(self._folder, nonce.encode()))


def no_notes() -> LockNotes:
    """Where a clone has no place for them."""
    return LockNotes(b"")


def _text(url: str) -> bytes:
    return f"{files.boot_id()}\n{url}\n".encode(errors="surrogateescape")


def _is_dead(path: bytes, text: bytes) -> bool:
    try:
        first, second = (os.open(path, files.UPDATE) for _ in range(2))
    except OSError:
        return False
    try:
        # Where no lock excludes another (some network disks) a free one tells nothing.
        if not files.lock(first) or files.lock(second):
            return False
        return files.boot_id() != "" and os.pread(first, len(text) + 1, 0) == text
    except OSError:
        return False
    finally:
        os.close(first)
        os.close(second)


def _remove_if_old(path: bytes) -> None:
    with suppress(OSError):
        if time.time() - os.stat(path).st_mtime > _OLD:
            os.unlink(path)
