"""A walk over a worktree's folders, without those of git, of tools, and what git ignores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator

from mlver.lineage.roles import SKIPPED_FOLDERS


def walk(
    top: bytes, ignored: Collection[bytes] = (), start: bytes = b""
) -> Iterator[tuple[bytes, list[os.DirEntry[bytes]]]]:
    """(folder, its files) from `start` on, nearest first; paths are relative to `top`, "" the top.

    `ignored`: folders that are not entered. Links are not followed; another repository, and an
    environment of Python or conda, is not entered.
    """
    waiting = deque([start])
    while waiting:
        folder = waiting.popleft()
        files: list[os.DirEntry[bytes]] = []
        inner: list[bytes] = []
        try:
            with os.scandir(os.path.join(top, folder)) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        files.append(entry)
                    elif entry.name not in SKIPPED_FOLDERS:
                        inner.append(folder + b"/" + entry.name if folder else entry.name)
                    elif entry.name == b".git" and folder:
                        files, inner = [], []
                        break
        except OSError:
            continue
        names = {entry.name for entry in files}
        if folder and (b".git" in names or b"pyvenv.cfg" in names):
            continue
        yield folder, files
        waiting.extend(path for path in inner if path not in ignored)


def changed_since(top: bytes, ignored: Collection[bytes], mark_ns: int) -> set[bytes]:
    """Files whose content or name is as young as `mark_ns`, a time of the same file system."""
    found = set()
    for folder, files in walk(top, ignored):
        for entry in files:
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if max(info.st_mtime_ns, info.st_ctime_ns) >= mark_ns:
                found.add(folder + b"/" + entry.name if folder else entry.name)
    return found
