"""Gives entries of git's index their stat data in place, so that `git status` need not read files.

`git update-index --index-info` leaves an entry's stat data zero, and git's own cure (`--refresh`)
sends every byte through the clean filter again. Here only the stat fields of the named entries
change: no length, order, flag, mode or id does, so the cache tree and the other extensions stay
valid. A caller vouches that the content it saw under that `os.stat_result` is the entry's blob.

Invariants:
- The new index is written whole to `index.lock` and renamed; the old one is never opened for
  writing. Whatever fails, the index is as it was and the lock is gone.
- What is not understood in full (a split or sparse index, an extension that git must know, a wrong
  checksum) is not touched.
- No modification that git would have found goes unseen: see `_Plan.smudged`.

The layout is git's Documentation/gitformat-index.txt; the stat fields follow statinfo.c. Imports
nothing of mlver but the errors.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from collections.abc import Container, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedWriter

from mlver.errors import BusyError, LocalIOError, MlverError, RepositoryError

_HEADER = struct.Struct(">4sII")  # "DIRC", version, number of entries
_EXTENSION = struct.Struct(">4sI")  # name, length of what follows

# An entry, from its first byte: ctime 0, mtime 8, dev 16, ino 20, mode 24, uid 28, gid 32,
# size 36, object id 40, flags, [extended flags,] name. All big-endian, 32 bits wide.
_TIMES_AND_INODE = struct.Struct(">6I")
_OWNER_AND_SIZE = struct.Struct(">3I")
_OWNER_OFFSET = 28
_SIZE_OFFSET = 36
_ID_OFFSET = 40

_EXTENDED = 0x4000
_STAGE = 0x3000
_NAME_LENGTH = 0x0FFF  # also "that long or longer": then the name's NUL tells
_MODE_DIRECTORY = 0o040000  # only a sparse index has these

_WORD = 0xFFFFFFFF
_SECOND = 1_000_000_000

_Entry = tuple[int, int, int, bytes]  # offset, mode, flags, path


class _LeaveToGit(Exception):
    """A valid index of a kind that only git may rewrite."""


@dataclass(slots=True)
class _Plan:
    """Which entries of the index `raw` to change, by the offset of their first byte.

    `smudged`: git reads a file again when its mtime is not older than the index ("racily clean":
    it may have changed within that tick). A rewritten index is younger, and would hide such a
    change for good. As git does when it writes an index, those entries get size 0, which makes git
    compare their content; it would have done so anyway.
    """

    raw: bytes = b""
    stamped: list[tuple[int, os.stat_result]] = field(default_factory=list)
    smudged: list[int] = field(default_factory=list)


def stamp(
    index_path: bytes,
    stats: Mapping[bytes, os.stat_result],
    *,
    hash_name: str = "sha1",
    trust_ctime: bool = True,
    munge_size: bool = False,
) -> int:
    """Write `stats` (path → lstat) into the stage-0 entries of those paths; how many were there.

    A stat must have been taken before the content was read, and be unchanged after. `hash_name` is
    the repository's object format. With `trust_ctime` False (core.trustCtime) the ctime, which git
    then ignores, is written as zero. `munge_size` MUST be true only for git 2.43 or later: see
    `_size`. A missing, split or sparse index: 0, and nothing changes.

    Raises BusyError when `index.lock` exists (never waits), RepositoryError when the index is
    malformed or its checksum wrong, LocalIOError when the disk refuses.
    """
    if not stats:
        return 0
    if hash_name not in ("sha1", "sha256"):
        raise RepositoryError(f"The object format {hash_name!r} is not known.")
    target = os.path.realpath(index_path)  # git, too, replaces what a symlinked index points to
    lock = target + b".lock"
    handle = _take(lock)
    try:
        with handle:
            plan = _read_plan(target, stats, hash_name)
            if plan.stamped:
                handle.write(_patched(plan, hash_name, trust_ctime, munge_size))
                os.chmod(lock, stat.S_IMODE(os.stat(target).st_mode))
        if plan.stamped:
            os.replace(lock, target)
        else:
            os.unlink(lock)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        if isinstance(error, OSError):
            raise _refused(target, error) from error
        raise
    return len(plan.stamped)


def _take(lock: bytes) -> BufferedWriter:
    try:
        return open(lock, "xb")
    except FileExistsError as error:
        raise BusyError(
            "git's index is locked",
            why=f"{os.fsdecode(lock)} exists: another git command is at work, or one was killed",
            fix="wait for that command, then run this again; if there is none, remove that file",
        ) from error
    except OSError as error:
        raise _refused(lock, error) from error


def _refused(path: bytes, error: OSError) -> MlverError:
    return LocalIOError(
        "Git's index could not be updated.",
        why=f"{os.fsdecode(path)}: {error.strerror or error}",
        fix="make room or give permission there, then try again",
    )


def _read_plan(target: bytes, stats: Mapping[bytes, os.stat_result], hash_name: str) -> _Plan:
    """What to change in the index of now; nothing where it is git's to change, or not there."""
    try:
        with open(target, "rb") as index:
            index_mtime = os.fstat(index.fileno()).st_mtime_ns // _SECOND & _WORD
            raw = index.read()
    except FileNotFoundError:
        return _Plan()  # a repository without a commit and without an add
    try:
        return _planned(raw, _checked(raw, hash_name), stats, index_mtime)
    except _LeaveToGit:
        return _Plan()
    except (ValueError, IndexError, struct.error) as error:
        raise RepositoryError(
            "Git's index cannot be read.",
            why=f"{os.fsdecode(target)}: {error}",
            fix="git fsck; if the index alone is damaged: rm it, then git reset",
        ) from error


