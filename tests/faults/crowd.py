"""A crowd at one remote: clones that push at once, each a process, and one that collects in a loop.

    python -m tests.faults.crowd clone N FOLDER | collector FOLDER

FOLDER/settings.json says where the remote is and how much there is to do; FOLDER/refs/N stands for
what git's refs name after a push of clone N; a file FOLDER/done ends the collector.

**The grace.** Collection is safe where no push takes longer than the grace. Here that is not hoped
for but kept: time goes in epochs, and the collector begins epoch n + 2 only when every push that
began in epoch n has ended, its ref written (each holds a shared lock on a file of its epoch). A
grace of two epochs is thus longer than any push, and as short as it can be; no clock is asked. How
old an object is, the collector tells from the epoch in which it first saw it: never too old.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.unit.store_material import add, content, open_store

from mlver.errors import BusyError, RemoteError
from mlver.exchange import collect, condemned, gc_lock, layout
from mlver.exchange.catalog import Catalog
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.push import Pusher
from mlver.model.digest import digest_of, from_hex
from mlver.model.pointer import Pointer
from mlver.remotes.base import Remote, RemoteObject
from mlver.remotes.registry import open_remote
from mlver.remotes.retry import RetryRemote

GRACE = 2.0
"""In epochs."""
_RECENT = 3
_STORE_LIVES = 25
_TRIES = 50
_ROUNDS_AFTER = 20


class Killed(BaseException):
    """A push that died."""


class Mortal(Remote):
    """`inner`, until `calls` calls were made: then whoever works with it dies, and stays dead."""

    def __init__(self, inner: Remote, calls: int) -> None:
        self._inner, self._left = inner, calls

    def _live(self) -> Remote:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return self._inner

    @property
    def url(self) -> str:
        return self._inner.url

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._live().read(name, start, length)

    def size(self, name: str) -> int | None:
        return self._live().size(name)

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        return self._live().create(name, parts)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        return self._live().list(prefix)

    def delete(self, name: str) -> None:
        self._live().delete(name)

    def close(self) -> None:
        self._inner.close()


class Epochs:
    """Which epoch it is, and who is still at work in one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "epochs"
        self._folder.mkdir(exist_ok=True)
        self._now = folder / "epoch"

    def now(self) -> int:
        with suppress(FileNotFoundError):
            return int(self._now.read_text())
        return 0

    @contextmanager
    def push(self) -> Iterator[None]:
        """Whatever is done in here ends before the epoch after the next one begins."""
        while True:
            epoch = self.now()
            with (self._folder / str(epoch)).open("w") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                if self.now() != epoch:
                    continue  # it was over before this counted
                yield
                return

    def next(self) -> None:
        """Begin the next epoch, when all pushes of the one before this have ended."""
        epoch = self.now()
        with (self._folder / str(epoch - 1)).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
        _write(self._now, str(epoch + 1))


class Dated(Remote):
    """`inner`, where an object is as old as the epoch in which it was first seen here."""

    def __init__(self, inner: Remote, epochs: Epochs) -> None:
        self._inner, self._epochs = inner, epochs
        self._seen: dict[str, int] = {}
        self.read, self.size = inner.read, inner.size  # type: ignore[method-assign]
        self.create, self.delete = inner.create, inner.delete  # type: ignore[method-assign]
        self.delete_many, self.close = inner.delete_many, inner.close  # type: ignore[method-assign]

    @property
    def url(self) -> str:
        return self._inner.url

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        for row in self._inner.list(prefix):
            epoch = self._seen.setdefault(row.name, self._epochs.now())
            yield RemoteObject(row.name, row.size, float(epoch))


def opened(settings: dict[str, Any]) -> Remote:
    """The remote, as git-mlver opens it."""
    remote = open_remote(settings["url"], settings["options"])
    return RetryRemote(remote) if settings["url"].startswith("s3:") else remote


def settings_in(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "settings.json").read_text())
    assert isinstance(found, dict)
    return found


def named_in(folder: Path) -> dict[str, set[Pointer]]:
    """What the refs of each clone name."""
    return {
        path.name: {Pointer(from_hex(oid), size) for oid, size in json.loads(path.read_text())}
        for path in sorted((folder / "refs").iterdir())
        if path.suffix != ".new"
    }


def clone(number: int, folder: Path) -> dict[str, int]:
    """Push, so many rounds; what was done."""
    settings = settings_in(folder)
    return _Clone(number, folder, settings).work(settings["rounds"])


