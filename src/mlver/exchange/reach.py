"""What blobs need on a remote: recipes, list chunks, chunks and the bases of deltas.

Every copy of a record counts, and every copy of a recipe is read: two clones may have cut a blob
in two ways, and a reader takes either. Recipes are read from the remote and verified. Nothing is
guessed: what cannot be read whole is an error, since collection deletes what it does not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from mlver.errors import CorruptContent
from mlver.exchange.condemned import Key
from mlver.exchange.index_object import Found
from mlver.exchange.source import Catalog
from mlver.model.digest import Digest, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import decode, decode_rows
from mlver.store.record import CHUNK, HEADER, RECIPE, Buffer, Codec, needs_base, split_record

_GAP = 64 * 1024
_RANGE = 8 * 1024 * 1024
_AT_ONCE = 8

Rows = dict[Key, list[Found]]
"""Every copy of each record that the index names, in packs that are there."""


class Reach:
    """The records of a remote and what they need."""

    def __init__(self, catalog: Catalog, rows: Rows) -> None:
        self._catalog, self.rows = catalog, rows
        self._needs: dict[Digest, frozenset[Digest]] = {}

    def recipes(self) -> list[Digest]:
        """Every blob of which a recipe is there."""
        return [digest for digest, kind in self.rows if kind == RECIPE]

    def chunks_of(self, oids: Iterable[Digest]) -> dict[Digest, frozenset[Digest]]:
        """The chunks and list chunks that the recipes of these blobs name.

        Raises CorruptContent, RemoteError where one cannot be read.
        """
        wanted = list(oids)
        new = [oid for oid in dict.fromkeys(wanted) if oid not in self._needs]
        copies = [found for oid in new for found in self.rows[(oid, RECIPE)]]
        needs: dict[Digest, set[Digest]] = {oid: set() for oid in new}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mlver-gc") as pool:
            for named in pool.map(self._recipes_in, _ranges(copies)):
                for oid, digests in named:
                    needs[oid] |= digests
        self._needs.update((oid, frozenset(digests)) for oid, digests in needs.items())
        return {oid: self._needs[oid] for oid in wanted}

    def closure(self, roots: Iterable[Pointer]) -> tuple[set[Key], list[Pointer]]:
        """Every record that these blobs need, and the blobs that are not whole there."""
        live: set[Key] = set()
        missing: list[Pointer] = []
        wanted = [pointer for pointer in dict.fromkeys(roots)]
        with_recipe = [p.oid for p in wanted if (p.oid, RECIPE) in self.rows]
        needs = self.chunks_of(with_recipe)
        for pointer in wanted:
            plain = self.rows.get((pointer.oid, CHUNK), [])
            chunks = set(needs.get(pointer.oid, ()))
            if plain:
                chunks.add(pointer.oid)
            if pointer.oid in needs:
                live.add((pointer.oid, RECIPE))
            if not all([self._reach(digest, live) for digest in chunks]) or not (
                pointer.oid in needs or any(row.raw == pointer.size for row in plain)
            ):
                missing.append(pointer)
        return live, missing

    def needs_any_of(
        self, gone: frozenset[Digest], late: Iterable[Found], *, forgotten: Iterable[Key]
    ) -> bool:
        """True if one of these rows, which came after ours were read, cannot be read without the
        packs `gone`. `forgotten`: records whose older copies go from the index too. Counts the rows
        in. Raises as `chunks_of`."""
        rows = list(late)
        for key in forgotten:
            self.rows.pop(key, None)
        for row in rows:
            self.rows.setdefault((row.id, row.kind), []).append(row)
            self._needs.pop(row.id, None)
        needs = self.chunks_of(row.id for row in rows if row.kind == RECIPE)
        chunks = {row.id for row in rows if row.kind == CHUNK}.union(*needs.values())
        return any(row.pack in gone for row in rows) or not all(
            self.is_readable(chunk, gone) for chunk in chunks
        )

    def _reach(self, digest: Digest, live: set[Key]) -> bool:
        """Count a chunk and its bases in; False if it cannot be read from what is there."""
        live.add((digest, CHUNK))
        for row in self.rows.get((digest, CHUNK), ()):
            if row.base is not None:
                live.add((row.base, CHUNK))
        return self.is_readable(digest, frozenset())

    def is_readable(self, digest: Digest, gone: frozenset[Digest]) -> bool:
        """True if every copy of the chunk outside the packs `gone` has what it needs, and there is
        one. Every copy: a reader takes any."""
        copies = [row for row in self.rows.get((digest, CHUNK), ()) if row.pack not in gone]
        return bool(copies) and all(
            row.base is None or self._stands_alone(row.base, gone) for row in copies
        )

    def _stands_alone(self, digest: Digest, gone: frozenset[Digest]) -> bool:
        copies = self.rows.get((digest, CHUNK), ())
        return any(row.base is None and row.pack not in gone for row in copies)

    def _recipes_in(self, run: list[Found]) -> list[tuple[Digest, set[Digest]]]:
        """The recipes in one range, each with what it names (on a pool thread)."""
        start = run[0].offset
        end = run[-1].offset + HEADER + run[-1].stored
        data = memoryview(self._catalog.read(run[0].pack, start, end - start))
        result = []
        for found in run:
            at = found.offset - start
            record = data[at : at + HEADER + found.stored]
            result.append((found.id, set(self._named_by(found, record))))
        return result

    def _named_by(self, found: Found, record: Buffer) -> Iterator[Digest]:
        header, payload = split_record(record, found.id, RECIPE)
        recipe = decode(Codec().decode(header, payload, self._alone), found.id)
        for digest, _ in recipe.rows:
            yield digest
            if recipe.depth and (digest, CHUNK) in self.rows:
                yield from (row for row, _ in decode_rows(self._chunk(digest)))

    def _chunk(self, digest: Digest) -> Buffer:
        return self._decoded(self.rows[(digest, CHUNK)][-1])

    def _alone(self, digest: Digest) -> Buffer:
        for found in self.rows.get((digest, CHUNK), ()):
            if found.base is None and not needs_base(found.codec):
                return self._decoded(found)
        raise CorruptContent(
            f"the base of a recipe's list is not there ({short(digest)})",
            fix="git mlver fsck --remote --repair, in a clone that has the content",
        )

    def _decoded(self, found: Found) -> Buffer:
        data = self._catalog.read(found.pack, found.offset, HEADER + found.stored)
        header, payload = split_record(data, found.id, CHUNK)
        return Codec().decode(header, payload, self._alone)


def _ranges(copies: list[Found]) -> list[list[Found]]:
    """Records grouped into stretches of one pack that are worth one read each."""
    runs: list[list[Found]] = []
    for found in sorted(copies, key=lambda row: (row.pack, row.offset)):
        last = runs[-1][-1] if runs else None
        if (
            last is not None
            and last.pack == found.pack
            and 0 <= found.offset - (last.offset + HEADER + last.stored) <= _GAP
            and found.offset + found.stored - runs[-1][0].offset <= _RANGE
        ):
            runs[-1].append(found)
        else:
            runs.append([found])
    return runs
