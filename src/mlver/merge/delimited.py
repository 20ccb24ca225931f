"""CSV, TSV and their kin: by the parts that differ, where all three versions are written alike;
else by all rows (delimited_whole).

The result is the skeleton, ours, with edits: rows that nobody touched keep their bytes, and so do
the fields of a touched row that stay. What comes from theirs is written as theirs has it where both
are written alike, else in ours' dialect. Where theirs alone changed how the file is written, theirs
is the skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlver.diff.records import whole_zones
from mlver.diff.scan import scan
from mlver.diff.stretches import by_comparison
from mlver.formats import delimited
from mlver.formats.base import Source
from mlver.formats.delimited import Dialect
from mlver.merge import keys
from mlver.merge.base import OURS, THEIRS, Merged, Versions
from mlver.merge.delimited_text import compose, spans
from mlver.merge.delimited_writer import Writer
from mlver.merge.hunks import Hunks, ReadRecords, Span
from mlver.merge.key_scan import is_unique
from mlver.merge.options import Options
from mlver.merge.row_merge import merge_rows
from mlver.merge.rows import Cells, Columns

_HEAD = 64 * 1024


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat where one is no table."""
    if versions.base.size:
        dialects = [delimited.read_dialect(source, name) for source in versions]
        if all(_alike(dialects[0], other) for other in dialects[1:]):
            found = _by_parts(versions, dialects, options)
            if found is not None:
                return found
    from mlver.merge import delimited_whole

    return delimited_whole.merge(versions, name, options)


def _alike(a: Dialect, b: Dialect) -> bool:
    return (
        a.is_bytewise
        and (a.delimiter, a.encoding, a.header) == (b.delimiter, b.encoding, b.header)
        and a.line_end == b.line_end
    )


def _by_parts(versions: Versions, dialects: Sequence[Dialect], options: Options) -> Merged | None:
    sides = []
    for number in (OURS, THEIRS):
        sources = versions.base, versions[number]
        pair = dialects[0], dialects[number]
        scanned = scan(*sources, by_comparison(*sources), *pair)
        if scanned is None:
            return None
        starts = pair[0].body, pair[1].body
        zones = whole_zones(*sources, scanned.entries, *starts)
        sides.append(Hunks(*sources, zones, starts, _reader(dialects[0])))
    ours_changed = dialects[0].start != dialects[1].start
    skeleton = THEIRS if dialects[0].start != dialects[2].start and not ours_changed else OURS
    names = dialects[0].header
    heads = [_head(source, dialect) for source, dialect in zip(versions, dialects, strict=True)]
    places, source = keys.choose(
        names,
        (sides[0], sides[1]),
        heads,
        options,
        range(len(names)),
        lambda key, wanted: is_unique(versions.base, dialects[0], key, wanted),
    )
    first, second = (sides[0], sides[1]) if skeleton == OURS else (sides[1], sides[0])
    columns = Columns(names, places)
    edits = merge_rows(first, second, columns, options, ours_is_other=skeleton == THEIRS)
    written = Writer(versions[skeleton], dialects[skeleton], versions[3 - skeleton]).edits(edits)
    parts = compose(
        versions[skeleton].size,
        written,
        skeleton,
        dialects[skeleton].line_end,
        open_end=not _ends_with_line(versions[skeleton]),
    )
    notes = () if places or options.keyless else (keys.NO_KEY,)
    key = tuple([names[place] for place in places])
    return Merged("csv", parts, tuple(edits.conflicts), key, source, notes)


def _ends_with_line(source: Source) -> bool:
    return source.read(source.size - 1, 1) == b"\n"


def _reader(dialect: Dialect) -> ReadRecords:
    def read(source: Source, start: int, end: int) -> list[tuple[Span, Cells]]:
        data = source.read(start, end - start)
        rows = list(delimited.parse([data], dialect.delimiter, dialect.encoding))
        delimited.check_width(rows, len(dialect.header))
        return list(zip(spans(data, start), rows, strict=True))

    return read


def _head(source: Source, dialect: Dialect) -> list[Cells]:
    """Rows that lie whole in the first stretch of the body."""
    data = source.read(dialect.body, _HEAD)
    found = spans(data, 0)
    if dialect.body + len(data) < source.size and found:
        data = data[: found[-1].start]
    rows = delimited.parse([data], dialect.delimiter, dialect.encoding)
    return [row for row in rows if len(row) == len(dialect.header)]
