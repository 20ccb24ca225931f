"""One record of a pack: a header that describes itself, then the payload.

Little-endian, 52 bytes of header (docs/format/pack.md):

    0   4  magic "mlr1"
    4   1  kind     1 chunk, 2 recipe
    5   1  codec    0 raw, 1 zstd, 2 zstd against a base chunk, 3 grouped, 4 XOR with a base chunk
    6   2  zero
    8   4  stored   bytes of payload that follow
    12  4  raw      bytes after decoding
    16  32 id       chunk: BLAKE3 of the decoded bytes; recipe: the blob's oid
    48  4  check    first 4 bytes of BLAKE3 of bytes 0..48

The payload of codecs 2 and 4 starts with the base's id (32 bytes). A base is itself never of these:
who has to know that asks `needs_base`, never for one codec. Codecs 3 and 4 are for numbers of one
width (store/planes.py).
Whoever decodes a chunk checks it against its id: no byte is returned that was not verified.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mlver.errors import CorruptContent
from mlver.model.digest import SIZE, Digest, digest_of, short
from mlver.store import planes

if TYPE_CHECKING:
    import zstandard

Buffer = bytes | memoryview

CHUNK, RECIPE = 1, 2
RAW, ZSTD, DELTA, GROUPED, XOR = 0, 1, 2, 3, 4
BASED = frozenset({DELTA, XOR})
"""Codecs whose payload names another chunk, without which it cannot be read."""

MAGIC = b"mlr1"
_FIELDS = struct.Struct("<4sBBHII32s")
_CHECK = 4
HEADER = _FIELDS.size + _CHECK

MAX_RAW = 16 * 1024 * 1024
"""No record decodes to more: a bomb is refused before anything is allocated."""
MAX_STORED = MAX_RAW + 64 * 1024
"""No payload is longer: what does not shrink is stored as it is."""

LEVEL = 1
_DELTA_LEVEL = 3


class Header(NamedTuple):
    """A record's header, as read. `stored` and `raw` are lengths in bytes."""

    kind: int
    codec: int
    stored: int
    raw: int
    id: Digest


def encode_header(kind: int, codec: int, stored: int, raw: int, digest: bytes) -> bytes:
    """The 52 bytes that stand before a payload."""
    fields = _FIELDS.pack(MAGIC, kind, codec, 0, stored, raw, digest)
    return fields + digest_of(fields)[:_CHECK]


def decode_header(data: Buffer) -> Header:
    """The header at the start of `data`. Raises CorruptContent."""
    fields = bytes(data[: _FIELDS.size])
    if len(data) < HEADER or fields[:4] != MAGIC:
        raise CorruptContent("no record starts here")
    if digest_of(fields)[:_CHECK] != bytes(data[_FIELDS.size : HEADER]):
        raise CorruptContent("a record's header does not match its check")
    _magic, kind, codec, _zero, stored, raw, digest = _FIELDS.unpack(fields)
    is_known = kind in (CHUNK, RECIPE) and codec in (RAW, ZSTD, DELTA, GROUPED, XOR)
    if not is_known or raw > MAX_RAW or stored > MAX_STORED:
        raise CorruptContent(
            "a record is of a form that this version does not know",
            why=f"kind {kind}, codec {codec}, {stored} and {raw} bytes",
            fix="upgrade git-mlver",
        )
    return Header(kind, codec, stored, raw, Digest(digest))


