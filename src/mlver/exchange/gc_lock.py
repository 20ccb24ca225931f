"""One collection at a time on a remote, and the remote's own clock.

A collection writes `gc/locks/<nonce>` and lists: whoever sees another lock removes its own and
gives way. Two that begin at once both give way. That needs no conditional write of the server,
only listings that are up to date. A lock counts for a day by the remote's clock; one that is older
was left by a collection that died, or is found gone by one that slept, before it deletes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from mlver.errors import BusyError, RemoteError
from mlver.exchange import layout
from mlver.remotes.base import Remote

STALE = 24 * 3600.0
"""Seconds. A collection that takes longer ends without deleting more."""
_BATCH = 1000
"""Objects that are deleted between two looks at the lock."""


class GcLock:
    """A lock that is held. `now` is the remote's clock when it was taken, seconds since 1970."""

    def __init__(self, remote: Remote, name: str, now: float) -> None:
        self._remote, self._name = remote, name
        self._taken = time.monotonic()
        self.now = now

    def check(self) -> None:
        """Raise BusyError unless the lock is there still, and nobody takes it for an old one."""
        rows = list(self._remote.list(layout.LOCKS))
        is_own = any(row.name == self._name for row in rows)
        newest = max((row.modified for row in rows), default=0.0)
        waited = time.monotonic() - self._taken
        if not is_own or waited > STALE / 2 or newest - self.now >= STALE / 2:
            raise BusyError(
                f"the lock of this collection on {self._remote.url} is not its own any more",
                why="it took longer than half a day, or another collection has begun",
                fix="git mlver gc --remote, again",
            )

    def delete(self, names: Iterable[str]) -> None:
        """Delete these objects while the lock holds. Raises BusyError, RemoteError."""
        waiting = iter(list(names))
        while batch := [*islice(waiting, _BATCH)]:
            self.check()
            self._remote.delete_many(batch)


@contextmanager
def held(remote: Remote) -> Iterator[GcLock]:
    """The lock. Raises BusyError where another collection holds it, RemoteError.

    That this user may delete at all is tried first, on a name that is not there: else a lock would
    stay behind that stops everybody for a day.
    """
    remote.delete(f"{layout.LOCKS}{secrets.token_hex(16)}")
    name = f"{layout.LOCKS}{secrets.token_hex(16)}"
    remote.create(name, [b"mlver\n"])
    try:
        rows = list(remote.list(layout.LOCKS))
        own = [row for row in rows if row.name == name]
        if not own:
            raise RemoteError(
                f"{remote.url} does not list what was just written",
                why="its listings are not up to date, and collection relies on them",
                fix="git mlver testremote, to see what the server keeps",
            )
        now = own[0].modified
        others = [row for row in rows if row.name != name]
        if any(now - row.modified < STALE for row in others):
            raise BusyError(
                f"another collection is at work on {remote.url}",
                why=f"it holds {others[0].name}",
                fix="wait for it; if it was killed, delete that object, or wait a day",
            )
        remote.delete_many(row.name for row in others)
        yield GcLock(remote, name, now)
    finally:
        remote.delete(name)