class _Clone:
    def __init__(self, number: int, folder: Path, settings: dict[str, Any]) -> None:
        self._number, self._folder = number, folder
        self._remote = opened(settings)
        self._is_far = settings["url"].startswith("s3:")
        self._epochs = Epochs(folder)
        self._rng = random.Random(f"{settings['seed']} {number}")
        self._recent: list[Pointer] = []
        self._kept: list[Pointer] = []
        self._last = b""
        self._done: Counter[str] = Counter()

    def work(self, rounds: int) -> dict[str, int]:
        longest = 0.0
        for turn in range(rounds):
            began = time.monotonic()
            self._round(turn)
            longest = max(longest, time.monotonic() - began)
        return {**self._done, "longest_ms": int(longest * 1000)}

    def _round(self, turn: int) -> None:
        rng = self._rng
        home = self._folder / f"store-{self._number}"
        if turn % _STORE_LIVES == 0:  # another machine of the same person
            shutil.rmtree(home, ignore_errors=True)
        with open_store(home) as store:
            previous = add(store, self._last) if self._last else None
            blobs = [(data, add(store, data, previous)) for data in self._datas(turn)]
            pointers = [pointer for _, pointer in blobs]
            if rng.random() < 0.1:  # die somewhere in it; then, mostly, do it again
                with suppress(Killed, RemoteError), self._epochs.push():
                    self._push(store, pointers, Mortal(self._remote, rng.randrange(25)))
                self._done["killed"] += 1
                if rng.random() < 0.3:
                    return
            for _ in range(_TRIES):
                try:
                    with self._epochs.push():
                        self._push(store, pointers, self._remote)
                        self._move_ref(pointers)
                    break
                except RemoteError as error:
                    if "changed each time" not in error.what:
                        raise
                    self._done["given_up"] += 1
            else:
                raise AssertionError("no push came through")
        self._done["pushes"] += 1
        self._last = blobs[-1][0]

    def _push(self, store: Any, pointers: list[Pointer], remote: Remote) -> None:
        cache = IndexCache(bytes(self._folder / f"cache-{self._number}")) if self._is_far else None
        done = Pusher(store, Catalog(remote, "remote", cache), lambda _: None).push(pointers)
        assert not done.absent
        self._done["packs"] += done.packs
        self._done["present"] += len(done.present)

    def _datas(self, turn: int) -> list[bytes]:
        """Content of one's own, content that others push too, now or earlier, and edits."""
        rng = self._rng
        shared = max(0, turn // 3 - rng.choice((0, 0, 0, 1, 4, 9)))
        datas = [content(f"shared {shared} {rng.randrange(4)}", 60_000)]
        if self._last and rng.random() < 0.6:
            at = rng.randrange(len(self._last))
            datas.append(self._last[:at] + rng.randbytes(40) + self._last[at + 9 :])
        else:
            size = rng.choice((500, 9_000, 150_000))
            datas.append(content(f"own {self._number} {turn}", size))
        return datas

    def _move_ref(self, pointers: list[Pointer]) -> None:
        if self._rng.random() < 0.1:
            self._kept.append(pointers[0])
        self._recent = [*self._recent, *pointers][-_RECENT:]
        rows = [(pointer.oid.hex(), pointer.size) for pointer in {*self._kept, *self._recent}]
        _write(self._folder / "refs" / str(self._number), json.dumps(rows))


def collector(folder: Path) -> dict[str, int]:
    """Collect until the clones are done, and then until nothing goes any more."""
    settings = settings_in(folder)
    epochs = Epochs(folder)
    done: Counter[str] = Counter()
    with closing(Dated(opened(settings), epochs)) as remote:
        rounds_after = 0
        while rounds_after < _ROUNDS_AFTER:
            is_over = (folder / "done").exists()
            epochs.next()
            deleted = _collect(remote, folder, done)
            done["beside" if not is_over else "after"] += deleted
            rounds_after += is_over
            # What was pushed last is condemned only when it is older than the grace.
            if rounds_after > 2 * GRACE and not any(remote.list(layout.CONDEMNED)):
                break
        done["packs_left"] = sum(1 for _ in remote.list(layout.PACKS))
    return dict(done)


def _collect(remote: Remote, folder: Path, done: Counter[str]) -> int:
    catalog = Catalog(remote, "remote")
    if layout.read_meta(remote) is None:
        return 0
    done["runs"] += 1
    try:
        with gc_lock.held(remote) as lock:
            lists = condemned.read_all(remote)
            roots: set[Pointer] = set().union(*named_in(folder).values())
            todo = collect.plan(catalog, lists, roots, now=lock.now, grace=GRACE)
            collect.carry_out(catalog, todo, lock)
    except BusyError:
        done["gave_way"] += 1
        return 0
    done["lists"] += todo.condemn is not None
    return len(todo.doomed)


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


def main(words: Sequence[str]) -> None:
    roles: dict[str, Callable[[], dict[str, int]]] = {
        "clone": lambda: clone(int(words[1]), Path(words[-1])),
        "collector": lambda: collector(Path(words[-1])),
    }
    print(json.dumps(roles[words[0]]()))


if __name__ == "__main__":
    main(sys.argv[1:])