class Codec:
    """Encodes and decodes payloads. One instance a thread: zstd contexts are not shared."""

    def __init__(self) -> None:
        import zstandard  # 16 ms: paid when something is compressed, not at start-up

        self._zstd = zstandard
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        self._decompress = zstandard.ZstdDecompressor(max_window_size=2 * MAX_RAW)

    def compress(self, data: Buffer) -> bytes:
        """One zstd frame that states its content's size."""
        return self._compress.compress(data)

    def delta(self, data: Buffer, base: Buffer) -> bytes:
        """`data` as a zstd frame whose dictionary is the raw bytes of `base`."""
        compressor = self._zstd.ZstdCompressor(level=_DELTA_LEVEL, dict_data=self._dictionary(base))
        return compressor.compress(data)

    def grouped(self, data: Buffer, width: int) -> tuple[Buffer, ...]:
        """`data` as byte planes of elements of `width`: a payload in parts."""
        return bytes([width]), self._planes(data, width)

    def xor(self, data: Buffer, base: Buffer, width: int) -> tuple[Buffer, ...]:
        """As `grouped`, of what differs from `base`, which has the same length; the part of a
        payload that follows the base's id."""
        return bytes([width]), self._planes(planes.xor(data, base), width)

    def _planes(self, data: Buffer, width: int) -> bytes:
        frame = self._compress.compressobj(size=len(data))
        parts = []
        for plane in planes.split(data, width):  # a block of its own, hence a table of its own
            parts.append(frame.compress(plane))
            parts.append(frame.flush(self._zstd.COMPRESSOBJ_FLUSH_BLOCK))
        return b"".join([*parts, frame.flush()])

    def decode(
        self,
        header: Header,
        payload: Buffer,
        base: Callable[[Digest], Buffer],
        *,
        check: bool = True,
    ) -> Buffer:
        """The decoded bytes, verified where the record is a chunk.

        `base` gives the bytes of a base chunk. Not `check`: for who hashes the whole blob, and
        shows nothing of it before that. Raises CorruptContent.
        """
        data = self._decode(header, payload, base)
        if len(data) != header.raw:
            raise CorruptContent(f"record {short(header.id)} has another length than it states")
        if check and header.kind == CHUNK and digest_of(data) != header.id:
            raise CorruptContent(f"chunk {short(header.id)} does not match its digest")
        return data

    def _decode(self, header: Header, payload: Buffer, base: Callable[[Digest], Buffer]) -> Buffer:
        if header.codec == RAW:
            return payload
        try:
            if header.codec == ZSTD:
                return self._inflate(self._decompress, payload, header.raw)
            if header.codec == GROUPED:
                width = _width(header, payload, 0)
                frame = self._inflate(self._decompress, payload[1:], header.raw)
                return planes.join(frame, width)
            base_id = base_of(header, payload)
            if header.codec == XOR:
                return self._xored(header, payload, base(base_id))
            decompressor = self._zstd.ZstdDecompressor(
                dict_data=self._dictionary(base(base_id)), max_window_size=2 * MAX_RAW
            )
            return self._inflate(decompressor, payload[SIZE:], header.raw)
        except self._zstd.ZstdError as error:
            raise CorruptContent(
                f"record {short(header.id)} cannot be decompressed", why=str(error)
            ) from error

    def _xored(self, header: Header, payload: Buffer, base: Buffer) -> Buffer:
        width = _width(header, payload, SIZE)
        if len(base) != header.raw:
            raise CorruptContent(f"record {short(header.id)} has another length than its base")
        frame = self._inflate(self._decompress, payload[SIZE + 1 :], header.raw)
        return planes.xor(planes.join(frame, width), base)

    def _inflate(self, decompressor: zstandard.ZstdDecompressor, frame: Buffer, raw: int) -> Buffer:
        # The frame states its size; a frame that states more than the record is refused unread.
        if self._zstd.frame_content_size(bytes(frame[:18])) != raw:
            raise CorruptContent("a compressed frame states another size than its record")
        return decompressor.decompress(frame)

    def _dictionary(self, base: Buffer) -> zstandard.ZstdCompressionDict:
        return self._zstd.ZstdCompressionDict(
            bytes(base), dict_type=self._zstd.DICT_TYPE_RAWCONTENT
        )


def base_of(header: Header, payload: Buffer) -> Digest:
    """The base that a delta's payload names. Raises CorruptContent if there is no room for it."""
    if not needs_base(header.codec) or len(payload) < SIZE:
        raise CorruptContent(f"record {short(header.id)} names no base")
    return Digest(bytes(payload[:SIZE]))


def split_record(data: Buffer, digest: Digest, kind: int) -> tuple[Header, Buffer]:
    """Header and payload of the record in `data`, which must be that of `digest`."""
    header = decode_header(data)
    payload = memoryview(data)[HEADER : HEADER + header.stored]
    if header.id != digest or header.kind != kind or len(payload) != header.stored:
        raise CorruptContent(f"the index names another record than {short(digest)}")
    return header, payload


def needs_base(codec: int) -> bool:
    """True if a record of this codec is read with another chunk, its base."""
    return codec in BASED


def width_of(header: Header, payload: Buffer) -> int:
    """The width of the elements that a payload is grouped by; 0 where it is not."""
    if header.codec not in (GROUPED, XOR):
        return 0
    return _width(header, payload, SIZE if needs_base(header.codec) else 0)


def _width(header: Header, payload: Buffer, at: int) -> int:
    if len(payload) <= at or payload[at] not in planes.WIDTHS:
        raise CorruptContent(f"record {short(header.id)} is of elements of no known width")
    return payload[at]
