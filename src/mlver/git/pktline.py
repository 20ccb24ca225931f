"""git's packet lines: four hex digits of length, then at most 65,516 bytes; `0000` is a flush.

Reading goes through one buffer of this process's own, so that a packet costs no system call of
its own, and straight into the caller's memory where the packet is large.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from mlver import system

MAX_DATA = 65516
_READ = 1 << 18
_PIPE = 1 << 20


class ProtocolError(Exception):
    """The other side broke the protocol or ended in mid-packet."""


class PacketReader:
    """Packets from a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        _enlarge(fd)
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._left = 0  # bytes of the packet that `read_into` is in the middle of

    def _need(self, count: int) -> bool:
        """Make `count` bytes available in the buffer; False at the end of the stream."""
        while self._end - self._start < count:
            if self._start:
                rest = self._end - self._start
                self._view[:rest] = bytes(self._view[self._start : self._end])
                self._start, self._end = 0, rest
            got = system.read_into(self._fd, self._view[self._end :])
            if got == 0:
                return False
            self._end += got
        return True

    def _length(self) -> int | None:
        """The next packet's payload length; None for a flush. Raises EOFError at a clean end."""
        if not self._need(4):
            if self._end == self._start:
                raise EOFError
            raise ProtocolError("the stream ended in mid-packet")
        text = bytes(self._view[self._start : self._start + 4])
        self._start += 4
        try:
            length = int(text, 16)
        except ValueError:
            raise ProtocolError(f"not a packet length: {text!r}") from None
        if length == 0:
            return None
        if length < 4:
            raise ProtocolError(f"not a packet length: {text!r}")
        return length - 4

    def packet(self) -> bytes | None:
        """One packet's payload, None for a flush. Raises EOFError, ProtocolError."""
        length = self._length()
        if length is None:
            return None
        if not self._need(length):
            raise ProtocolError("the stream ended in mid-packet")
        data = bytes(self._view[self._start : self._start + length])
        self._start += length
        return data

    def lines(self) -> list[bytes]:
        """Text packets up to the flush, without their newline."""
        found: list[bytes] = []
        while (line := self._buffered() or self.packet()) is not None:
            found.append(line.removesuffix(b"\n"))
        return found

    def _buffered(self) -> bytes | None:
        """The next packet, if it stands whole in the buffer and is not empty; else None.

        git sends three packets a file before its content: this is the way that they take.
        """
        start = self._start
        try:
            length = int(self._buffer[start : min(start + 4, self._end)], 16)
        except ValueError:
            return None  # nothing there yet, or nonsense: `packet` tells which
        if length <= 4 or length > self._end - start:
            return None
        self._start = start + length
        return bytes(self._view[start + 4 : start + length])

    def read_into(self, view: memoryview) -> int:
        """Content up to the next flush; 0 once that is reached, and then the flush is consumed."""
        if self._left == 0:
            length = self._length()
            if length is None:
                return 0
            self._left = length
            if length == 0:  # "0004": an empty packet
                return self.read_into(view)
        count = min(self._left, len(view))
        held = min(count, self._end - self._start)
        if held:
            view[:held] = self._view[self._start : self._start + held]
            self._start += held
        done = held
        while done < count:
            got = system.read_into(self._fd, view[done:count])
            if got == 0:
                raise ProtocolError("the stream ended in mid-packet")
            done += got
        self._left -= count
        return count

    def drain(self) -> None:
        """Skip content up to and with the next flush."""
        scratch = memoryview(bytearray(MAX_DATA))
        while self.read_into(scratch):
            pass


def _enlarge(fd: int) -> None:
    """Let git write ahead: a pipe of 64 KiB makes the two take turns (Linux only)."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)


class PacketWriter:
    """Packets to a descriptor; each call writes whole packets."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def lines(self, lines: Iterable[bytes]) -> None:
        """Text packets, then a flush, in one write."""
        packed = b"".join(b"%04x%s\n" % (len(line) + 5, line) for line in lines)
        self._write(packed + b"0000")

    def content(self, parts: Iterable[bytes | memoryview]) -> None:
        """Content packets, then a flush."""
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), MAX_DATA):
                piece = view[start : start + MAX_DATA]
                self._write(b"%04x%s" % (len(piece) + 4, bytes(piece)))
        self._write(b"0000")

    def answer(self, parts: Iterable[bytes | memoryview], status: bytes = b"success") -> None:
        """A whole short answer in one write: status, content, and the empty final list."""
        body = b"".join(
            b"%04x%s" % (len(piece) + 4, piece)
            for part in parts
            for start in range(0, len(part), MAX_DATA)
            for piece in (bytes(part[start : start + MAX_DATA]),)
        )
        self._write(b"%04xstatus=%s\n0000%s00000000" % (len(status) + 12, status, body))
