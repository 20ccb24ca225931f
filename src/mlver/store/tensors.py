"""Where a safetensors stream is cut: at its tensors, so that a tensor of the next version has the
same cuts whatever its values are.

Content decides, never a file's name. A header that is odd in any way makes the stream an ordinary
one: it is cut by content, and nothing is lost but savings. Recipes state their chunks, so a reader
knows nothing of this; and what was cut in another way is read as ever.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from mlver.store.chunker import MAX, TARGET, Chunker

MAX_HEADER = 4 * 1024 * 1024
"""Bytes, with the length before it: it must fit what is read before the first cut."""
STEP = MAX
"""A tensor is cut at multiples of this from its start: a multiple of every element's size."""

_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_MOST = 1 << 48


class Region(NamedTuple):
    """One tensor, or small ones joined. `name` is the first one's; `width` is the size of the
    elements where they are floats of one width, else 0."""

    start: int
    end: int
    name: str
    width: int


class Layout:
    """The regions of a stream, in order and without a gap."""

    def __init__(self, regions: list[Region]) -> None:
        self._regions = regions
        self._starts = [region.start for region in regions]
        self._begin = regions[0].start if regions else 0
        self._by_name: dict[str, int] | None = None

    def region(self, place: int) -> Region | None:
        """The region that has this byte of the stream; None in the header and past the end."""
        found = bisect_right(self._starts, place) - 1
        if found < 0 or place >= self._regions[found].end:
            return None
        return self._regions[found]

    def width(self, place: int) -> int:
        """The width of the floats at this byte, else 0."""
        region = self.region(place)
        return region.width if region else 0

    def start_of(self, name: str) -> int | None:
        """Where the region of this name starts."""
        if self._by_name is None:
            self._by_name = {region.name: region.start for region in self._regions}
        return self._by_name.get(name)

    def cut(self, chunker: Chunker, data: memoryview, offset: int) -> list[int]:
        """As `Chunker.cut`, of what stands at `offset` in the stream, where a chunk begins."""
        lengths: list[int] = []
        done = 0
        while done < len(data):
            region = self.region(offset + done)
            if region is not None:
                length = min(STEP, region.end - offset - done, len(data) - done)
                lengths.append(length)
                done += length
                continue
            end = len(data)
            if offset + done < self._begin:
                end = min(end, self._begin - offset)
            lengths += chunker.cut(data[done:end])
            done = end
        return lengths


def layout_of(head: bytes | memoryview) -> Layout | None:
    """The layout of the stream that starts with `head`: its first MAX_HEADER bytes, or all of it.

    None where it is not plainly a safetensors file with a header of bounded size.
    """
    begin = begin_of(head)
    if begin is None or begin > len(head):
        return None
    tensors = _tensors(bytes(head[8:begin]))
    return Layout(_joined(begin, tensors)) if tensors else None


def begin_of(head: bytes | memoryview) -> int | None:
    """Where the data begins, by the first 9 bytes; None where this is no safetensors file."""
    if len(head) < 9 or head[8] != ord("{"):
        return None
    begin = 8 + int.from_bytes(head[:8], "little")
    return begin if 10 <= begin <= MAX_HEADER else None


def _tensors(text: bytes) -> list[tuple[int, int, str, int]] | None:
    """(start, end, name, width) of each tensor, in order; None where anything is odd."""
    import json  # 5 ms: only a stream that looks like a model pays

    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict):
        return None
    header.pop("__metadata__", None)
    found = []
    for name, entry in header.items():
        if not isinstance(entry, dict):
            return None
        offsets, dtype = entry.get("data_offsets"), entry.get("dtype")
        if not isinstance(offsets, list) or len(offsets) != 2 or not isinstance(dtype, str):
            return None
        start, end = offsets
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= _MOST:
            return None
        if end > start:
            found.append((start, end, name, _WIDTHS.get(dtype, 0)))
    found.sort()
    last = 0
    for start, end, _, _ in found:
        if start != last:  # a hole, or two that share bytes
            return None
        last = end
    return found


def _joined(begin: int, tensors: list[tuple[int, int, str, int]]) -> list[Region]:
    """Tensors shorter than TARGET are joined with their neighbours up to it: thousands of them
    do not make thousands of chunks."""
    regions: list[Region] = []
    is_open = False
    for start, end, name, width in tensors:
        is_small = end - start < TARGET
        if is_small and is_open:
            last = regions[-1]
            joined = last._replace(end=begin + end, width=width if width == last.width else 0)
            regions[-1] = joined
            is_open = joined.end - joined.start < TARGET
        else:
            regions.append(Region(begin + start, begin + end, name, width))
            is_open = is_small
    return regions
