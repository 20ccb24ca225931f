"""Where content is cut: FastCDC 2020 with fixed parameters.

Users' deduplication depends on these cut points never moving: they are frozen by a golden test
(tests/golden), and are those of the Rust crate fastcdc, v2020. The parameters are written into
every remote's mlver.json. The compiled pyfastcdc frees the interpreter lock while it cuts; its
pure-Python fallback gives the same cuts at a hundredth of the speed.
"""

from __future__ import annotations

from collections.abc import Iterator

MIN, TARGET, MAX = 16 * 1024, 64 * 1024, 256 * 1024
"""Bounds of a chunk's length in bytes. Content of at most MIN bytes is one chunk."""

PARAMETERS = {
    "algorithm": "fastcdc-2020",
    "min": MIN,
    "target": TARGET,
    "max": MAX,
    "normalization": 1,
    "seed": 0,
}


class Chunker:
    """Cuts buffers. One instance a thread."""

    def __init__(self) -> None:
        from pyfastcdc import FastCDC  # 20 ms: paid when something has to be cut

        self._cdc = FastCDC(
            avg_size=TARGET, min_size=MIN, max_size=MAX, normalized_chunking=1, seed=0
        )

    def cut(self, data: memoryview) -> list[int]:
        """The lengths of the chunks of `data`, taken as the whole rest of the content.

        All but the last stay the same if more content follows: a stream is cut by keeping the
        last chunk of a window back and cutting it again at the head of the next.
        """
        return [chunk.length for chunk in self._cdc.cut_buf(data)]


def is_compiled() -> bool:
    """False where pyfastcdc runs on its slow fallback."""
    from pyfastcdc import FastCDC

    return not str(FastCDC.__module__).startswith("pyfastcdc.py")


def spans(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """(start, length) of each chunk, from their lengths."""
    start = 0
    for length in lengths:
        yield start, length
        start += length
