"""`git mlver apply`: files become, byte for byte, what the patch's maker had.

A patch is not trusted: its paths stay inside the folder, no link is followed, every edit stays
inside the old version, and a file is put in place only where its bytes have the id that the patch
names. Everything is checked before the first file is written.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlver.errors import RefusedError, UsageError
from mlver.git.worktree import Worktree, check_path
from mlver.model.digest import Hasher
from mlver.store import files
from mlver.workflows.patch_making import KIND, VERSION

_BLOCK = 1024 * 1024
_Id = tuple[str, int]
_EMPTY: _Id = ("", 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One file of a patch. `old`, `new`: oid and size; None where it is not there."""

    path: bytes
    old_path: bytes
    status: str
    old: _Id
    new: _Id
    edits: Sequence[Any]


def read_patch(data: bytes) -> tuple[str, list[Step]]:
    """(base, its files). Raises UsageError for what is no whole patch."""
    lines = data.split(b"\n")
    try:
        head, *rows = [json.loads(line) for line in lines if line]
        if head["kind"] != KIND or head["version"] != VERSION or not data.endswith(b"\n"):
            raise ValueError("its first line is not that of a patch")
        if rows[-1] != {"files": len(rows) - 1}:
            raise ValueError("it was cut off")
        return str(head["base"]), [_step(row) for row in rows[:-1]]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UsageError(
            "this is no patch that can be applied",
            why=str(error) if type(error) is ValueError else "it is not written as one",
            fix="make one: git mlver diff A B --patch FILE",
        ) from error


def _step(row: dict[str, Any]) -> Step:
    if row["status"] not in ("added", "removed", "modified", "renamed"):
        raise ValueError(f"it has a file of status {row['status']!r}")
    path, old = (row[name].encode("utf-8", "surrogateescape") for name in ("path", "old_path"))
    return Step(path, old, row["status"], _id(row["old"]), _id(row["new"]), list(row["edits"]))


def _id(value: Any) -> _Id:
    return _EMPTY if value is None else (str(value["oid"]), int(value["size"]))


def apply(top: bytes, steps: Sequence[Step], *, check_only: bool = False) -> list[Step]:
    """Makes the new files below `top`; the steps taken (a file that is new already needs none).

    Raises RefusedError, and writes nothing, where a file is not the patch's old version.
    """
    with Worktree(top) as worktree:
        todo = []
        for step in steps:
            check_path(step.path)
            check_path(step.old_path)
            if _is_done(worktree, step):
                continue
            _check_old(worktree, step)
            _check_new(worktree, step)
            todo.append(step)
        if not check_only:
            for step in todo:
                _take(worktree, step)
    return todo


def _is_done(worktree: Worktree, step: Step) -> bool:
    if step.status == "removed":
        return worktree.stat(step.path) is None
    if step.old_path != step.path and worktree.stat(step.old_path) is not None:
        return False
    return _present(worktree, step.path) == step.new


def _present(worktree: Worktree, path: bytes) -> _Id | None:
    """Id of the file that is there; None where there is none."""
    info = worktree.stat(path)
    if info is None:
        return None
    if not stat.S_ISREG(info.st_mode):
        raise RefusedError(f"{os.fsdecode(path)} is no ordinary file", fix="move it away")
    fd = worktree.open(path)
    try:
        hasher, size = Hasher(), 0
        while data := os.read(fd, _BLOCK):
            hasher.update(data)
            size += len(data)
    finally:
        os.close(fd)
    return (hasher.digest().hex(), size) if size else _EMPTY


def _check_old(worktree: Worktree, step: Step) -> None:
    there = _present(worktree, step.old_path)
    if step.status == "added":
        if there is not None:
            raise _refused(step.path, "it is there already, with other content")
    elif there is None:
        raise _refused(step.old_path, "it is not there")
    elif there != step.old:
        raise _refused(step.old_path, "it is not the version that the patch was made from")
    if step.status == "renamed" and worktree.stat(step.path) is not None:
        raise _refused(step.path, "it is there already")


def _refused(path: bytes, why: str) -> RefusedError:
    return RefusedError(
        f"the patch does not fit {os.fsdecode(path)}",
        why=why + "; nothing was written",
        fix="check out the version that it was made from, then apply it again",
    )


def _check_new(worktree: Worktree, step: Step) -> None:
    """The edits give the bytes that the patch names."""
    if step.status == "removed":
        return
    hasher, size = Hasher(), 0
    for data in _new_bytes(worktree, step):
        hasher.update(data)
        size += len(data)
        if size > step.new[1]:
            break
    if ((hasher.digest().hex(), size) if size else _EMPTY) != step.new:
        raise _refused(step.path, "its edits do not give the version that it names")


def _new_bytes(worktree: Worktree, step: Step) -> Iterator[bytes]:
    fd = -1 if step.status == "added" else worktree.open(step.old_path)
    try:
        for edit in step.edits:
            match edit:
                case ["add", str(text)]:
                    yield _decoded(step, text)
                case ["copy", int(offset), int(length)] if fd >= 0 and offset >= 0 and length > 0:
                    yield from _copied(step, fd, offset, length)
                case _:
                    raise _refused(step.path, "it holds an edit that is none")
    finally:
        if fd >= 0:
            os.close(fd)


def _decoded(step: Step, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(step.path, "it holds an addition that is not base64") from error


def _copied(step: Step, fd: int, offset: int, length: int) -> Iterator[bytes]:
    if offset + length > step.old[1]:
        raise _refused(step.path, "an edit lies outside of the old version")
    while length:
        data = files.pread(fd, min(_BLOCK, length), offset)
        if not data:
            raise _refused(step.old_path, "it got shorter while it was read")
        yield data
        offset, length = offset + len(data), length - len(data)


def _take(worktree: Worktree, step: Step) -> None:
    with files.disk_errors("applying the patch", step.path):
        if step.status != "removed":
            _write(worktree, step)
        if step.status == "removed" or step.old_path != step.path:
            worktree.at(step.old_path, lambda name, folder: os.unlink(name, dir_fd=folder))


def _write(worktree: Worktree, step: Step) -> None:
    info = worktree.stat(step.old_path)
    _make_folders(worktree, step.path)

    def write(fd: int) -> None:
        hasher = Hasher()
        for data in _new_bytes(worktree, step):
            files.write_all(fd, [data])
            hasher.update(data)
        if step.new != _EMPTY and hasher.digest().hex() != step.new[0]:
            raise _refused(step.path, "the file changed while it was read")

    mode = stat.S_IMODE(info.st_mode) if info is not None else 0o666 & ~_umask()
    worktree.replace(step.path, write, mode=mode, still=lambda: True)


def _make_folders(worktree: Worktree, path: bytes) -> None:
    full = worktree.top
    for part in path.split(b"/")[:-1]:
        full = os.path.join(full, part)
        if os.path.islink(full):
            raise RefusedError(f"{os.fsdecode(full)!r} is a link, and is not followed")
        if not os.path.isdir(full):
            os.mkdir(full)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_file(path: bytes) -> bytes:
    """The patch's bytes. Raises LocalIOError."""
    with files.disk_errors("reading the patch", path), open(path, "rb") as file:
        return file.read()
