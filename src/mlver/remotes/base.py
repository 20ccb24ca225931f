"""The contract of a remote: named, immutable objects, created whole or not at all.

What push, fetch and collection may rely on, whatever the server:

- A name is `/`-separated, each part `[A-Za-z0-9._-]+`, none of them `.` or `..`.
- `create` is atomic: a reader sees the whole object or none, whenever the writer dies. It never
  replaces: where the name exists it leaves the object as it is and returns False.
- When `create` has returned True the object survives a power cut of this client.
- A short or failed read is an error, never a short answer; a listing that could not be read to
  its end is an error, never a short list. `NotFound` means that the remote answered so: refusal
  (403, EACCES) is a `RemoteError`, never `NotFound`.
- `delete` of what is not there is no error. A remote that says `Remote` among its bases has
  `delete_many` from `delete`.
- Every method may be called from several threads at once.

Everything above this contract checks what it reads against digests; a remote is not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mlver.errors import RemoteError

_NAME = re.compile(
    r"\A(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)*\Z"
)


class NotFound(RemoteError):
    """The remote says that it holds no object of that name."""


class TransientRemoteError(RemoteError):
    """A failure that may pass by itself (a timeout, a stale mount, a 503): worth another try."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One row of a listing. `modified` is the remote's own clock, in seconds since 1970 UTC."""

    name: str
    size: int
    modified: float


class Remote(Protocol):
    """A place for named, immutable objects. See the module's text for the promises."""

    @property
    def url(self) -> str:
        """The address as a person would write it, without credentials."""

    @property
    def hidden(self) -> int:
        """How many deletes only hid the object, since the server keeps old versions of it."""
        return 0

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Exactly `length` bytes from `start` (to the end where None). Raises NotFound."""

    def size(self, name: str) -> int | None:
        """The object's length in bytes, or None where the remote says there is none."""

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        """Store the concatenation of `parts`; True if created, False if the name existed."""

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """Every object whose name starts with `prefix` (which ends in `/` or is empty)."""

    def delete(self, name: str) -> None:
        """Remove the object; no error where there is none."""

    def delete_many(self, names: Iterable[str]) -> None:
        """Remove all of them, in no promised order; after an error any of them may be there."""
        for name in names:
            self.delete(name)

    def close(self) -> None:
        """Release connections. The remote is not used afterwards."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a probe saw a server do. `place`: which server and bucket, as far as that is told."""

    place: str
    conditional_put: bool
    content_md5: bool
    signed_body: bool
    ranges: bool
    consistent_listing: bool


@runtime_checkable
class Probed(Protocol):
    """A remote whose server may or may not keep the promises, which is found by asking it."""

    def probe(self) -> Capabilities:
        """Try what matters on objects below `probe/`. Raises RemoteError, also for a reader."""


def check_name(name: str) -> str:
    """`name` unchanged if it is a valid object name, else ValueError: a programming error."""
    if not _NAME.match(name):
        raise ValueError(f"not a valid remote object name: {name!r}")
    return name
