"""Files that a checkout left as pointers on purpose, to be written directly after it.

git holds a filter's whole answer in memory, so that a large file is answered with its pointer
and noted here; the hook after the checkout, or the filter process at its end (some commands run
no hook), writes it. The note is one file a process in `<git dir>/mlver/deferred/`: rows of path
NUL pointer text NUL. A note that a killed process left is served by the next one.

A hook may serve a note while the process that wrote it lives on and writes more (a rebase): so
each row opens the file anew, and the process keeps its rows in memory too. What the hook could not
have, and has told, it leaves in `told-<note>`, so that the process does not try and tell it again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlver.errors import MlverError
from mlver.model.pointer import Pointer, parse
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from mlver.workflows.hydrate import Hydrated


class Deferred:
    """What this process has put off."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._name = os.urandom(8).hex().encode()
        self._file = os.path.join(_folder(ctx), self._name)
        self.rows: dict[bytes, Pointer] = {}

    def add(self, path: bytes, pointer: Pointer) -> None:
        """Note a file; the note is on disk before git is answered."""
        os.makedirs(_folder(self._ctx), exist_ok=True)
        with open(self._file, "ab", buffering=0) as file:
            file.write(b"%s\0%s\0" % (path, pointer.encode()))
        self.rows[path] = pointer

    def left(self) -> dict[bytes, Pointer]:
        """The rows that no hook has tried in vain."""
        told: dict[bytes, Pointer] = {}
        with contextlib.suppress(OSError):
            path = os.path.join(_folder(self._ctx), _TOLD + self._name)
            told = _read(path)
            os.unlink(path)
        return {path: row for path, row in self.rows.items() if told.get(path) != row}


_TOLD = b"told-"


def serve(ctx: Context, own: Mapping[bytes, Pointer] = MappingProxyType({})) -> Hydrated:
    """Write every file that is noted, or in `own`, and still a pointer; the notes are removed."""
    from mlver.workflows.hydrate import hydrate  # with all that fetches: most filters do neither
    from mlver.workflows.settle import settle

    wanted: dict[bytes, Pointer] = {}
    notes = _notes(ctx)
    rows: dict[bytes, dict[bytes, Pointer]] = {}
    for note in notes:
        with contextlib.suppress(FileNotFoundError):
            rows[note] = _read(note)
            wanted.update(rows[note])
    wanted.update(own)
    result = hydrate(ctx, wanted)
    if result.skipped:  # written by a process that was killed before it told git's index
        with contextlib.suppress(MlverError):
            if not settle(ctx, [b":(top,literal)" + path for path in result.skipped]):
                return result  # the notes stay for the next checkout
    for note in notes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note)
    _leave_told(result, rows)
    if notes:
        with contextlib.suppress(OSError):
            os.rmdir(_folder(ctx))
    return result


def _notes(ctx: Context) -> list[bytes]:
    """Paths of the notes; what was told to processes that are gone is removed."""
    folder = _folder(ctx)
    names: list[bytes] = []
    with contextlib.suppress(FileNotFoundError):
        names = sorted(os.listdir(folder))
    for name in names:
        if name.startswith(_TOLD):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
    return [os.path.join(folder, name) for name in names if not name.startswith(_TOLD)]


def _leave_told(result: Hydrated, rows: Mapping[bytes, dict[bytes, Pointer]]) -> None:
    for note, noted in rows.items():
        failed = [(path, row) for path, row in noted.items() if path in result.failed]
        if failed:
            folder, name = os.path.split(note)
            with (
                contextlib.suppress(OSError),
                open(os.path.join(folder, _TOLD + name), "wb") as file,
            ):
                file.write(b"".join(b"%s\0%s\0" % (path, row.encode()) for path, row in failed))


def _read(note: bytes) -> dict[bytes, Pointer]:
    with open(note, "rb") as file:
        fields = file.read().split(b"\0")
    rows = zip(fields[::2], fields[1::2], strict=False)
    return {path: pointer for path, text in rows if (pointer := parse(text)) is not None}


def _folder(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.state_dir, b"deferred")
