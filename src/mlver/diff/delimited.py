"""CSV and TSV: by the parts that differ where both versions are written alike, else by all rows.

Which parts differ is told by the recipes where both versions have one (diff/recipes.py), else by
comparing their bytes (diff/stretches.py).

The parts suffice where delimiter, encoding, header and line ends agree, the files are strict
(formats/delimited.py), and no blank line is among their rows. Otherwise every row of both is read,
twice, and cancelled by a digest of its text. Both ways end in rows.pair with the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from mlver.diff import columns, recipes
from mlver.diff.certificate import adds_up, number
from mlver.diff.options import Options
from mlver.diff.outline import outlines
from mlver.diff.records import cancel, changed_records
from mlver.diff.rows import Tolerance, infer_key, pair
from mlver.diff.scan import Scanned, scan
from mlver.diff.stretches import by_comparison
from mlver.formats import delimited
from mlver.formats.base import CutSource, NotThisFormat, Source, is_cut
from mlver.formats.delimited import Dialect, Row
from mlver.model.change import FileDiff, RowCounts
from mlver.model.digest import Hasher

_HEAD = 64 * 1024
_STEP = 4 * 1024 * 1024


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat where one of them is no table."""
    before = delimited.read_dialect(old, old_name)
    after = delimited.read_dialect(new, new_name)
    if _alike(before, after):
        if is_cut(old) and is_cut(new):
            outlined = _outlined(old, new, before, after)
            if outlined is not None:
                found = _by_parts(old, new, outlined, before, after, options)
                if _is_counted(found):
                    return replace(found, method="recipes")
            return _by_rows(old, new, before, after, options)
        stretches = by_comparison(old, new)
        scanned = scan(old, new, stretches, before, after)
        if scanned is not None:
            return _by_parts(old, new, scanned, before, after, options)
    return _by_rows(old, new, before, after, options)


def _is_counted(found: FileDiff) -> bool:
    """The rows that outlines count differ by the rows that came and went: each is counted by
    itself. Where not, an outline is wrong, and all rows are read."""
    rows = found.rows
    return rows is not None and rows.old + rows.added - rows.removed == rows.new


def _outlined(old: CutSource, new: CutSource, before: Dialect, after: Dialect) -> Scanned | None:
    """None where the parts do not suffice (diff/scan.py has the same conditions)."""
    found = outlines(old, new, before.delimiter, (before.start, after.start))
    for outline in found:
        if not outline.is_plain:
            return None
        if outline.delimiters != (len(before.header) - 1) * outline.records:
            return None
    return Scanned(recipes.entries(old, new, found), found[0].records, found[1].records)


def _alike(before: Dialect, after: Dialect) -> bool:
    return (
        before.is_bytewise
        and before.delimiter == after.delimiter
        and before.encoding == after.encoding
        and before.header == after.header
    )


def _by_parts(
    old: Source,
    new: Source,
    scanned: Scanned,
    before: Dialect,
    after: Dialect,
    options: Options,
) -> FileDiff:
    raw = changed_records(old, new, scanned.entries, before.start, after.start)
    rows = [
        list(delimited.parse(_lines(records), before.delimiter, before.encoding)) for records in raw
    ]
    # The header may be among them, written in two ways; then it cancels here.
    left_old, left_new = _cancelled(rows[0], rows[1])
    counts = scanned.old_records - 1, scanned.new_records - 1
    heads = [_head_rows(old, before), _head_rows(new, after)]
    return _paired(before.header, left_old, left_new, heads, counts, options)


def _lines(records: list[bytes]) -> list[bytes]:
    return [b"\n".join(records) + b"\n"] if records else []


def _cancelled(old: list[Row], new: list[Row]) -> tuple[list[Row], list[Row]]:
    left = cancel([_packed(row) for row in old], [_packed(row) for row in new])
    return _unpacked(left[0]), _unpacked(left[1])


def _packed(row: Row) -> bytes:
    """A row as bytes that no other row has: fields end in a byte that UTF-8 never holds."""
    return b"\xff".join([field.encode("utf-8", "surrogatepass") for field in row])


def _unpacked(rows: Iterable[bytes]) -> list[Row]:
    return [
        tuple([field.decode("utf-8", "surrogatepass") for field in row.split(b"\xff")])
        for row in rows
    ]


def _head_rows(source: Source, dialect: Dialect) -> list[Row]:
    """Rows that lie whole in the first stretch of the body."""
    data = source.read(dialect.body, _HEAD)
    if dialect.body + len(data) < source.size:
        data = data[: _last_record_end(data)]
    rows = delimited.parse([data], dialect.delimiter, dialect.encoding)
    return [row for row in rows if len(row) == len(dialect.header)]


def _last_record_end(data: bytes) -> int:
    end = len(data)
    while end > 0:
        end = data.rfind(b"\n", 0, end)
        if end < 0:
            return 0
        if data.count(b'"', 0, end) % 2 == 0:
            return end + 1
    return 0


