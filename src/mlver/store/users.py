"""Who uses a store now: a lock that many share who add or read for long, and that one has alone who
moves or frees packs."""

from __future__ import annotations

import os

from mlver.store import files


class Users:
    """This process's part in the lock of the store at `root`; the file is made when first asked."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._fd = -1
        self._is_alone = False

    @property
    def holds(self) -> bool:
        """True while the store is held, shared or alone."""
        return self._fd >= 0

    def hold(self, *, alone: bool) -> None:
        """Share the store, or have it `alone`; who has it alone already keeps it so.

        Raises BusyError where others hold it; then it is not held at all.
        """
        if self.holds:
            if self._is_alone or not alone:
                return
            self.release()
        with files.disk_errors("opening the store", self._root):
            fd = os.open(os.path.join(self._root, b"users"), files.LOCKFILE, 0o644)
        if not files.lock(fd, shared=not alone, wait=not alone):
            os.close(fd)
            raise files.busy(
                "the store is in use", "wait for the other git command to end, then run this again"
            )
        self._fd, self._is_alone = fd, alone

    def share(self) -> None:
        """Let others in again, once the work that had to be alone is done."""
        if self._is_alone:
            files.lock(self._fd, shared=True, wait=True)
            self._is_alone = False

    def release(self) -> None:
        """Hold it no more."""
        if self.holds:
            os.close(self._fd)
            self._fd, self._is_alone = -1, False
