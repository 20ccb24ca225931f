"""What a file of the worktree holds, whether its content lies there or the pointer to it."""

from __future__ import annotations

import os
from typing import NamedTuple

from mlver import system
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.digest import Digest, Hasher
from mlver.model.pointer import MAX_SIZE, Pointer

_WINDOW = 1 << 20


class Held(NamedTuple):
    """`pointer`: of the content, None where that is empty; `is_pointer`: the file is a pointer."""

    pointer: Pointer | None
    is_pointer: bool


def held(worktree: Worktree, path: bytes) -> Held | None:
    """None where no file is there. Reads all of it. Raises OSError, MlverError."""
    if worktree.stat(path) is None:
        return None
    small = worktree.read_small(path, MAX_SIZE)
    if small is not None and (found := pointers.parse(small)) is not None:
        return Held(found, True)
    fd = worktree.open(path)
    try:
        hasher, size, buffer = Hasher(), 0, memoryview(bytearray(_WINDOW))
        while count := system.read_into(fd, buffer):
            hasher.update(buffer[:count])
            size += count
    finally:
        os.close(fd)
    return Held(Pointer(Digest(hasher.digest()), size) if size else None, False)
