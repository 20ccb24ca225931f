"""The remote's half of `git mlver fsck`: every index object and pack is read and compared with its
name, and every pointer is looked for.

Repair sends again, from this clone, what lies in packs that are gone or damaged. A damaged pack is
deleted only if every record that an index places in it is here: until then it may be the last
copy of what in it is still whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from mlver.errors import MissingContent, MlverError
from mlver.exchange import layout
from mlver.exchange.index_object import Found
from mlver.exchange.source import Catalog, has_blob
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.workflows.context import Context
from mlver.workflows.push import push_pointers


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind`: corrupt, missing, raw, remote-corrupt, remote-missing. `repair`: the next command."""

    kind: str
    oid: str
    path: bytes
    repair: str


_HEAL = "git mlver fsck --remote --repair, in a clone that has the content"


def check(catalog: Catalog, named: dict[Pointer, bytes]) -> list[Problem]:
    """What is damaged or gone, and has no whole copy elsewhere on the remote."""
    catalog.whole_objects()
    catalog.prepare(pointer.oid for pointer in named)
    problems = [
        Problem("remote-corrupt", "", name.encode(), "git mlver fsck --remote --repair")
        for name in catalog.damaged
    ]
    bad = _bad_packs(catalog)
    for pack_id, kind in bad.items():
        rows = list(_rows_in(catalog, pack_id))
        catalog.prepare(row.id for row in rows)
        if any(not _has_copy(catalog, row, bad) for row in rows):
            name = layout.pack_object(pack_id).encode()
            problems.append(Problem(kind, pack_id.hex(), name, _HEAL))
    problems += [
        Problem("remote-missing", pointer.oid.hex(), path, "git mlver push")
        for pointer, path in named.items()
        if not has_blob(catalog, pointer.oid, pointer.size)
    ]
    return problems


def _bad_packs(catalog: Catalog) -> dict[Digest, str]:
    """Packs that an index names and that are gone or do not match their name, with the kind."""
    bad = {}
    for pack_id in sorted(catalog.packs()):
        name = layout.pack_object(pack_id)
        if catalog.remote.size(name) is None:
            bad[pack_id] = "remote-missing"
        # The name is the digest of the whole object: one hash tells of every record in it.
        elif digest_of(catalog.remote.read(name)) != pack_id:
            bad[pack_id] = "remote-corrupt"
    return bad


def _rows_in(catalog: Catalog, pack_id: Digest) -> Iterator[Found]:
    for item in catalog.objects():
        if pack_id in item.packs():
            yield from (row for row in item if row.pack == pack_id)


def _has_copy(catalog: Catalog, row: Found, bad: dict[Digest, str]) -> bool:
    return any(copy.pack not in bad for copy in catalog.find_all(row.id, row.kind))


def repair(ctx: Context, catalog: Catalog, named: dict[Pointer, bytes]) -> None:
    """Send again what is in bad packs, and index what lies in packs that no index names."""
    catalog.whole_objects()
    for name in catalog.damaged:
        catalog.remote.delete(name)  # its rows are in the packs' own footers
    bad = _bad_packs(catalog)
    for pack_id in bad:
        rows = _rows_in(catalog, pack_id)
        if all(ctx.store.locate(row.id, row.kind) is not None for row in rows):
            catalog.remote.delete(layout.pack_object(pack_id))
    catalog.forget()
    catalog.distrusted = frozenset(bad)
    whole = {pointer: path for pointer, path in named.items() if _is_whole(ctx, pointer)}
    with suppress(MissingContent):
        push_pointers(ctx, catalog, whole, deep=True)
    catalog.distrusted = frozenset()


def _is_whole(ctx: Context, pointer: Pointer) -> bool:
    try:
        return ctx.store.missing(pointer) is None
    except MlverError:
        return False
