"""A remote that notes each call that is made of it, for tests that count requests and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mlver.remotes.base import Remote, RemoteObject


class Call(NamedTuple):
    """`bytes`: how many were read."""

    method: str
    name: str
    bytes: int


class Recording(Remote):
    """`inner`, and what was asked of it. `before` is called ahead of each call, and may raise."""

    def __init__(self, inner: Remote, before: Callable[[], None] = lambda: None) -> None:
        self._inner, self._before = inner, before
        self.calls: list[Call] = []

    def _note(self, method: str, name: str, count: int = 0) -> None:
        self.calls.append(Call(method, name, count))

    def read_below(self, prefix: str) -> int:
        """Bytes that were read of objects below `prefix`."""
        return sum(call.bytes for call in self.calls if call.name.startswith(prefix))

    def count(self, method: str, prefix: str = "") -> int:
        """How many calls of this kind were made."""
        found = [c for c in self.calls if c.method == method and c.name.startswith(prefix)]
        return len(found)

    @property
    def url(self) -> str:
        return self._inner.url

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._before()
        data = self._inner.read(name, start, length)
        self._note("read", name, len(data))
        return data

    def size(self, name: str) -> int | None:
        self._before()
        self._note("size", name)
        return self._inner.size(name)

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        self._before()
        self._note("create", name)
        return self._inner.create(name, parts)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        self._before()
        self._note("list", prefix)
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        self._before()
        self._note("delete", name)
        self._inner.delete(name)

    def close(self) -> None:
        pass
