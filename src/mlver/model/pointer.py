"""The text that git stores in place of a tracked file's content. Exactly one valid encoding.

A pointer is a pure function of the content: no pack, date or remote in it, so it is the same on
every machine. What only resembles a pointer (CRLF, no final newline, a leading zero, one more
line) is content, and comes back byte for byte. Format: docs/format/pointer.md.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mlver.model.digest import Digest, from_hex

MAX_SIZE = 512
"""No pointer is this long; a longer text need not be looked at."""

_POINTER = re.compile(rb"\Aversion mlver/1\noid blake3:([0-9a-f]{64})\nsize ([1-9][0-9]{0,18})\n\Z")
_POINTER_LINE = re.compile(
    rb"\A(?:version mlver/1|oid blake3:[0-9a-f]{64}|size [1-9][0-9]{0,18})\r?\Z"
)
_MARKER = re.compile(rb"\A(?:<{7,}|={7,}|>{7,}|\|{7,})(?: .*)?\r?\Z")
_MAX_CONFLICT = 16 * 1024


class Pointer(NamedTuple):
    """A blob's oid and its size in bytes (at least 1: an empty file has no pointer)."""

    oid: Digest
    size: int

    def encode(self) -> bytes:
        """The one valid text of this pointer, under 512 bytes, ASCII, newline at the end."""
        return b"version mlver/1\noid blake3:%s\nsize %d\n" % (self.oid.hex().encode(), self.size)


def parse(data: bytes | memoryview) -> Pointer | None:
    """The pointer that `data` is, or None: then `data` is ordinary content."""
    if len(data) >= MAX_SIZE:
        return None
    match = _POINTER.match(bytes(data))
    if match is None or int(match[2]) > 2**63 - 1:
        return None
    return Pointer(from_hex(match[1].decode("ascii")), int(match[2]))


def looks_like(data: bytes | memoryview) -> bool:
    """True for a text that means to be a pointer and is not a valid one (for a warning)."""
    head = bytes(data[:15])
    return len(data) < MAX_SIZE and head == b"version mlver/1" and parse(data) is None


def is_conflicted(data: bytes | memoryview) -> bool:
    """True where git's text merge left pointer lines between its conflict markers.

    Nothing but pointer lines and markers may stand there: real content that holds a marker
    somewhere is content.
    """
    if not 0 < len(data) <= _MAX_CONFLICT:
        return False
    text = bytes(data)
    if not text.startswith((b"<<<<<<<", b"version mlver/1")):
        return False
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    markers = [line for line in lines if _MARKER.match(line)]
    if not any(line.startswith(b"<<<<<<<") for line in markers):
        return False
    pointer_lines = [line for line in lines if _POINTER_LINE.match(line)]
    return bool(pointer_lines) and len(markers) + len(pointer_lines) == len(lines)
