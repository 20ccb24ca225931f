"""What a use case works with: the repository, its settings, its store, and a way to tell the user.

Opened and imported lazily: a hook with nothing to do pays for no database and no threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from mlver.git import repo
from mlver.git.repo import Repo

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from mlver.git.config import Settings
    from mlver.store.local import LocalStore


class Progress:
    """Tells how far long work is; this one is silent. The command line gives one that draws."""

    def start(self, what: str, total: int) -> None:
        """Work of `total` bytes begins."""

    def step(self, done: int) -> None:
        """`done` more bytes; may be called from any thread."""

    def finish(self) -> None:
        """The work is over, well or badly."""


def _no_warning(_message: str) -> None:
    """Drops a message."""


class Context:
    """One command's surroundings. Close it, or use it as a context manager."""

    def __init__(
        self,
        repo: Repo,
        warn: Callable[[str], None] = _no_warning,
        progress: Progress | None = None,
    ) -> None:
        self.repo, self.warn = repo, warn
        self.progress = progress or Progress()

    @cached_property
    def settings(self) -> Settings:
        """git's configuration and .mlver.toml. Raises RepositoryError."""
        from mlver.git import config

        return config.read(self.repo)

    @cached_property
    def store(self) -> LocalStore:
        from mlver.store.local import LocalStore

        return LocalStore(self.repo.store_dir)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for reading, decoding and fetching."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)), thread_name_prefix="mlver")

    def close(self) -> None:
        if "pool" in self.__dict__:
            self.pool.shutdown(cancel_futures=True)
            del self.__dict__["pool"]
        if "store" in self.__dict__:
            self.store.close()
            del self.__dict__["store"]

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_context(
    cwd: bytes | None = None,
    warn: Callable[[str], None] = _no_warning,
    progress: Progress | None = None,
) -> Context:
    """The surroundings of a command run in `cwd`. Raises RepositoryError."""
    return Context(repo.discover(cwd), warn, progress)