def _patched(plan: _Plan, hash_name: str, trust_ctime: bool, munge_size: bool) -> bytearray:
    data = bytearray(plan.raw)
    for offset in plan.smudged:
        data[offset + _SIZE_OFFSET : offset + _SIZE_OFFSET + 4] = b"\0\0\0\0"
    for offset, status in plan.stamped:
        _write_stat(data, offset, status, trust_ctime, munge_size)
    hash_size = _hash_size(hash_name)
    if any(data[-hash_size:]):  # all zero: index.skipHash wrote none
        data[-hash_size:] = _digest(memoryview(data)[:-hash_size], hash_name)
    return data


def _digest(content: memoryview, hash_name: str) -> bytes:
    return hashlib.new(hash_name, content, usedforsecurity=False).digest()


def _hash_size(hash_name: str) -> int:
    return hashlib.new(hash_name, usedforsecurity=False).digest_size


def _checked(raw: bytes, hash_name: str) -> int:
    """The length of an object id, once signature, version and checksum are right."""
    hash_size = _hash_size(hash_name)
    if len(raw) < _HEADER.size + hash_size:
        raise ValueError("it is too short")
    signature, version, _ = _HEADER.unpack_from(raw)
    if signature != b"DIRC":
        raise ValueError("it does not start with DIRC")
    if version not in (2, 3, 4):
        raise ValueError(f"version {version} is not known")
    checksum = raw[-hash_size:]
    if any(checksum) and checksum != _digest(memoryview(raw)[:-hash_size], hash_name):
        raise ValueError("its checksum is wrong")
    return hash_size


def _planned(
    raw: bytes, hash_size: int, stats: Mapping[bytes, os.stat_result], index_mtime: int
) -> _Plan:
    plan = _Plan(raw)
    # Most gits compare whole seconds. An index without a timestamp has no racy entries.
    racy_from = index_mtime or _WORD + 1
    for offset, mode, flags, path in _entries(raw, hash_size, stats, racy_from):
        if mode == _MODE_DIRECTORY:
            raise _LeaveToGit
        if path in stats and not flags & _STAGE:
            plan.stamped.append((offset, stats[path]))
        else:
            plan.smudged.append(offset)
    return plan


def _entries(
    raw: bytes, hash_size: int, wanted: Container[bytes], racy_from: int
) -> Iterator[_Entry]:
    """Entries that are wanted, racy or directories; raises at the end if the file does not fit."""
    walk = _compressed_entries if raw[7] == 4 else _plain_entries
    end = yield from walk(raw, hash_size, wanted, racy_from)
    limit = len(raw) - hash_size
    required = False
    while end < limit:
        name, length = _EXTENSION.unpack_from(raw, end)
        # Only a name that starts with A-Z may be ignored by whoever does not know it: "link" is a
        # split index, "sdir" a sparse one, and later ones may change what an entry means.
        required |= not b"A" <= name[:1] <= b"Z"
        end += _EXTENSION.size + length
    if end != limit:
        raise ValueError("its entries or extensions run into the checksum")
    if required:
        raise _LeaveToGit


