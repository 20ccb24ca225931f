"""What a push asks a remote for, all at once, and the order in which it sends what is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from mlver.errors import MlverError
from mlver.exchange.condemned import Key
from mlver.exchange.source import Catalog
from mlver.model.digest import Digest
from mlver.model.pointer import Pointer
from mlver.store.index import Location
from mlver.store.local import LocalStore
from mlver.store.record import RECIPE, needs_base

PACK_LIMIT = 32 * 1024 * 1024


def look_ahead(
    catalog: Catalog, store: LocalStore, wanted: Collection[Pointer], *, deep: bool
) -> None:
    """Have the catalog look for all that pushing these blobs will ask it for."""
    absent = set(catalog.prepare(pointer.oid for pointer in wanted))
    records: set[Digest] = set()
    for pointer in wanted:
        if deep or pointer.oid in absent:
            with suppress(MlverError):  # told when it is sent
                rows = [*store.list_rows(pointer), *store.rows(pointer)]
                records.update(digest for digest, _ in rows)
    found = store.locate_many(list(records))
    deltas = [Digest(digest) for digest, place in found.items() if needs_base(place.codec)]
    bases = map(store.base_of_chunk, deltas)
    catalog.prepare(records.union(base for base in bases if base is not None))


def groups(needed: Mapping[Key, Location]) -> Iterator[list[Key]]:
    """Records in the order in which they lie here, in groups of a pack's size.

    Recipes come first in each, so that a fetch reads those of many blobs in one go. The order
    depends on nothing but the store, so a push that is run again builds the same packs.
    """
    ordered = sorted(needed.items(), key=lambda item: (item[1].pack, item[1].offset))
    group: list[Key] = []
    size = 0
    for key, place in ordered:
        if group and size + place.stored > PACK_LIMIT:
            yield sorted(group, key=_is_no_recipe)
            group, size = [], 0
        group.append(key)
        size += place.stored
    if group:
        yield sorted(group, key=_is_no_recipe)


def _is_no_recipe(key: Key) -> bool:
    return key[1] != RECIPE
