"""Files that a checkout left as pointers on purpose, to be written directly after it.

git holds a filter's whole answer in memory, so that a large file is answered with its pointer
and noted here; the hook after the checkout, or the filter process at its end (some commands run
no hook), writes it. The note is one file a process in `<git dir>/mlver/deferred/`: rows of path
NUL pointer text NUL. A note that a killed process left is served by the next one.

A hook may serve a note while the process that wrote it lives on and writes more (a rebase): so
each row opens the file anew, and the process keeps its rows in memory too.
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
        self._file = os.path.join(_folder(ctx), os.urandom(8).hex().encode())
        self.rows: dict[bytes, Pointer] = {}

    def add(self, path: bytes, pointer: Pointer) -> None:
        """Note a file; the note is on disk before git is answered."""
        os.makedirs(_folder(self._ctx), exist_ok=True)
        with open(self._file, "ab", buffering=0) as file:
            file.write(b"%s\0%s\0" % (path, pointer.encode()))
        self.rows[path] = pointer


def serve(ctx: Context, own: Mapping[bytes, Pointer] = MappingProxyType({})) -> Hydrated:
    """Write every file that is noted, or in `own`, and still a pointer; the notes are removed."""
    from mlver.workflows.hydrate import hydrate  # with all that fetches: most filters do neither
    from mlver.workflows.settle import settle

    wanted: dict[bytes, Pointer] = {}
    notes = []
    with contextlib.suppress(FileNotFoundError):
        notes = [os.path.join(_folder(ctx), name) for name in sorted(os.listdir(_folder(ctx)))]
    for note in notes:
        with contextlib.suppress(FileNotFoundError):
            wanted.update(_read(note))
    wanted.update(own)
    result = hydrate(ctx, wanted)
    if result.skipped:  # written by a process that was killed before it told git's index
        with contextlib.suppress(MlverError):
            if not settle(ctx, [b":(top,literal)" + path for path in result.skipped]):
                return result  # the notes stay for the next checkout
    for note in notes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note)
    if notes:
        with contextlib.suppress(OSError):
            os.rmdir(_folder(ctx))
    return result


def _read(note: bytes) -> dict[bytes, Pointer]:
    with open(note, "rb") as file:
        fields = file.read().split(b"\0")
    rows = zip(fields[::2], fields[1::2], strict=False)
    return {path: pointer for path, text in rows if (pointer := parse(text)) is not None}


def _folder(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.state_dir, b"deferred")