def _fields(hash_size: int) -> struct.Struct:
    """mtime in seconds, mode and flags of an entry."""
    return struct.Struct(f">8xI12xI12x{hash_size}xH")


def _plain_entries(
    raw: bytes, hash_size: int, wanted: Container[bytes], racy_from: int
) -> Generator[_Entry, None, int]:
    """Versions 2 and 3: the whole path, then 1 to 8 NULs up to a multiple of 8 from the start."""
    unpack = _fields(hash_size).unpack_from
    path_at = _ID_OFFSET + hash_size + 2
    _, version, count = _HEADER.unpack_from(raw)
    offset = _HEADER.size
    for _ in range(count):
        mtime, mode, flags = unpack(raw, offset)
        start = offset + path_at
        if flags & _EXTENDED:
            if version == 2:
                raise ValueError("version 2 has an extended entry")
            start += 2
        length = flags & _NAME_LENGTH
        end = start + length if length < _NAME_LENGTH else raw.index(b"\0", start)
        if raw[end]:
            raise ValueError("a path has no end")
        path = raw[start:end]
        if path in wanted or mtime >= racy_from or mode == _MODE_DIRECTORY:
            yield offset, mode, flags, path
        offset += (end - offset + 8) & ~7
    return offset


def _compressed_entries(
    raw: bytes, hash_size: int, wanted: Container[bytes], racy_from: int
) -> Generator[_Entry, None, int]:
    """Version 4: how much to cut from the previous path's end, then what to append; no padding."""
    unpack = _fields(hash_size).unpack_from
    path_at = _ID_OFFSET + hash_size + 2
    offset = _HEADER.size
    path = b""
    for _ in range(_HEADER.unpack_from(raw)[2]):
        mtime, mode, flags = unpack(raw, offset)
        start = offset + path_at + (2 if flags & _EXTENDED else 0)
        cut = raw[start]
        start += 1
        if cut & 0x80:
            cut, start = _varint(raw, start - 1)
        if cut > len(path):
            raise ValueError("a path cuts more than its predecessor has")
        end = raw.index(b"\0", start)
        path = path[: len(path) - cut] + raw[start:end]
        if path in wanted or mtime >= racy_from or mode == _MODE_DIRECTORY:
            yield offset, mode, flags, path
        offset = end + 1
    return offset


def _varint(raw: bytes, start: int) -> tuple[int, int]:
    """A number in git's "offset" encoding, and where it ends (each further byte adds one)."""
    value = raw[start] & 0x7F
    while raw[start] & 0x80:
        start += 1
        value = ((value + 1) << 7) + (raw[start] & 0x7F)
        if value > _WORD:
            raise ValueError("a path's prefix is too long")
    return value, start + 1


def _write_stat(
    data: bytearray, offset: int, status: os.stat_result, trust_ctime: bool, munge_size: bool
) -> None:
    """What git's fill_stat_data writes; the mode between the two halves stays."""
    ctime, ctime_ns = divmod(status.st_ctime_ns, _SECOND) if trust_ctime else (0, 0)
    mtime, mtime_ns = divmod(status.st_mtime_ns, _SECOND)
    dev, ino, uid, gid = status.st_dev, status.st_ino, status.st_uid, status.st_gid
    if os.name == "nt":
        dev = ino = uid = gid = 0  # Git for Windows' own lstat knows none, and compares them
    _TIMES_AND_INODE.pack_into(
        data,
        offset,
        ctime & _WORD,
        ctime_ns,
        mtime & _WORD,
        mtime_ns,
        dev & _WORD,
        ino & _WORD,
    )
    size = _size(status.st_size, munge_size)
    _OWNER_AND_SIZE.pack_into(data, offset + _OWNER_OFFSET, uid & _WORD, gid & _WORD, size)


def _size(size: int, munge: bool) -> int:
    """The size as git keeps it, in 32 bits, where 0 means "compare the content".

    A multiple of 4 GiB would be 0 and read at every status, so git 2.43 writes 2**31 for it
    (munge_st_size). An older git takes 2**31 for another size, hence for a modified file, without
    a look at the content; 0 is slow there, but right. 0 is right with every git.
    """
    if munge and size and not size & _WORD:
        return 0x80000000
    return size & _WORD
