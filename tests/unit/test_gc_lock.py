"""The lock of collection: who renews it keeps it, who died is known, who slept stops by itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from mlver.errors import BusyError, RemoteError
from mlver.exchange import gc_lock, layout, lock_notes
from mlver.exchange.gc_lock import LEASE, GcLock
from mlver.exchange.lock_notes import LockNotes, no_notes
from mlver.remotes.directory import DirectoryRemote
from mlver.remotes.memory import MemoryRemote
from mlver.store import files

MINUTE = 60.0


class Dated(MemoryRemote):
    """A remote whose clock the test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        super().__init__(clock=lambda: self.now)

    def locks(self) -> set[str]:
        return {row.name for row in self.list(layout.LOCKS)}


def test_a_lock_that_is_renewed_holds_however_old_it_is_and_is_one_object() -> None:
    remote = Dated()
    with gc_lock.held(remote) as lock:
        for _ in range(12):
            remote.now += 29 * MINUTE
            lock.check()
            assert len(remote.locks()) == 1
            with pytest.raises(BusyError, match="another collection"), gc_lock.held(remote):
                pass
    assert not remote.locks()


def test_a_lock_that_nobody_renews_is_dead_after_an_hour_and_stays_until_it_is_buried() -> None:
    remote = Dated()
    GcLock(remote, no_notes()).take()
    dead = remote.locks()
    remote.now += LEASE - 1
    with pytest.raises(BusyError), gc_lock.held(remote):
        pass
    remote.now += 1
    for _ in range(2):
        with gc_lock.held(remote) as lock:
            assert {*lock.left} == dead < remote.locks()
        assert remote.locks() == dead
    with gc_lock.held(remote) as lock:
        lock.bury()
    assert not remote.locks()


@pytest.mark.parametrize("asleep", [LEASE / 2, LEASE, 30 * LEASE])
def test_who_slept_too_long_deletes_nothing_more(asleep: float) -> None:
    remote = Dated()
    remote.create("packs/aa/x", [b"x"])
    with gc_lock.held(remote) as lock:
        lock.check()
        remote.now += asleep
        with pytest.raises(BusyError, match="slept"):
            lock.delete(["packs/aa/x"])
        with pytest.raises(BusyError):
            lock.check()
    assert remote.size("packs/aa/x") == 1 and not remote.locks()


def test_who_finds_its_lock_removed_stops() -> None:
    remote = Dated()
    with gc_lock.held(remote) as lock:
        remote.delete_many(remote.locks())
        with pytest.raises(BusyError):
            lock.check()
    assert not remote.locks()


