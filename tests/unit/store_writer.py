"""Run as a process of its own: stores blobs, prints what was acknowledged, and dies as it is told.

    store_writer.py run ROOT                          all of it once
    store_writer.py sweep ROOT FUNCTION WHEN          killed at the 1st, 2nd, … call of os.FUNCTION
    store_writer.py many ROOT COUNT                   COUNT processes at once
    store_writer.py beside ROOT                       one adds; others make durable all the while
    store_writer.py read ROOT                         read everything as someone who may not write

A sweep goes on until a run ends by itself. Each of its runs is a fork with a store of its own,
ROOT/<call>, and prints to ROOT/<call>.log. WHEN is before, after or (writev) amid: half of the
bytes are written. The words printed: `ok <oid>` for an acknowledged blob, `durable`, `closed`.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pyfastcdc
import zstandard

from mlver.errors import MlverError
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.assemble import read_blob
from mlver.store.ingest import Ingest
from mlver.store.local import LocalStore
from mlver.store.windows import WINDOW

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.unit.store_material import content, reader, text

PRELOADED = (pyfastcdc, zstandard)
"""Imported before the fork, once for all, and before a process loses the right to read them."""

MANY_SIZES = (100, 20_000, 90_000, 300_000)


@functools.cache
def blobs() -> list[tuple[bytes, int | None]]:
    """What is stored, in order: content, and the place of the version that it follows."""
    middle = content("middle", 300_000)
    long = content("long", 150_000) * (WINDOW // 150_000 + 2)  # several windows, few new chunks
    return [
        (b"a few bytes\n", None),
        (text("small", 12_000), None),
        (middle, None),
        (middle[:100_000] + b"edited" + middle[100_000:], 2),
        (text("lines", 700_000), None),
        (long, None),
        (long[:1_000_000] + b"edited" + long[1_000_000:], 5),
        (content("last", 17_000), None),
    ]


def say(word: str) -> None:
    """Without a buffer: what was said before a kill was said."""
    os.write(1, word.encode() + b"\n")


def answer(pointer: Pointer | None) -> Pointer | None:
    """For whoever asks for the previous version."""
    return pointer


def store_all(root: bytes, tell: Callable[[str], None] = say) -> None:
    """Store every blob, make it durable half-way and at the end."""
    with LocalStore(root) as store:
        added: list[Pointer] = []
        with Ingest(store) as ingest:
            for place, (data, follows) in enumerate(blobs()):
                previous = None if follows is None else added[follows]
                pointer = ingest.add(reader(data), partial(answer, previous))
                assert pointer is not None
                added.append(pointer)
                tell(f"ok {pointer.oid.hex()}")
                if place == 4:
                    recovery.make_durable(store)
        tell("closed")
        recovery.make_durable(store)
        tell("durable")


def killed_at(function: str, call: int, when: str) -> None:
    """Make the given call of `os.function` the last thing that this process does."""
    real = getattr(os, function)
    calls = 0

    def fatal(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "amid":
            joined = b"".join(args[1])
            real(args[0], [joined[: len(joined) // 2]])
        if calls == call and when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(os, function, fatal)


def fork(work: Callable[[], None]) -> int:
    """The id of a new process that does `work` and ends."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except MlverError as error:
        say(f"{type(error).__name__} {error}")
        code = error.exit_code
    finally:
        os._exit(code)  # never back into the caller's stack


def codes_of(pids: Iterable[int]) -> list[int]:
    """Exit codes, negative for a signal, in order."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def sweep(root: str, function: str, when: str) -> int:
    call = 0
    blobs()  # made once, before the forks
    while True:
        call += 1

        def work(call: int = call) -> None:
            log = os.open(f"{root}/{call}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            killed_at(function, call, when)
            store_all(os.fsencode(f"{root}/{call}"))

        (code,) = codes_of([fork(work)])
        if code != -signal.SIGKILL:
            return code


def many(root: str, count: int) -> int:
    """Each process adds what all add, in an order of its own, and what only it adds."""
    start_read, start_write = os.pipe()

    def work(number: int) -> None:
        os.read(start_read, 1)
        with LocalStore(os.fsencode(root)) as store:
            with Ingest(store) as ingest:
                for turn in range(len(MANY_SIZES)):
                    size = MANY_SIZES[(turn + number) % len(MANY_SIZES)]
                    for seed in ("all", number):
                        ingest.add(reader(content(seed, size)))
            recovery.make_durable(store)
            for size in MANY_SIZES:
                for seed in ("all", number):
                    data = content(seed, size)
                    assert bytes(read_blob(store, pointer_of(data))) == data

    pids = [fork(partial(work, number)) for number in range(count)]
    os.write(start_write, b"!" * count)
    return max(map(abs, codes_of(pids)))


def pointer_of(data: bytes) -> Pointer:
    from mlver.model.digest import digest_of

    return Pointer(digest_of(data), len(data))


def beside(root: str) -> int:
    """A writer of many short sessions, and two that make durable until it has ended."""
    end_read, end_write = os.pipe()

    def write() -> None:
        for number in range(25):
            with LocalStore(os.fsencode(root)) as store, Ingest(store) as ingest:
                ingest.add(reader(content(number, 20_000)))
                ingest.add(reader(content(number, 30_000)))

    def settle() -> None:
        os.set_blocking(end_read, False)
        while True:
            with LocalStore(os.fsencode(root)) as store:
                recovery.make_durable(store)
                store.catch_up()
            try:
                if os.read(end_read, 1):
                    return
            except BlockingIOError:
                continue

    settlers = [fork(settle), fork(settle)]
    codes = codes_of([fork(write)])
    os.write(end_write, b"!!")
    return max(map(abs, codes + codes_of(settlers)))


def read(root: str) -> int:
    """Everything, as another user where this one is root: mode bits do not stop root."""
    os.chdir(root)

    def work() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        with LocalStore(b".") as store:
            for data, _ in blobs():
                assert bytes(read_blob(store, pointer_of(data))) == data
                say(f"ok {pointer_of(data).oid.hex()}")
            try:
                with Ingest(store) as ingest:
                    ingest.add(reader(content("new", 1000)))
            except MlverError as error:
                say(type(error).__name__)

    return codes_of([fork(work)])[0]


def main(mode: str, root: str, *rest: str) -> int:
    if mode == "run":
        store_all(os.fsencode(root))
        return 0
    if mode == "sweep":
        return sweep(root, *rest)
    if mode == "many":
        return many(root, int(rest[0]))
    return {"beside": beside, "read": read}[mode](root)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except MlverError as told:
        say(f"{type(told).__name__} {told}")
        sys.exit(told.exit_code)
