"""Stretches that lie near one another, read together: on a network a request costs more than the
bytes between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mlver.exchange.paged_layout import Span

AT_ONCE = 8
"""Requests to a remote at once: each waits for one answer."""


def coalesced(spans: Iterable[Span], *, gap: int, most: int) -> list[Span]:
    """Ranges that cover the spans: what lies at most `gap` bytes apart is in one, of at most
    about `most` bytes."""
    ranges: list[Span] = []
    for span in sorted(spans):
        last = ranges[-1] if ranges else None
        end = span.start + span.length
        if last and span.start - (last.start + last.length) <= gap and end - last.start <= most:
            ranges[-1] = Span(last.start, max(last.length, end - last.start))
        else:
            ranges.append(span)
    return ranges


def read_all(
    read: Callable[[int, int], bytes], ranges: Sequence[Span], *, at_once: int = AT_ONCE
) -> list[bytes]:
    """What `read` gives for each range, in order, some of them at a time."""
    if len(ranges) < 2 or at_once < 2:
        return [read(start, length) for start, length in ranges]
    from concurrent.futures import ThreadPoolExecutor  # with logging: 5 ms

    with ThreadPoolExecutor(min(at_once, len(ranges)), thread_name_prefix="mlver-index") as pool:
        return list(pool.map(lambda span: read(span.start, span.length), ranges))


def cut_out(spans: Sequence[Span], ranges: Sequence[Span], datas: Sequence[bytes]) -> list[bytes]:
    """The bytes of each span out of those of the ranges that cover them."""
    pieces: list[bytes] = [b""] * len(spans)
    order = sorted(range(len(spans)), key=spans.__getitem__)
    at = 0
    for place in order:
        start, length = spans[place]
        while start + length > ranges[at].start + ranges[at].length:
            at += 1
        inside = start - ranges[at].start
        pieces[place] = datas[at][inside : inside + length]
    return pieces
