"""How hook files are read and written.

Every write is a temporary file, fsync, rename: a hook cut short by a crash would be an empty
script, which git runs with success. Symbolic links are never followed. Must not import: anything
of mlver but errors and the hook_* modules.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlver.errors import LocalIOError
from mlver.git.hook_text import NAMES


def read(path: Path) -> bytes | None:
    """The file's bytes; None for what is no regular file."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISREG(path.lstat().st_mode):
            return path.read_bytes()
    return None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def same(path: Path, other: Path) -> bool:
    """Whether an install that was killed between two steps left `other`."""
    if path.is_symlink() and other.is_symlink():
        return os.readlink(path) == os.readlink(other)
    mine, its = read(path), read(other)
    return mine is not None and mine == its


def copy(path: Path, target: Path) -> None:
    """Gives the file (or the link itself) a second name, with its mode."""
    try:
        os.link(path, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(path, target, follow_symlinks=False)


def write(path: Path, data: bytes, mode: int) -> None:
    """Replaces the file, or the link itself, in one step."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turns the disk's refusals into an error for people."""
    try:
        yield
    except OSError as error:
        raise LocalIOError(
            f"The hooks in {path} cannot be read or written",
            why=str(error),
            fix="repair the folder's permissions, then run `git mlver install` again",
        ) from error


def link_siblings(hooks: Path, moved: Path) -> None:
    """A script that reads a file beside itself finds it. Hooks are not linked: each has its own
    way. Where links cannot be made (Windows), a hook without siblings still works."""
    for name in sorted(os.listdir(hooks)):
        hook = name.removesuffix(".legacy") in NAMES or name.endswith(".sample")
        if not hook and not os.path.lexists(moved / name):
            with suppress(OSError):
                os.symlink(os.path.join("..", hooks.name, name), moved / name)


def drop_moved_folder(moved: Path, hooks: Path) -> None:
    """Takes away the links of `link_siblings` and the folder, if no hook is left in it."""
    if not moved.is_dir() or any(
        name.removesuffix(".legacy") in NAMES for name in os.listdir(moved)
    ):
        return
    for name in os.listdir(moved):
        path = moved / name
        if path.is_symlink() and os.readlink(path) == os.path.join("..", hooks.name, name):
            path.unlink()
    with suppress(OSError):
        moved.rmdir()
