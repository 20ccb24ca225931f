"""The long-running filter protocol, version 2: git asks, a handler answers.

This module knows the protocol and nothing of content: clean and smudge come as a handler. A
broken pipe or protocol ends the process; an error of one file is answered `status=error` and
leaves the process alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from mlver.git.pktline import PacketReader, PacketWriter, ProtocolError

ReadInto = Callable[[memoryview], int]
Parts = Sequence[bytes | memoryview]
DELAYED = None
"""What `smudge` returns where the content will come later."""


class Request(NamedTuple):
    """One file, as git describes it. `path` is relative to the worktree's top."""

    path: bytes
    can_delay: bool = False
    ref: bytes | None = None
    treeish: bytes | None = None
    blob: bytes | None = None


class Handler(Protocol):
    """Answers requests; raises FilterError for a file that cannot be answered."""

    def clean(self, request: Request, read_into: ReadInto) -> bytes | memoryview:
        """What git shall store. May leave content unread."""

    def smudge(self, request: Request, data: bytes) -> Iterable[bytes | memoryview] | None:
        """The worktree content for the stored `data`, or DELAYED if the request allows."""

    def available(self) -> list[bytes]:
        """Fetch everything delayed; the delayed paths that can be asked for again."""

    def delayed(self, request: Request) -> Iterable[bytes | memoryview]:
        """The content of a path that was delayed."""


class FilterError(Exception):
    """This file cannot be answered; git is told, and the next file is served."""


def serve(reader: PacketReader, writer: PacketWriter, handler: Handler) -> None:
    """Answer git until it closes the pipe. Raises ProtocolError, OSError."""
    if not _greet(reader, writer):
        return
    while True:
        try:
            lines = reader.lines()
        except EOFError:
            return
        fields = dict(line.partition(b"=")[::2] for line in lines)
        _dispatch(fields, reader, writer, handler)


def _greet(reader: PacketReader, writer: PacketWriter) -> bool:
    try:
        hello = reader.lines()
    except EOFError:
        return False
    if not hello or hello[0] != b"git-filter-client" or b"version=2" not in hello:
        raise ProtocolError("this is not git's filter protocol, version 2")
    writer.lines([b"git-filter-server", b"version=2"])
    try:
        offered = set(reader.lines())
    except EOFError:  # git went away in between
        return False
    ours = [b"capability=clean", b"capability=smudge", b"capability=delay"]
    writer.lines([capability for capability in ours if capability in offered])
    return True


def _dispatch(
    fields: dict[bytes, bytes], reader: PacketReader, writer: PacketWriter, handler: Handler
) -> None:
    command = fields.get(b"command")
    if command == b"list_available_blobs":
        writer.lines([b"pathname=" + path for path in handler.available()])
        writer.lines([b"status=success"])
        return
    request = Request(
        fields.get(b"pathname", b""),
        fields.get(b"can-delay") == b"1",
        fields.get(b"ref"),
        fields.get(b"treeish"),
        fields.get(b"blob"),
    )
    if command == b"clean":
        _clean(request, reader, writer, handler)
    elif command == b"smudge":
        _smudge(request, reader, writer, handler)
    else:
        reader.drain()
        writer.lines([b"status=abort"])


class _Content:
    """The content of one request; knows whether its flush was read."""

    def __init__(self, reader: PacketReader) -> None:
        self._reader = reader
        self.ended = False

    def read_into(self, view: memoryview) -> int:
        if self.ended:
            return 0
        count = self._reader.read_into(view)
        self.ended = count == 0
        return count

    def finish(self) -> None:
        if not self.ended:
            self._reader.drain()
            self.ended = True


def _clean(request: Request, reader: PacketReader, writer: PacketWriter, handler: Handler) -> None:
    content = _Content(reader)
    try:
        stored = handler.clean(request, content.read_into)
    except FilterError:
        content.finish()
        writer.lines([b"status=error"])
        return
    content.finish()
    writer.answer([stored])


def _smudge(request: Request, reader: PacketReader, writer: PacketWriter, handler: Handler) -> None:
    content = _Content(reader)
    data = _read_all(content)
    if not data and request.can_delay is False:
        # Either an empty file, or git asks again for what was delayed: the handler knows.
        answer: Iterable[bytes | memoryview] | None = handler.delayed(request)
    else:
        answer = handler.smudge(request, data)
    if answer is DELAYED:
        writer.lines([b"status=delayed"])
        return
    assert answer is not None
    writer.lines([b"status=success"])
    writer.content(answer)
    writer.lines([])


def _read_all(content: _Content) -> bytes:
    chunk = memoryview(bytearray(1 << 16))
    parts = []
    while count := content.read_into(chunk):
        parts.append(bytes(chunk[:count]))
    return b"".join(parts)
