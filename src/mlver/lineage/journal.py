"""Where a run lives until it is a note: a folder of its own, written before the command starts.

    runs/<run id>/record.json   the record as it stands: `running`, then how it ended
                  lock          locked (flock) as long as the recorder lives
                  stdout, stderr      what the command wrote, redacted
                  events-<pid>-<n>.jsonl     what the Python API was told, a file a process
                  opened-<pid>-<n>    what Python's audit hook has told
                  capture.json        what was asked for; its time is that of the run's start
                  kept/<name>   bytes for the run's folder in git: lock of packages, listings

A record that says `running` while nobody holds the lock is of a run that was killed: a lock, not a
process id, tells, since ids are given again and a zombie keeps its own. Everything here was
redacted before it was written. `record.json` is replaced in one step, so a reader sees the one or
the other; a kill at any point leaves a folder that can be finished by whoever looks next.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mlver import system
from mlver.errors import CorruptContent, LocalIOError
from mlver.model import run as records
from mlver.model.digest import digest_of
from mlver.model.run import Run

if TYPE_CHECKING:
    from typing import BinaryIO

FOLDER = b"runs"
RECORD, LOCK, KEPT = b"record.json", b"lock", b"kept"


class Entry:
    """One run's folder. Its writer holds `lock`; others only read, until they could take it."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def run_id(self) -> str:
        return os.fsdecode(os.path.basename(self.path))

    def file(self, name: bytes) -> bytes:
        """The path of a file in the folder."""
        return os.path.join(self.path, name)

    def write(self, run: Run) -> None:
        """Put the record in place, in one step. Raises LocalIOError."""
        fresh = self.file(b"." + os.urandom(4).hex().encode())
        try:
            with open(fresh, "xb") as file:
                file.write(run.encode() + b"\n")
            os.replace(fresh, self.file(RECORD))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise _refused(error) from error

    def read(self) -> Run:
        """The record as it was last written. Raises CorruptContent."""
        try:
            with open(self.file(RECORD), "rb") as file:
                return records.parse(file.read(records.MAX_LINE + 1).rstrip(b"\n"))
        except OSError as error:
            raise CorruptContent("a run's journal has no record", why=str(error)) from error

    def seen(self) -> Run:
        """As `read`; `killed` where it says running and its recorder lives no more."""
        run = self.read()
        if run.status == "running" and not self.is_alive():
            return replace(run, status="killed", ended=run.ended or _last_sign(self))
        return run

    def left(self) -> tuple[Run, bool]:
        """For whoever has taken it: the record, and whether its recorder was killed (then it says
        so). Raises CorruptContent."""
        run = self.read()
        if run.status != "running":
            return run, False
        return replace(run, status="killed", ended=run.ended or _last_sign(self)), True

    def take(self) -> bool:
        """Become the one who may write; False where another one is."""
        try:
            fd = os.open(self.file(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            return False  # the folder went meanwhile: it is a note by now
        except OSError as error:
            raise _refused(error) from error
        if not system.lock(fd) or not self._is_mine(fd):
            os.close(fd)
            return False
        self._lock = fd
        return True

    def _is_mine(self, fd: int) -> bool:
        """False where the folder was removed, and perhaps its lock made anew, in between."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), os.stat(self.file(LOCK)))
        return False

    def is_alive(self) -> bool:
        """True while the recorder holds its lock."""
        try:
            fd = os.open(self.file(LOCK), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not system.lock(fd)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Let go of the lock, with the folder still there."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """The run is a note now: its folder goes, the record first."""
        with contextlib.suppress(OSError):
            os.unlink(self.file(RECORD))
        for folder in (self.file(KEPT), self.path):  # by hand: shutil brings every compressor
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))
                os.rmdir(folder)
        self.release()

    def keep(self, name: str, data: bytes) -> None:
        """Put bytes aside for the run's folder in git. Raises LocalIOError."""
        try:
            os.makedirs(self.file(KEPT), exist_ok=True)
            with open(os.path.join(self.file(KEPT), os.fsencode(name)), "wb") as file:
                file.write(data)
        except OSError as error:
            raise _refused(error) from error

    def kept(self) -> dict[str, bytes]:
        """What `keep` has put aside, by name."""
        found: dict[str, bytes] = {}
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self.file(KEPT))):
                with open(os.path.join(self.file(KEPT), name), "rb") as file:
                    found[os.fsdecode(name)] = file.read()
        return found

    def open_log(self, name: bytes) -> BinaryIO:
        """A log to append to. Raises LocalIOError."""
        try:
            return open(self.file(name), "ab", buffering=0)
        except OSError as error:
            raise _refused(error) from error


def begin(store_dir: bytes, run: Run) -> Entry:
    """A folder for a run that starts, locked, with its first record. Raises LocalIOError.

    It gets its name when it is whole: nobody ever sees one without lock or record.
    """
    folder = os.path.join(store_dir, FOLDER)
    fresh = Entry(os.path.join(folder, b"." + run.run_id.encode()))
    try:
        os.makedirs(fresh.path)
        if not fresh.take():
            raise LocalIOError("a new run's journal is held by another process")
        fresh.write(run)
        os.rename(fresh.path, os.path.join(folder, run.run_id.encode()))
    except OSError as error:
        fresh.remove()
        raise _refused(error) from error
    fresh.path = os.path.join(folder, run.run_id.encode())
    return fresh


def entries(store_dir: bytes) -> Iterator[Entry]:
    """Every run that is not a note yet, oldest first: a run id begins with its time."""
    try:
        names = sorted(os.listdir(os.path.join(store_dir, FOLDER)))
    except OSError:
        return
    for name in names:
        if records.is_run_id(os.fsdecode(name)):
            yield Entry(os.path.join(store_dir, FOLDER, name))


_OWN = b".own"


def mark_own(store_dir: bytes, lines: Iterable[bytes]) -> None:
    """Note that these records were made here, by this user: a record that came by fetch may claim
    any actor and any id, but not this file. Best effort: what is not in it is asked about."""
    text = b"".join(digest_of(line).hex().encode() + b"\n" for line in lines)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.join(store_dir, FOLDER), exist_ok=True)
        with open(os.path.join(store_dir, FOLDER, _OWN), "ab", buffering=0) as file:
            file.write(text)


def is_own(store_dir: bytes, line: bytes) -> bool:
    """True for a record that was made in this clone."""
    try:
        with open(os.path.join(store_dir, FOLDER, _OWN), "rb") as file:
            return digest_of(line).hex().encode() + b"\n" in file.read()
    except OSError:
        return False


def new_id() -> str:
    """An id for a run that starts now."""
    return records.new_run_id(time.time_ns() // 1_000_000, os.urandom(10))


def now() -> str:
    """This moment in a record's form."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """A time in a record's form: UTC with milliseconds."""
    whole, fraction = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:03d}Z"


def _last_sign(entry: Entry) -> str:
    """When a killed run last wrote something, by its files' times."""
    times = [0.0]
    with contextlib.suppress(OSError), os.scandir(entry.path) as files:
        times += [item.stat().st_mtime for item in files]
    return moment(max(times)) if max(times) else ""


def _refused(error: OSError) -> LocalIOError:
    return LocalIOError(
        "the run's journal cannot be written",
        why=str(error),
        fix="git mlver doctor; the command itself goes on",
    )
