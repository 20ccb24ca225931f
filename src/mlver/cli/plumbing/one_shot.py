"""`git mlver clean`, `smudge` and `pointer`: one file through standard input and output.

git uses the first two where it has no long-running filter at hand.
"""

from __future__ import annotations

import os
import sys

from mlver import system
from mlver.cli.output import warn
from mlver.cli.plumbing.filter_process import skips_smudge
from mlver.errors import MlverError, UsageError
from mlver.git.filter_process import FilterError, Request
from mlver.workflows.context import open_context
from mlver.workflows.filtering import FilterHandler


def _read_into(view: memoryview) -> int:
    return system.read_into(0, view)


def _path(args: list[str]) -> bytes:
    names = [arg for arg in args if not arg.startswith("--")]
    return os.fsencode(names[-1]) if names else b""


def clean(args: list[str]) -> int:
    """Content on standard input → pointer on standard output."""
    with open_context(warn=warn) as ctx:
        handler = FilterHandler(ctx)
        try:
            stored = handler.clean(Request(_path(args)), _read_into)
        except FilterError:
            return 1
        finally:
            handler.close()
        _write([stored])
    return 0


def smudge(args: list[str]) -> int:
    """Pointer on standard input → content on standard output; the pointer where it is not here."""
    data = sys.stdin.buffer.read()
    try:
        ctx = open_context(warn=warn)
    except MlverError as error:  # git would delete the file
        warn(str(error))
        _write([data])
        return 0
    with ctx:
        handler = FilterHandler(ctx, skip_smudge=skips_smudge(args))
        for part in handler.smudge(Request(_path(args)), data) or [data]:
            _write([part])
        handler.close()
    return 0


def pointer(args: list[str]) -> int:
    """Print the pointer of FILE (or standard input) without storing anything."""
    from mlver.model.digest import Digest, Hasher
    from mlver.model.pointer import Pointer

    names = [arg for arg in args if arg != "--"]
    if len(names) > 1 or (names and names[0] in ("-h", "--help")):
        print("usage: git mlver pointer [FILE]", file=sys.stderr)
        return 0 if names and names[0] in ("-h", "--help") else 2
    hasher, size = Hasher(), 0
    fd = _opened(names[0]) if names else 0
    while data := os.read(fd, 1 << 20):
        hasher.update(data)
        size += len(data)
    if size:
        _write([Pointer(Digest(hasher.digest()), size).encode()])
    return 0


def _opened(name: str) -> int:
    """A word that names no file is a wrong word (usage); one that the disk refuses is not."""
    if os.path.isdir(name) or not os.path.exists(name):
        raise UsageError(
            f"there is no file {name!r}",
            why="it is a folder" if os.path.isdir(name) else "nothing of that name is there",
            fix="git mlver pointer FILE",
        )
    return os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def _write(parts: list[bytes | memoryview]) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(1, view) :]
