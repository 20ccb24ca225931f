"""A part of a blob from sources into a store: its recipe, and those of its chunks that are asked
for.

Every chunk is verified against its id. The order of chunks is the recipe's, which is not proven
here, and not stored: only who has hashed the whole blob may believe that it is its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlver.exchange.fetch import Fetcher, Outcome
from mlver.exchange.source import Source
from mlver.model.pointer import Pointer
from mlver.model.recipe import Row
from mlver.store.local import LocalStore
from mlver.store.session import Session


class PartFetcher(Fetcher):
    """Fetches recipes, and chunks by their rows."""

    def __init__(
        self,
        store: LocalStore,
        sources: Sequence[Source],
        pool: ThreadPoolExecutor,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(store, sources, pool, tell)

    def rows_of(self, pointer: Pointer) -> Iterable[Row]:
        """The blob's chunks in order. Raises MissingContent, CorruptContent, RemoteError."""
        outcome = Outcome()
        plain, recipes = self._plan(outcome, [pointer])
        if pointer in outcome.failed:
            raise outcome.failed[pointer]
        if pointer.oid in plain:
            return [(pointer.oid, pointer.size)]
        if pointer not in recipes:  # it is here, whole
            return list(self._store.rows(pointer))
        _, recipe = recipes[pointer]
        if recipe.depth:
            self.bring(recipe.rows)
        return self._rows(recipe)

    def bring(self, rows: Iterable[Row]) -> None:
        """Fetch these chunks. Raises MissingContent for the first that did not come whole."""
        digests = [digest for digest, _ in rows]
        with Session(self._store, replace=True) as session:
            self._bring(session, digests)
        here = self._store.locate_many(digests)
        for digest in digests:
            self._require(digest, here)
