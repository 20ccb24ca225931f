"""The disk refuses: full, failing, read-only. An add either acknowledges content that reads back,
or says LocalIOError; never another error, never a pointer to what is not there.

Each call of a kind fails in turn, once or from then on for ever, until a run meets no failure.
Then the fault is lifted and the same work must complete. SQLite writes by itself, out of reach of
a replaced os.write: its failures are made by strace.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit import store_writer
from tests.unit.store_material import content, open_store, reader, scan_file, scratch_folder

from mlver.errors import LocalIOError
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.assemble import read_blob, write_file
from mlver.store.ingest import Ingest
from mlver.store.local import LocalStore
from mlver.store.windows import WINDOW

DATAS = [
    b"a few bytes",
    content("errno", 20_000),
    content("errno", 200_000),
    content("errno", 200_000) + b"more",
    content("wide", 150_000) * (WINDOW // 150_000 + 2),
    content("last", 1000),
]
FOLLOWS = {3: 2}


class Faults:
    """`os.<function>` that fails at the `call`-th call, once or from then on."""

    def __init__(self, function: str, code: int, call: int, for_ever: bool) -> None:
        self.function, self.code, self.call, self.for_ever = function, code, call, for_ever
        self.calls = 0
        self.failed = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        real = getattr(os, self.function)

        def faulty(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.call or (self.for_ever and self.calls > self.call):
                self.failed += 1
                if self.function == "writev":  # a full disk takes what still fits
                    joined = b"".join(args[1])
                    real(args[0], [joined[: len(joined) // 3]])
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        setattr(os, self.function, faulty)
        try:
            yield
        finally:
            setattr(os, self.function, real)


def add_everything(root: Path) -> tuple[dict[Pointer, bytes], int]:
    """Store, close and make durable, going on after each error as a user would."""
    acknowledged: dict[Pointer, bytes] = {}
    errors = 0
    pointers: dict[int, Pointer] = {}
    store = open_store(root)
    try:
        ingest = Ingest(store)
    except LocalIOError:
        return acknowledged, 1
    for place, data in enumerate(DATAS):
        previous = pointers.get(FOLLOWS.get(place, -1))
        try:
            pointer = ingest.add(reader(data), partial(store_writer.answer, previous))
        except LocalIOError as error:
            assert error.why, "a refusal tells its cause"
            errors += 1
            continue
        assert pointer is not None
        pointers[place] = pointer
        acknowledged[pointer] = data
    for last in (ingest.close, lambda: recovery.make_durable(store), store.close):
        try:
            last()
        except LocalIOError:
            errors += 1
    store.close()
    return acknowledged, errors


def check(root: Path, acknowledged: dict[Pointer, bytes]) -> None:
    with open_store(root) as store:
        for pointer, data in acknowledged.items():
            assert store.missing(pointer) is None
            assert bytes(read_blob(store, pointer)) == data


def check_converges(root: Path) -> None:
    everything, errors = add_everything(root)
    assert errors == 0 and len(everything) == len(DATAS)
    check(root, everything)
    assert not list(root.glob("incoming/*"))


REFUSALS = [
    ("writev", errno.ENOSPC, 12),
    ("writev", errno.EIO, 5),
    ("fsync", errno.EIO, 12),
    ("rename", errno.ENOSPC, 3),
    ("open", errno.EROFS, 12),
    ("open", errno.EMFILE, 6),
    ("ftruncate", errno.EIO, 3),
]
"""A call, its error, and how many places to try."""


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize(
    ("function", "code", "most"),
    REFUSALS,
    ids=[f"{f}-{errno.errorcode[c]}" for f, c, _ in REFUSALS],
)
def test_a_refusing_disk_never_acknowledges_what_is_not_there(
    function: str, code: int, most: int, for_ever: bool, tmp_path: Path
) -> None:
    met = 0
    with scratch_folder(tmp_path) as scratch:
        for call in range(1, most + 1):
            root = scratch / str(call)
            faults = Faults(function, code, call, for_ever)
            with faults():
                acknowledged, _ = add_everything(root)
            met += faults.failed
            check(root, acknowledged)
            check_converges(root)
            if not faults.failed:
                break
    assert met or function == "ftruncate"


def test_a_write_that_fails_and_cannot_be_cut_back_spoils_nothing(tmp_path: Path) -> None:
    """Two faults: the disk fills up in mid-record, and the half record stays."""
    with open_store(tmp_path) as store:
        ingest = Ingest(store)
        first = ingest.add(reader(DATAS[1]))
        with (
            Faults("writev", errno.EIO, 1, False)(),
            Faults("ftruncate", errno.EIO, 1, True)(),
            pytest.raises(LocalIOError),
        ):
            ingest.add(reader(content("lost", 50_000)))
        second = ingest.add(reader(content("after", 5000)))
        ingest.close()
    assert first is not None and second is not None
    check(tmp_path, {first: DATAS[1], second: content("after", 5000)})


def test_a_footer_that_does_not_fit_loses_no_record(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ingest = Ingest(store)
        pointer = ingest.add(reader(DATAS[2]))
        with (
            Faults("writev", errno.ENOSPC, 1, True)(),
            pytest.raises(LocalIOError, match="content is kept"),
        ):
            ingest.close()
    assert pointer is not None
    check(tmp_path, {pointer: DATAS[2]})


def test_content_that_another_process_has_seen_survives_a_failed_write(tmp_path: Path) -> None:
    """The write fails after whole records; a second process has built upon one of them."""
    data = content("shared", 600_000)
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        ingest = Ingest(store)
        ingest.add(reader(b"the pack exists"))
        real = os.writev

        def fails_late(fd: int, parts: list[bytes]) -> int:
            real(fd, parts)
            other.catch_up()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        os.writev = fails_late  # type: ignore[assignment]
        try:
            with pytest.raises(LocalIOError):
                ingest.add(reader(data))
        finally:
            os.writev = real
        with Ingest(other) as second:
            pointer = second.add(reader(data))
        for number in range(20):  # what would be written over a pack that was cut back
            ingest.add(reader(content(number, 30_000)))
        ingest.close()
    assert pointer is not None
    check(tmp_path, {pointer: data})


def test_a_file_that_could_not_be_written_whole_is_not_left(tmp_path: Path) -> None:
    data = content("out", 9_000_000)
    target = tmp_path / "out"
    with open_store(tmp_path / "store") as store, ThreadPoolExecutor(2) as pool:
        with Ingest(store) as ingest:
            pointer = ingest.add(reader(data))
        assert pointer is not None
        for call in (1, 2, 3):
            with (
                Faults("writev", errno.ENOSPC, call, True)(),
                pytest.raises(LocalIOError, match="out"),
            ):
                write_file(store, pointer, bytes(target), pool)
            assert not target.exists()
        write_file(store, pointer, bytes(target), pool)
        target.write_bytes(b"the user's own")
        with pytest.raises(LocalIOError):
            write_file(store, pointer, bytes(target), pool)
    assert target.read_bytes() == b"the user's own", "a file that is there is never replaced"


def test_a_short_write_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev

    def short(fd: int, parts: list[bytes]) -> int:
        joined = b"".join(parts)
        return real(fd, [joined[: max(1, len(joined) // 2)]])

    monkeypatch.setattr(os, "writev", short)
    acknowledged, errors = add_everything(tmp_path)
    monkeypatch.undo()
    assert errors == 0 and len(acknowledged) == len(DATAS)
    check(tmp_path, acknowledged)


def test_a_disk_that_fills_up_at_the_start_leaves_no_open_files(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    with open_store(tmp_path) as store, Ingest(store) as ingest:
        ingest.session.has(store_writer.pointer_of(DATAS[0]).oid)  # opens the index
        before = descriptors()
        for _ in range(20):
            with Faults("writev", errno.ENOSPC, 1, True)(), pytest.raises(LocalIOError):
                ingest.add(reader(DATAS[0]))
        assert descriptors() == before
        assert not list(tmp_path.glob("incoming/*")), "nor empty packs"


def test_a_pack_that_cannot_be_read_is_an_error_and_not_missing_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged, _ = add_everything(tmp_path)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    real = os.pread

    def failing(fd: int, length: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with open_store(tmp_path) as store:
        monkeypatch.setattr(os, "pread", failing)
        for pointer in acknowledged:
            with pytest.raises(LocalIOError):
                read_blob(store, pointer)
        monkeypatch.setattr(os, "pread", real)
        for pointer, data in acknowledged.items():
            assert bytes(read_blob(store, pointer)) == data


# -- SQLite's own writes -------------------------------------------------------------------

WRITER = [sys.executable, store_writer.__file__]


def can_inject() -> bool:
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-o", os.devnull, "-e", "inject=getpid:retval=1", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_inject(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize(
    "inject",
    [
        "pwrite64:error=ENOSPC:when=1+",
        "pwrite64:error=ENOSPC:when=6",
        "pwrite64:error=EIO:when=12+",
        "fdatasync:error=EIO:when=1+",
    ],
)
def test_an_index_that_cannot_be_written_stops_nothing(inject: str, tmp_path: Path) -> None:
    root = tmp_path / "store"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", f"inject={inject}", *WRITER, "run", str(root)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-1] == "durable"
    check(root, {store_writer.pointer_of(data): data for data, _ in store_writer.blobs()})


@pytest.mark.skipif(not can_inject(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("inject", ["fsync:error=EIO:when=1+", "writev:error=ENOSPC:when=9+"])
def test_a_real_refusal_ends_the_process_in_words(inject: str, tmp_path: Path) -> None:
    root = tmp_path / "store"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", f"inject={inject}", *WRITER, "run", str(root)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == LocalIOError.exit_code, done.stdout + done.stderr
    assert "LocalIOError" in done.stdout and "Traceback" not in done.stderr
    said = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("ok ")}
    blobs = {store_writer.pointer_of(data): data for data, _ in store_writer.blobs()}
    check(root, {p: data for p, data in blobs.items() if p.oid.hex() in said})
    store_writer.store_all(bytes(root), tell=lambda _word: None)
    check(root, blobs)


def test_a_failed_rename_leaves_the_pack_where_it_is_found(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        with Ingest(store) as ingest:
            pointer = ingest.add(reader(DATAS[2]))
        with Faults("rename", errno.EIO, 1, True)(), pytest.raises(LocalIOError):
            recovery.make_durable(store)
        (path,) = tmp_path.glob("incoming/*.pack")
        assert scan_file(path)
        assert recovery.make_durable(store) == 1
    assert pointer is not None
    check(tmp_path, {pointer: DATAS[2]})


def test_the_new_name_is_made_durable_before_the_old_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is lost to a power cut at any moment, the pack has one name that is durable."""
    order: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        order.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real_fsync(fd)

    def rename(old: Any, new: Any) -> None:
        order.append("rename")
        real_rename(old, new)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    with LocalStore(bytes(tmp_path / "store")) as store:
        with Ingest(store) as ingest:
            ingest.add(reader(DATAS[2]))
        (pack,) = (tmp_path / "store").glob("incoming/*.pack")
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        recovery.make_durable(store)
    assert order[:3] == [f"fsync {pack.name}", "fsync incoming", "rename"]
    assert order.index("fsync packs") < len(order) - 1 - order[::-1].index("fsync incoming")
    assert {"fsync store", f"fsync {tmp_path.name}"} <= set(order), "the store's own name too"
