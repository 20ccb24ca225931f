"""What remotes were just seen to hold: asked by whoever is about to free it here.

An index that names a record is not enough: the pack that it names must be there. What collection
is going to delete counts as absent. No note of this machine's is believed.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlver.errors import MlverError
from mlver.exchange import layout
from mlver.exchange.source import Catalog
from mlver.model.digest import Digest
from mlver.model.pointer import Pointer
from mlver.store.record import CHUNK, RECIPE
from mlver.workflows.context import Context

Key = tuple[Digest, int]


class Held:
    """One remote or several, asked in order; one that fails is not asked again, and holds nothing.

    Only of `strict` ones an error is raised.
    """

    def __init__(self, catalogs: Sequence[Catalog], *, strict: bool = False) -> None:
        self._catalogs = list(catalogs)
        self._strict = strict
        self._seen: dict[tuple[int, Digest], bool] = {}

    def has(self, key: Key) -> bool:
        """The record is on a remote, and so is its base if it is a delta there."""
        for catalog in list(self._catalogs):
            try:
                if self._has(catalog, key):
                    return True
            except MlverError:
                if self._strict:
                    raise
                self._catalogs.remove(catalog)
        return False

    def _has(self, catalog: Catalog, key: Key) -> bool:
        found = catalog.find(*key)
        if found is None or not self._has_pack(catalog, found.pack):
            return False
        if found.base is None:
            return True
        base = catalog.find_alone(found.base)
        return base is not None and self._has_pack(catalog, base.pack)

    def _has_pack(self, catalog: Catalog, pack: Digest) -> bool:
        place = id(catalog), pack
        if place not in self._seen:
            self._seen[place] = catalog.remote.size(layout.pack_object(pack)) is not None
        return self._seen[place]


def records(ctx: Context, pointer: Pointer) -> set[Key]:
    """Every record that the blob needs here, bases included. Raises MissingContent."""
    wanted: set[Key] = set()
    if ctx.store.locate(pointer.oid, RECIPE) is not None:
        wanted.add((pointer.oid, RECIPE))
    for digest, _ in [*ctx.store.list_rows(pointer), *ctx.store.rows(pointer)]:
        wanted.add((digest, CHUNK))
        base = ctx.store.base_of_chunk(digest)
        if base is not None:
            wanted.add((base, CHUNK))
    return wanted