def _by_rows(
    old: Source, new: Source, before: Dialect, after: Dialect, options: Options
) -> FileDiff:
    """Every row of both versions, in the columns that they share."""
    shared = columns.shared(before.header, after.header)
    reads = [_reader(old, before), _reader(new, after)]
    renamed = columns.renames(before.header, after.header, shared, reads[0], reads[1])
    names = columns.Match(before.header, after.header, shared, renamed)
    pick_old, pick_new = names.old_places(), names.new_places()
    balance: dict[bytes, int] = {}
    counts, sums = [0, 0], [0, 0]
    for side, (read, places, sign) in enumerate(
        ((reads[0], pick_old, 1), (reads[1], pick_new, -1))
    ):
        for row in read():
            name = _digest(row, places)
            balance[name] = balance.get(name, 0) + sign
            counts[side] += 1
            sums[side] += number(name)
    left = [
        _left(read, places, balance, sign)
        for read, places, sign in ((reads[0], pick_old, 1), (reads[1], pick_new, -1))
    ]
    heads = [
        [tuple([row[place] for place in places]) for row in _head_rows_any(source, dialect)]
        for source, dialect, places in ((old, before, pick_old), (new, after, pick_new))
    ]
    result = _paired(names.header(), left[0], left[1], heads, (counts[0], counts[1]), options)
    result = replace(result, columns=names.columns())
    if options.ignore or options.tolerance != Tolerance():
        return result  # what is left out of the changes is not in the sums either
    if not adds_up(sums[0], sums[1], result.changes, _digest_of):
        raise NotThisFormat("its rows do not add up", why="it changed while it was read")
    return replace(result, certificate="checked")


def _head_rows_any(source: Source, dialect: Dialect) -> list[Row]:
    if dialect.is_bytewise:
        return _head_rows(source, dialect)
    rows: list[Row] = []
    for row in _reader(source, dialect)():
        rows.append(row)
        if len(rows) == 1000:
            break
    return rows


def _digest(row: Row, places: Sequence[int]) -> bytes:
    return _digest_of(tuple([row[place] for place in places]))


def _digest_of(row: Row) -> bytes:
    return Hasher(_packed(row)).digest(16)


def _left(
    read: Callable[[], Iterator[Row]], places: Sequence[int], balance: dict[bytes, int], sign: int
) -> list[Row]:
    """Rows that this side has more often, as many as are too many, the first ones kept."""
    owed = {name: count * sign for name, count in balance.items() if count * sign > 0}
    rows: list[Row] = []
    if not owed:
        return rows
    for row in read():
        name = _digest(row, places)
        if owed.get(name, 0) > 0:
            owed[name] -= 1
            rows.append(tuple([row[place] for place in places]))
    return rows


def _reader(source: Source, dialect: Dialect) -> Callable[[], Iterator[Row]]:
    """Reads all rows, each time it is called. Raises NotThisFormat for one of another width."""

    def read() -> Iterator[Row]:
        width, number = len(dialect.header), 0
        for row in delimited.parse(_texts(source, dialect), dialect.delimiter, "utf-8"):
            number += 1
            if number == 1:
                continue  # the header
            if len(row) != width:
                raise NotThisFormat(
                    f"row {number - 1} has {len(row)} fields, the header {width}",
                    why="every row of a table has as many fields as its header",
                )
            yield row

    return read


def _texts(source: Source, dialect: Dialect) -> Iterator[bytes]:
    """The text as UTF-8, in stretches that end with a line; surrogates stand for odd bytes."""
    import codecs

    decoder = codecs.getincrementaldecoder(dialect.encoding)("surrogateescape")
    rest, at = "", dialect.start
    while at < source.size:
        data = source.read(at, _STEP)
        at += len(data)
        text = rest + decoder.decode(data, at >= source.size)
        cut = text.rfind("\n") + 1
        yield text[:cut].encode("utf-8", "surrogateescape")
        rest = text[cut:]
    if rest:
        yield rest.encode("utf-8", "surrogateescape")


def _paired(
    header: Row,
    old: list[Row],
    new: list[Row],
    heads: Sequence[list[Row]],
    counts: tuple[int, int],
    options: Options,
) -> FileDiff:
    delimited.check_width(old, len(header))
    delimited.check_width(new, len(header))
    kept = [place for place, name in enumerate(header) if name not in options.ignore]
    if len(kept) < len(header):
        header = tuple([header[place] for place in kept])
        narrowed = [[tuple([row[p] for p in kept]) for row in rows] for rows in (old, new, *heads)]
        old, new = _cancelled(narrowed[0], narrowed[1])
        heads = narrowed[2:]
    for name in options.key:
        if name not in header:
            raise NotThisFormat(f"it has no column {name!r} to be its key")
    key = options.key
    source = options.key_source if key else None
    if not key and not options.keyless:
        key = infer_key(header, old, new, heads[0], heads[1])
        source = "inferred" if key else None
    found = pair(header, old, new, key, options.tolerance)
    rows = RowCounts(*counts, found.added, found.removed, found.modified, found.ambiguous)
    return FileDiff("csv", key, source, rows=rows, changes=found.changes)
