"""Members of a ZIP archive as sources. What is stored as it is, is read in place; what is
compressed is unpacked in memory, up to a bound: a few bytes of an archive can stand for gigabytes.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import NamedTuple

from mlver.formats.base import Bytes, NotThisFormat, Source

LARGEST = 1024 * 1024 * 1024
"""Bytes that one compressed member may unpack to."""
_MOST_MEMBERS = 100_000


class SourceFile(io.RawIOBase):
    """A source as a file that Python's libraries read."""

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._source.size)[whence]
        if base + offset < 0:
            raise ValueError("a seek before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read(self._at, len(buffer)) if self._at < self._source.size else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Member(NamedTuple):
    """`size` bytes of `source` from `offset`."""

    source: Source
    offset: int
    size: int

    def read(self) -> bytes:
        return self.source.read(self.offset, self.size)


class Archive:
    """An archive's members by name."""

    def __init__(self, source: Source) -> None:
        """Raises NotThisFormat."""
        self._source = source
        try:
            self._zip = zipfile.ZipFile(io.BufferedReader(SourceFile(source)))
            infos = self._zip.infolist()
        except _FAULTS as error:
            raise NotThisFormat("it is no ZIP archive", why=str(error)) from error
        if len(infos) > _MOST_MEMBERS:
            raise NotThisFormat("its archive has too many members", why=f"{len(infos):,}")
        self._infos = {info.filename: info for info in infos if not info.is_dir()}

    def names(self) -> list[str]:
        return list(self._infos)

    def member(self, name: str) -> Member:
        """Raises NotThisFormat where it cannot be read, or unpacks to too much."""
        info = self._infos[name]
        if info.flag_bits & 1:
            raise NotThisFormat("a member of its archive is encrypted", why=repr(name[:60]))
        if info.compress_type == zipfile.ZIP_STORED:
            head = self._source.read(info.header_offset, 30)
            if len(head) < 30 or head[:4] != b"PK\x03\x04":
                raise NotThisFormat("its archive is damaged", why=repr(name[:60]))
            skip = (
                30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            )
            start = info.header_offset + skip
            if start + info.file_size > self._source.size:
                raise NotThisFormat("its archive is damaged", why=f"{name[:60]!r} is cut off")
            return Member(self._source, start, info.file_size)
        if info.file_size > LARGEST:
            raise NotThisFormat(
                "a member of its archive unpacks to too much", why=f"{info.file_size:,} bytes"
            )
        try:
            with self._zip.open(info) as file:
                data = file.read(info.file_size + 1)
        except _FAULTS as error:
            raise NotThisFormat("its archive is damaged", why=f"{name[:60]!r}: {error}") from error
        return Member(Bytes(data), 0, len(data))


_FAULTS = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError,
    RuntimeError, OverflowError, IndexError, KeyError,
)  # fmt: skip
