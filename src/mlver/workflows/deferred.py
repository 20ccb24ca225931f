"""Files that a checkout left as pointers on purpose, to be written directly after it.

git holds a filter's whole answer in memory, so that a large file is answered with its pointer
and noted here; the hook after the checkout, or the filter process at its end (some commands run
no hook), writes it. The note is one file a process in `<git dir>/mlver/deferred/`: rows of path
NUL pointer text NUL. A note that a killed process left is served by the next one.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from mlver.model.pointer import Pointer, parse
from mlver.workflows.context import Context
from mlver.workflows.hydrate import Hydrated, hydrate


class Deferred:
    """What this process has put off."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._file = os.path.join(_folder(ctx), secrets.token_hex(8).encode())
        self._fd = -1

    def add(self, path: bytes, pointer: Pointer) -> None:
        """Note a file; the note is on disk before git is answered."""
        if self._fd < 0:
            os.makedirs(_folder(self._ctx), exist_ok=True)
            self._fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._fd, b"%s\0%s\0" % (path, pointer.encode()))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def serve(ctx: Context) -> Hydrated:
    """Write every file that is noted and still a pointer; the notes are removed."""
    wanted: dict[bytes, Pointer] = {}
    notes = []
    with contextlib.suppress(FileNotFoundError):
        notes = [os.path.join(_folder(ctx), name) for name in sorted(os.listdir(_folder(ctx)))]
    for note in notes:
        with contextlib.suppress(FileNotFoundError):
            wanted.update(_read(note))
    result = hydrate(ctx, wanted)
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
