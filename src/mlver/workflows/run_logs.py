"""What a run printed: from its journal while it is there, else from the store or a remote."""

from __future__ import annotations

from collections.abc import Iterator

from mlver.errors import MissingContent
from mlver.lineage import journal
from mlver.model import pointer
from mlver.model.pointer import Pointer
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun, KnownRuns

STREAMS = ("stdout", "stderr")
_WINDOW = 1 << 16


def log(ctx: Context, runs: KnownRuns, known: KnownRun, stream: str) -> Iterator[bytes]:
    """The bytes of `stdout` or `stderr`, as they were: secrets were replaced before.

    Raises MissingContent where neither this clone nor a remote has them.
    """
    if known.in_journal:
        for entry in journal.entries(ctx.repo.store_dir):
            if entry.run_id == known.run.run_id:
                yield from _file(entry.file(stream.encode()))
                return
    found = _pointer(runs, known, stream)
    if found is None:
        blob = known.run.blobs.get(stream)
        if blob is None or blob.size == 0:
            return  # it printed nothing there
        found = Pointer(blob.oid, blob.size)
    if not ctx.store.holds(found):
        from mlver.workflows.fetch import fetch_pointers

        fetch_pointers(ctx, [found])
    if not ctx.store.holds(found):
        raise MissingContent(
            f"what the run printed on {stream} is not here",
            why=f"no remote that could be reached has blake3:{found.oid.hex()}",
            fix="git mlver fetch, where its remote can be reached",
        )
    from mlver.store.assemble import stream_blob

    for parts in stream_blob(ctx.store, found, ctx.pool):
        yield b"".join(parts)


def _pointer(runs: KnownRuns, known: KnownRun, stream: str) -> Pointer | None:
    data = runs.kept_file(known, stream)
    return None if data is None else pointer.parse(data)


def _file(path: bytes) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while data := file.read(_WINDOW):
                yield data
    except FileNotFoundError:
        return