def test_a_renewal_that_took_long_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine slept after the request: the answer says nothing of the time now."""
    remote = Dated()
    with gc_lock.held(remote) as lock:
        ticks = iter([0.0, 5 * LEASE, 5 * LEASE, 5 * LEASE])
        monkeypatch.setattr(gc_lock, "time_with_sleep", lambda: next(ticks))
        lock.check()
        assert next(ticks, None) is None and len(remote.locks()) == 1
        slow = count(0, 1000)
        monkeypatch.setattr(gc_lock, "time_with_sleep", lambda: float(next(slow)))
        with pytest.raises(BusyError):
            lock.check()
    assert not remote.locks()


class Lossy(Dated):
    """Answers to creates are lost: another try finds the object there."""

    lost = 0

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        created = super().create(name, parts)
        if name.startswith(layout.LOCKS) and self.lost:
            self.lost -= 1
            return False
        return created


def test_an_object_of_which_it_is_not_known_when_it_was_made_is_not_relied_on() -> None:
    remote = Lossy()
    with gc_lock.held(remote) as lock:
        before = remote.locks()
        remote.lost = 2
        lock.check()
        assert len(remote.locks()) == 1 and not remote.locks() & before
        remote.lost = 9
        with pytest.raises(RemoteError, match="lost"):
            lock.check()
    assert not remote.locks()


def test_a_lock_is_renewed_while_its_owner_is_at_work() -> None:
    class Counted(Dated):
        made = 0
        enough = threading.Event()

        def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
            self.made += 1
            if self.made > 3:
                self.enough.set()
            return super().create(name, parts)

    remote = Counted()
    with gc_lock.held(remote, pause=0.001) as lock:
        assert remote.enough.wait(60)
        lock.check()
    assert not remote.locks()


def in_a_process(remote: DirectoryRemote, notes: bytes, *, dies: bool) -> tuple[int, int]:
    """A process that holds the lock, and dies at once or lives until a byte comes: its pid and
    where to write that. Returns when the lock is held."""
    held_out, held_in = os.pipe()
    end_out, end_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with gc_lock.held(remote, LockNotes(notes)):
                os.write(held_in, b"x")
                os.read(end_out, 1)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(held_in)
    assert os.read(held_out, 1) == b"x"
    if dies:
        end(pid, end_in)
    for fd in (held_out, end_out):
        os.close(fd)
    return pid, end_in


def end(pid: int, fd: int) -> None:
    os.write(fd, b"x")
    os.waitpid(pid, 0)


@pytest.fixture
def notes(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "collecting")


@pytest.fixture
def folder(tmp_path: Path) -> DirectoryRemote:
    made = DirectoryRemote(tmp_path / "remote")
    made.create("mlver.json", [b"{}"])
    return made


def test_the_lock_of_a_killed_process_of_this_clone_is_dead_at_once(
    folder: DirectoryRemote, notes: bytes
) -> None:
    _, fd = in_a_process(folder, notes, dies=True)
    os.close(fd)
    with pytest.raises(BusyError), gc_lock.held(folder):
        pass  # another clone cannot know
    with gc_lock.held(folder, LockNotes(notes)) as lock:
        assert len(lock.left) == 1
    with gc_lock.held(folder, LockNotes(notes)) as lock:
        lock.bury()
    assert [row.name for row in folder.list("")] == ["mlver.json"] and not os.listdir(notes)


def test_the_note_of_a_process_that_was_killed_before_it_held_the_lock_goes(
    folder: DirectoryRemote, notes: bytes, tmp_path: Path
) -> None:
    other = DirectoryRemote(tmp_path / "other")
    other.create("mlver.json", [b"{}"])
    for remote in (folder, other):
        _, fd = in_a_process(remote, notes, dies=True)
        os.close(fd)
        remote.delete_many([row.name for row in remote.list(layout.LOCKS)])
    before = os.listdir(notes)
    with gc_lock.held(folder, LockNotes(notes)):
        pass
    assert len(before) == 2 and len(os.listdir(notes)) == 1, "what is of another remote stays"


@pytest.mark.parametrize("name", ["README.md", "README.md-1", "a/b", "0" * 32])
def test_a_lock_of_any_name_is_buried_and_no_file_here_goes_with_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    files_here = [tmp_path / "README.md", tmp_path / "collecting" / "README.md"]
    for path in files_here:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for kept in (None, LockNotes(notes)):
        remote = Dated()
        remote.create(f"{layout.LOCKS}{name}", [b""])
        remote.now += LEASE
        with gc_lock.held(remote, kept) as lock:
            lock.bury()
        assert not remote.locks() and all(path.exists() for path in files_here)


def test_the_lock_of_a_process_that_lives_is_none_to_take(
    folder: DirectoryRemote, notes: bytes
) -> None:
    pid, fd = in_a_process(folder, notes, dies=False)
    try:
        with pytest.raises(BusyError), gc_lock.held(folder, LockNotes(notes)):
            pass
    finally:
        end(pid, fd)
        os.close(fd)
    with gc_lock.held(folder, LockNotes(notes)) as lock:
        assert lock.left


@pytest.mark.parametrize("doubt", ["boot", "locks", "unknown"])
def test_in_doubt_a_process_is_not_dead(
    folder: DirectoryRemote, notes: bytes, doubt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone on a shared disk: another machine is at work, and no lock of a file tells."""
    _, fd = in_a_process(folder, notes, dies=True)
    os.close(fd)
    if doubt == "boot":
        monkeypatch.setattr(files, "boot_id", lambda: "another")
    elif doubt == "unknown":
        monkeypatch.setattr(files, "boot_id", lambda: "")
    else:
        monkeypatch.setattr(lock_notes.files, "lock", lambda *_, **__: True)
    with pytest.raises(BusyError), gc_lock.held(folder, LockNotes(notes)):
        pass
