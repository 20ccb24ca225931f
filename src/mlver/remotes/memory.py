"""A remote in a dict: the shortest reading of the contract, for tests.

It keeps every promise but durability, and is gone with its process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from mlver.errors import RemoteError
from mlver.remotes.base import NotFound, Remote, RemoteObject, check_name


class MemoryRemote(Remote):
    """The contract of `base.Remote`. `clock` gives an object's `modified`, so a test can age it."""

    def __init__(self, url: str = "memory:", *, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._clock = clock
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """See `Remote.url`."""
        return self._url

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Remote.read`."""
        check_name(name)
        if start < 0 or (length is not None and length < 0):
            raise ValueError(f"not a range: start {start}, length {length}")
        found = self._objects.get(name)
        if found is None:
            raise NotFound(f"{self._url} holds no {name}")
        content = found[0]
        end = len(content) if length is None else start + length
        if start > len(content) or end > len(content):
            raise RemoteError(
                f"{name} on {self._url} is shorter than it must be",
                why=f"{len(content)} bytes are there; {start} to {end} were asked for",
            )
        return content[start:end]

    def size(self, name: str) -> int | None:
        """See `Remote.size`."""
        found = self._objects.get(check_name(name))
        return None if found is None else len(found[0])

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        """See `Remote.create`."""
        check_name(name)
        content = b"".join(parts)
        with self._lock:
            if name in self._objects:
                return False
            self._objects[name] = (content, self._clock())
            return True

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """See `Remote.list`: what was there at the time of the call, in order."""
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"a prefix ends in '/': {prefix!r}")
        if prefix:
            check_name(prefix[:-1])
        with self._lock:
            found = sorted(row for row in self._objects.items() if row[0].startswith(prefix))
        return iter([RemoteObject(name, len(row[0]), row[1]) for name, row in found])

    def delete(self, name: str) -> None:
        """See `Remote.delete`."""
        with self._lock:
            self._objects.pop(check_name(name), None)

    def close(self) -> None:
        """Nothing is held but memory; the objects stay, so that a test can look at them."""
