"""What any program read and wrote below a worktree while a run was at work.

On Linux by inotify, on a thread: a file that was opened and was there before is read; one that was
written, made or moved to is written; one that was opened once, for both, is both. The system tells
nothing of who did it. Elsewhere, and where the queue ran over: what changed, by the files' times,
which tells of writing only. What could not be seen stands in `unseen`, in words.

A second queue tells of single reads (ACCESS), which are as many as a program likes to make: it is
emptied once a second, and may run over, since it only tells an update in place from a rewrite.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mlver.lineage import folders, inotify
from mlver.lineage.inotify import Inotify

MAX_WATCHES = 8192
_MASK = (
    inotify.MODIFY | inotify.CLOSE_WRITE | inotify.CLOSE_NOWRITE | inotify.OPEN
    | inotify.MOVED_TO | inotify.CREATE
)  # fmt: skip
_OPENED, _READ_ONLY, _WRITTEN, _OLD, _READ_FIRST, _READ_AFTER = 1, 2, 4, 8, 16, 32
_NEW = inotify.CREATE | inotify.MOVED_TO


@dataclass
class Seen:
    """Paths relative to the top. `by`: opened or changed, see model/run."""

    read: set[bytes] = field(default_factory=set)
    written: set[bytes] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)
    by: str = "opened"


class Watcher:
    """Watches from `start` to `stop`. Never raises: what fails is in `unseen`."""

    def __init__(
        self,
        top: bytes,
        ignored: Collection[bytes] = (),
        first: Callable[[], Collection[bytes]] = tuple,
        limit: int = MAX_WATCHES,
    ) -> None:
        """`ignored`: folders that git ignores. `first`: asked where there are more folders than
        `limit`, for those that must be watched (of tracked files)."""
        self._top, self._ignored, self._first, self._limit = top, ignored, first, limit
        self._queue: Inotify | None = None
        self._reads: Inotify | None = None
        self._folders: dict[int, bytes] = {}
        self._states: dict[tuple[int, bytes], int] = {}
        self._read_folders: dict[int, bytes] = {}
        self._accessed: set[bytes] = set()
        self._made: set[bytes] = set()  # folders that came meanwhile
        self._overflowed = self._full = False
        self._stop_read = self._stop_write = -1
        self._thread: threading.Thread | None = None
        self._started_pid = os.getpid()

    def start(self, known: list[bytes] | None = None) -> None:
        """Watch every folder (`known`: from a walk that was made just now)."""
        if not inotify.is_there():
            return
        try:
            self._queue, self._reads = Inotify(), Inotify()
        except OSError:
            self._close()
            return
        paths = (
            [path for path, _ in folders.walk(self._top, self._ignored)] if known is None else known
        )
        if len(paths) > self._limit:
            paths = list(dict.fromkeys([*self._first(), *paths]))
        for path in paths:
            if not self._add(path):
                break
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="mlver-watch", daemon=True)
        self._thread.start()

    def stop(self, mark_ns: int) -> Seen:
        """End; what was seen. `mark_ns`: the file system's time when the run began."""
        if self._queue is None or self._thread is None or os.getpid() != self._started_pid:
            return self._by_change(mark_ns, "this system does not tell which files are read")
        os.close(self._stop_write)
        self._thread.join()
        self._drain()
        self._drain_reads()
        seen = self._result(mark_ns)
        self._close()
        if self._overflowed:
            changed = self._by_change(mark_ns, "more happened than the system could queue")
            seen.written |= changed.written
            seen.unseen += changed.unseen
        if self._full:
            seen.unseen.append(
                f"files in folders beyond the first {len(self._folders)}"
                " (more than are watched at once)"
            )
        return seen

    def _by_change(self, mark_ns: int, why: str) -> Seen:
        written = folders.changed_since(self._top, self._ignored, mark_ns)
        return Seen(set(), written, [f"what programs other than Python read: {why}"], "changed")

    def _close(self) -> None:
        for queue in (self._queue, self._reads):
            if queue is not None:
                queue.close()
        if self._stop_read >= 0:
            os.close(self._stop_read)
        self._queue = self._reads = self._thread = None

    def _add(self, path: bytes) -> bool:
        """Watch one folder; False where there may be no more."""
        assert self._queue is not None and self._reads is not None
        if len(self._folders) >= self._limit:
            self._full = True
            return False
        full = os.path.join(self._top, path)
        try:
            number = self._queue.add(full, _MASK)
            if number is not None:
                self._folders[number] = path
                self._add_reads(full, path)
        except inotify.Full:
            self._full = True
            return False
        return True

    def _add_reads(self, full: bytes, path: bytes) -> None:
        assert self._reads is not None
        with contextlib.suppress(inotify.Full):
            number = self._reads.add(full, inotify.ACCESS)
            if number is not None:
                self._read_folders[number] = path

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._queue is not None
        poll = select.poll()
        poll.register(self._queue.fd, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN | select.POLLHUP)
        while True:
            ready = [fd for fd, _ in poll.poll(1000)]
            if self._stop_read in ready:
                return
            if ready:
                self._drain()
            else:
                self._drain_reads()

    def _drain(self) -> None:
        assert self._queue is not None
        states = self._states
        for number, mask, name in self._queue.events():
            if mask & inotify.IS_FOLDER:
                if mask & _NEW:
                    self._new_folder(number, name)
                continue
            if mask & (inotify.OVERFLOW | inotify.IGNORED):
                self._overflowed |= bool(mask & inotify.OVERFLOW)
                continue
            key = (number, name)
            old = states.get(key, 0)
            new = _after(old, mask)
            if new != old:
                states[key] = new

    def _drain_reads(self) -> None:
        if self._reads is not None:
            for number, _, name in self._reads.events():
                folder = self._read_folders.get(number)
                if folder is not None:
                    self._accessed.add(folder + b"/" + name if folder else name)

    def _new_folder(self, number: int, name: bytes) -> None:
        parent = self._folders.get(number)
        if parent is None:
            return
        path = parent + b"/" + name if parent else name
        self._made.add(path)
        # It may hold folders by now, of which the queue tells nothing.
        for inner, _ in folders.walk(self._top, self._ignored, path):
            if not self._add(inner):
                return

    # -- what it comes to ------------------------------------------------------------------

    def _result(self, mark_ns: int) -> Seen:
        seen = Seen()
        for (number, name), state in self._states.items():
            folder = self._folders.get(number)
            if folder is None:
                continue
            path = folder + b"/" + name if folder else name
            if state & _WRITTEN and (state & _OLD == 0 or _is_young(self._top, path, mark_ns)):
                seen.written.add(path)
            if state & _OLD == 0:
                continue  # made by the run itself
            in_place = state & _WRITTEN and not state & _READ_AFTER and path in self._accessed
            only_opened = state & _OPENED and not state & _WRITTEN
            if state & _READ_FIRST or in_place or only_opened:
                seen.read.add(path)
        for folder in self._made:
            for inner, files in folders.walk(self._top, self._ignored, folder):
                prefix = inner + b"/" if inner else b""
                seen.written |= {prefix + entry.name for entry in files}
        seen.read = {path for path in seen.read if not self._is_made(path)}
        return seen

    def _is_made(self, path: bytes) -> bool:
        while path := path.rpartition(b"/")[0]:
            if path in self._made:
                return True
        return False


def _after(state: int, mask: int) -> int:
    """The state of a file after an event: was it there before, read before it was written, …"""
    if state == 0 and not mask & _NEW:
        state = _OLD
    if mask & inotify.OPEN:
        state |= _OPENED
    if mask & (inotify.MODIFY | inotify.CLOSE_WRITE | _NEW):
        state |= _WRITTEN
    if mask & inotify.CLOSE_NOWRITE:
        state |= _READ_AFTER if state & _WRITTEN else _READ_FIRST
    return state


def _is_young(top: bytes, path: bytes, mark_ns: int) -> bool:
    with contextlib.suppress(OSError):
        info = os.stat(os.path.join(top, path), follow_symlinks=False)
        return max(info.st_mtime_ns, info.st_ctime_ns) >= mark_ns
    return False
