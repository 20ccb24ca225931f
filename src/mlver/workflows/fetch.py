"""Content from wherever it can be had into the store: for a checkout, or asked for by a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from mlver.errors import MlverError
from mlver.exchange.fetch import Fetcher, Outcome
from mlver.exchange.source import Catalog, Source
from mlver.git import history
from mlver.git.objects import pointers_of, staged, tree_entries
from mlver.git.selection import Selection
from mlver.model.pointer import Pointer
from mlver.workflows import places
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_FAR_REQUESTS = 8


def fetch_pointers(ctx: Context, pointers: Iterable[Pointer], remote: str | None = None) -> Outcome:
    """Fetch what the store lacks of these blobs. Failures are in the outcome, by blob."""
    wanted = []
    outcome = Outcome()
    for pointer in dict.fromkeys(pointers):
        if is_whole(ctx, pointer):
            outcome.fetched.add(pointer)
        else:
            wanted.append(pointer)
    if not wanted:
        return outcome
    ctx.store.use()
    with open_sources(ctx, remote) as (sources, pool):
        ctx.progress.start("fetching", sum(pointer.size for pointer in wanted))
        try:
            fetcher = Fetcher(ctx.store, sources, pool, ctx.progress.step)
            fetched = fetch_twice(ctx, fetcher, sources, wanted)
        finally:
            ctx.progress.finish()
    outcome.fetched |= fetched.fetched
    outcome.failed, outcome.bytes = fetched.failed, fetched.bytes
    return outcome


@contextmanager
def open_sources(
    ctx: Context, remote: str | None = None
) -> Iterator[tuple[list[Source], ThreadPoolExecutor]]:
    """Places to fetch from, best first, and the threads to do it with."""
    with ExitStack() as stack:
        sources: list[Source] = [
            stack.enter_context(closing(source)) for source in places.sources(ctx, remote)
        ]
        yield sources, stack.enter_context(_pool(ctx, sources))


def fetch_twice(
    ctx: Context, fetcher: Fetcher, sources: Sequence[Source], wanted: Sequence[Pointer]
) -> Outcome:
    """Fetch; and once more what failed, where collection took a pack meanwhile."""
    fetched = fetcher.fetch(wanted)
    if fetched.failed and any([source.refresh() for source in sources]):
        again = fetcher.fetch(fetched.failed)
        fetched.fetched |= again.fetched
        fetched.failed, fetched.bytes = again.failed, again.bytes
    fetched.failed = {p: places.untrusted(ctx, error) for p, error in fetched.failed.items()}
    return fetched


def _pool(ctx: Context, sources: Sequence[Source]) -> AbstractContextManager[ThreadPoolExecutor]:
    """Threads to read with: as many as there are cores for a disk, more where answers take long."""
    if any(isinstance(source, Catalog) and source.is_far for source in sources):
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(_FAR_REQUESTS, thread_name_prefix="mlver-fetch")
    return nullcontext(ctx.pool)


def is_whole(ctx: Context, pointer: Pointer) -> bool:
    """True if the store has all of the blob."""
    try:
        return ctx.store.missing(pointer) is None
    except MlverError:
        return False


def wanted_pointers(
    ctx: Context, revisions: Sequence[str], chosen: Selection, *, everything: bool = False
) -> dict[Pointer, bytes]:
    """What a fetch is for: the index where nothing is named, the given commits, or all refs.

    `chosen` is asked of each path; of content at several paths in history, git names one.
    """
    if everything:
        refs = history.all_refs(ctx.repo)
        named = {**history.pointers_between(ctx.repo, refs), **history.staged_pointers(ctx.repo)}
        return {pointer: path for pointer, path in named.items() if chosen.takes(path)}
    if not revisions:
        ctx.repo.require_worktree()  # without an index nothing would be fetched, silently
        entries = staged(ctx.repo)
    else:
        entries = [entry for revision in revisions for entry in tree_entries(ctx.repo, revision)]
    entries = [entry for entry in entries if entry.is_file and chosen.takes(entry.path)]
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    result: dict[Pointer, bytes] = {}
    for entry in entries:
        if entry.blob in found:
            result.setdefault(found[entry.blob], entry.path)
    return result
