"""Runs that wait in the journal become notes: those of killed recorders, those from before the
first commit, those whose note failed. Cheap where nothing waits: one look at a folder, nothing
imported.
"""

from __future__ import annotations

from mlver.lineage import journal
from mlver.workflows.context import Context


def take_in(ctx: Context) -> None:
    """Finish whatever waits and is at work no more. What cannot be noted is told, and waits on."""
    if next(journal.entries(ctx.repo.store_dir), None) is not None:
        from mlver.workflows import record

        record.sweep(ctx)
