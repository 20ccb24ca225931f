"""Stores for what is on its way into the worktree and is not to be kept: each lives as long as it
is used, below `flight/` of the store.

What killed processes left there goes when the next one begins and is alone; `flight/lock` is held
shared by everyone at work.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from mlver.store import files
from mlver.store.local import LocalStore

FOLDER = b"flight"
_LOCK = b"lock"

NewStore = Callable[[], AbstractContextManager[LocalStore]]


@contextmanager
def flight(root: bytes) -> Iterator[NewStore]:
    """Gives what makes a store that is gone when it is left. `root`: the folder of the store.

    Raises LocalIOError.
    """
    folder = os.path.join(root, FOLDER)
    with files.disk_errors("making room for what is fetched", folder):
        os.makedirs(folder, exist_ok=True)
        lock = os.open(os.path.join(folder, _LOCK), files.LOCKFILE, 0o644)
    try:
        if files.lock(lock):
            _sweep(folder)
        files.lock(lock, shared=True, wait=True)
        yield lambda: _passing_store(folder)
    finally:
        os.close(lock)


@contextmanager
def _passing_store(folder: bytes) -> Iterator[LocalStore]:
    path = os.path.join(folder, secrets.token_hex(8).encode())
    try:
        with LocalStore(path) as store:
            store.use()
            yield store
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(root: bytes) -> None:
    """Remove what killed processes left, unless somebody is at work there."""
    folder = os.path.join(root, FOLDER)
    try:
        lock = os.open(os.path.join(folder, _LOCK), files.UPDATE)
    except OSError:
        return  # nothing was ever on its way here
    try:
        if files.lock(lock):
            _sweep(folder)
    finally:
        os.close(lock)


def _sweep(folder: bytes) -> None:
    for name in os.listdir(folder):
        if name != _LOCK:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
