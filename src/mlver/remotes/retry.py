"""Another try for what may pass by itself, around any remote.

Only `TransientRemoteError` is tried again, a bounded number of times, after a pause that doubles
and is drawn at random up to that bound, so that many clients do not return at once. What the
remote answered (`NotFound`, refused, full) is its answer, and passes at once.

One thing cannot be told apart: a `create` whose success was lost on the way back answers False
to the second try. So False means "it is there", never "another made it".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mlver.remotes.base import Remote, RemoteObject, TransientRemoteError

_Answer = TypeVar("_Answer")


class RetryRemote(Remote):
    """`inner`, each call tried up to `attempts` times. Pauses are in seconds."""

    def __init__(
        self,
        inner: Remote,
        *,
        attempts: int = 5,
        first_pause: float = 0.5,
        longest_pause: float = 8.0,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if attempts < 1:
            raise ValueError("attempts counts the first one too")
        self._inner = inner
        self._attempts = attempts
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._sleep = sleep
        self._chance = chance

    @property
    def url(self) -> str:
        """See `Remote.url`."""
        return self._inner.url

    @property
    def hidden(self) -> int:
        """See `Remote.hidden`."""
        return self._inner.hidden

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Remote.read`."""
        return self._tried(lambda: self._inner.read(name, start, length))

    def size(self, name: str) -> int | None:
        """See `Remote.size`."""
        return self._tried(lambda: self._inner.size(name))

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        """See `Remote.create`, and the module's text on False."""
        return self._tried(lambda: self._inner.create(name, parts))

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """See `Remote.list`. Held whole in memory: a second try must not repeat rows given out."""
        return iter(self._tried(lambda: [*self._inner.list(prefix)]))

    def delete(self, name: str) -> None:
        """See `Remote.delete`."""
        self._tried(lambda: self._inner.delete(name))

    def delete_many(self, names: Iterable[str]) -> None:
        """See `Remote.delete_many`: all of them again, since what is gone is no error."""
        wanted = [*names]
        self._tried(lambda: self._inner.delete_many(wanted))

    def close(self) -> None:
        """See `Remote.close`."""
        self._inner.close()

    def _tried(self, call: Callable[[], _Answer]) -> _Answer:
        for attempt in range(1, self._attempts):
            try:
                return call()
            except TransientRemoteError:
                bound = min(self._longest_pause, self._first_pause * 2.0 ** (attempt - 1))
                self._sleep(bound * self._chance())
        try:
            return call()
        except TransientRemoteError as error:
            why = f"{error.why} (tried {self._attempts} times)".lstrip()
            raise TransientRemoteError(error.what, why=why, fix=error.fix) from error
