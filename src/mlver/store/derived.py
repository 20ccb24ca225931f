"""What was derived from a blob and is worth keeping: a file for each, beside the packs.

    derived/<oid in hex>-<name>

A cache of this machine: any file may be deleted at any time, and who reads one checks that it is
what it should be. Nothing fails for it: where it cannot be written, it is made again.
"""

from __future__ import annotations

import contextlib
import os

from mlver.model.digest import Digest

FOLDER = b"derived"
_MOST = 4096
"""Files; beyond, those go that were written first."""


def read(root: bytes, oid: Digest, name: str) -> bytes | None:
    """What was kept, or None."""
    try:
        with open(_path(root, oid, name), "rb") as file:
            return file.read()
    except OSError:
        return None


def write(root: bytes, oid: Digest, name: str, data: bytes) -> None:
    """Keep `data`, where that is possible."""
    path = _path(root, oid, name)
    temporary = b"%s.%d.tmp" % (path, os.getpid())
    with contextlib.suppress(OSError):
        if not os.path.isdir(root):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
        _bound(os.path.dirname(path))


def _path(root: bytes, oid: Digest, name: str) -> bytes:
    return os.path.join(root, FOLDER, f"{oid.hex()}-{name}".encode())


def _bound(folder: bytes) -> None:
    names = os.listdir(folder)
    if len(names) <= _MOST:
        return
    paths = [os.path.join(folder, name) for name in names]
    paths.sort(key=lambda path: os.stat(path).st_mtime)
    for path in paths[: _MOST // 4]:
        os.unlink(path)
