"""One collection at a time on a remote: a lease that is renewed, by the remote's own clock.

A collection creates `gc/locks/<nonce>-0` and lists: whoever sees another's lock that is alive gives
way. Two that begin at once both give way. That needs no conditional write of the server, only
listings that are up to date. While it works it puts `<nonce>-1`, `-2`, … in its place, every few
minutes and before each step that matters. A lock is dead when its newest object is an hour older
than what was just written, or at once when its process was of this clone and is gone
(`lock_notes`). Its owner, should it live after all, stops where half an hour lies between two of
its own.

Whatever a dead one had under way may still come. So its objects stay until a collection has come to
its end, and that one leaves the lists of what it deleted: nothing can be sent anew under a listed
name, and no row of a listed pack is believed (docs/decisions/0015).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from mlver.errors import BusyError, MlverError, RemoteError
from mlver.exchange import layout
from mlver.exchange.lock_notes import LockNotes, no_notes
from mlver.remotes.base import Remote, RemoteObject
from mlver.system import time_with_sleep

LEASE = 3600.0
"""Seconds by the remote's clock. Any one request must be done with in less than half of it."""
BEAT = 300.0
_SLOW = 120.0  # Seconds. A renewal that took longer says too little about now.
_TRIES = 3
_BATCH = 1000
"""Objects that are deleted between two looks at the lock."""


class GcLock:
    """A lock that is held. `now` is the remote's clock when it was taken, seconds since 1970;
    `left`: objects of locks that dead collections have left behind."""

    def __init__(self, remote: Remote, notes: LockNotes) -> None:
        self._remote, self._notes = remote, notes
        self._nonce = secrets.token_hex(16)
        self._count = 0
        self._made: list[str] = []
        self._guard = threading.Lock()
        self._is_lost = False
        self.now = 0.0
        self.left: list[str] = []

    def take(self) -> None:
        """Raises BusyError where another holds it, RemoteError; `release` is due in any case."""
        self._notes.write(self._nonce, self._remote.url)
        own, rows = self._written()
        self.now = own.modified
        newest: dict[str, float] = {}
        for row in rows:
            if row.name != own.name:
                nonce = nonce_of(row.name)
                newest[nonce] = max(row.modified, newest.get(nonce, row.modified))
        dead = self._notes.dead(self._remote.url)
        self._notes.forget(dead - newest.keys())  # killed before it had written any
        alive = {n: at for n, at in newest.items() if n not in dead and own.modified - at < LEASE}
        for nonce, at in alive.items():
            raise BusyError(
                f"another collection is at work on {self._remote.url}",
                why=f"it holds {layout.LOCKS}{nonce}, and said so {_ago(own.modified - at)}",
                fix="wait for it; if it was killed, run this again in its clone, or wait an hour",
            )
        self.left = [row.name for row in rows if row.name != own.name]

    def check(self) -> None:
        """Renew it. Raises BusyError unless nobody can have taken it for dead; RemoteError."""
        with self._guard:
            self._is_lost = self._is_lost or not self._renewed()
            if self._is_lost:
                raise BusyError(
                    f"the lock of this collection on {self._remote.url} is not its own any more",
                    why="it was not renewed for half an hour: this machine slept, or was cut off",
                    fix="git mlver gc --remote, again",
                )

    def _renewed(self) -> bool:
        last = self._made[-1]
        for _ in range(_TRIES):
            began = time_with_sleep()
            own, rows = self._written()
            before = next((row for row in rows if row.name == last), None)
            if before is None or own.modified - before.modified >= LEASE / 2:
                return False
            if time_with_sleep() - began < _SLOW:
                self._drop(self._made[:-1])
                return True
        return False

    def _written(self) -> tuple[RemoteObject, list[RemoteObject]]:
        """A new object of ours and the listing that has it. What a try has made whose answer was
        lost says nothing of the time now."""
        for _ in range(_TRIES):
            name = f"{layout.LOCKS}{self._nonce}-{self._count}"
            self._count += 1
            self._made.append(name)
            if not self._remote.create(name, [b"mlver\n"]):
                continue
            rows = list(self._remote.list(layout.LOCKS))
            for row in rows:
                if row.name == name:
                    return row, rows
            raise RemoteError(
                f"{self._remote.url} does not list what was just written",
                why="its listings are not up to date, and collection relies on them",
                fix="git mlver testremote, to see what the server keeps",
            )
        raise RemoteError(
            f"cannot renew the lock of this collection on {self._remote.url}",
            why="the answers of the server are lost again and again",
            fix="git mlver gc --remote, again",
        )

    def _drop(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._remote.delete(name)
            self._made.remove(name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete these objects while the lock holds. Raises BusyError, RemoteError."""
        waiting = iter(list(names))
        while batch := [*islice(waiting, _BATCH)]:
            self.check()
            self._remote.delete_many(batch)

    def bury(self) -> None:
        """Remove what dead collections have left: one has now come to its end."""
        self.delete(self.left)
        self._notes.forget(map(nonce_of, self.left))
        self.left = []

    def beat(self, over: threading.Event, pause: float) -> None:
        """Renew it now and then, until `over`; what fails is found by the next `check`."""
        while not over.wait(pause) and not self._is_lost:
            with suppress(MlverError):
                self.check()

    def release(self) -> None:
        """Remove our own, whatever became of it."""
        with self._guard:
            self._is_lost = True
            try:
                self._drop(self._made)
            finally:
                self._notes.close()


def nonce_of(name: str) -> str:
    """Whose lock an object below `gc/locks/` is."""
    return name.removeprefix(layout.LOCKS).partition("-")[0]


def _ago(seconds: float) -> str:
    minutes = int(max(0.0, seconds) // 60)
    return f"{minutes} minute(s) ago" if minutes else "less than a minute ago"


@contextmanager
def held(
    remote: Remote, notes: LockNotes | None = None, *, pause: float = BEAT
) -> Iterator[GcLock]:
    """The lock. Raises BusyError where another collection holds it, RemoteError.

    That this user may delete at all is tried first, on a name that is not there: else a lock would
    stay behind. `notes`: where this clone notes its own. `pause`: seconds between two renewals.
    """
    remote.delete(f"{layout.LOCKS}{secrets.token_hex(16)}")
    lock = GcLock(remote, notes or no_notes())
    over = threading.Event()
    beating = threading.Thread(target=lock.beat, args=(over, pause), daemon=True)
    try:
        lock.take()
        beating.start()
        yield lock
    finally:
        over.set()
        lock.release()
