"""Runs are tied to the commits that bring what they made, and stay so when commits are made anew.

By content: a commit brings a file whose content is the output of a known run, whoever made the run
and whatever branch it was made on. So a squash, a cherry-pick and a merge are served as a plain
commit is. By git's own word: post-rewrite tells which commit took another's place, and its lines
go with it. Lines are only ever added, so doing it twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mlver.git import content_ids, run_refs, run_remotes
from mlver.git.objects import BlobReader
from mlver.git.run_refs import NOTES, Addition
from mlver.lineage import journal
from mlver.model.run import is_run_id
from mlver.workflows.context import Context


def after_commit(ctx: Context) -> int:
    """The work of post-commit: runs that made what HEAD brings; how many lines were noted.

    Runs from before the first commit, and what killed recorders left, become notes first.
    """
    if next(journal.entries(ctx.repo.store_dir), None) is not None:
        from mlver.workflows import record

        record.sweep(ctx)
    addition, ids = Addition(), dict[bytes, str]()
    _by_content(ctx, ["HEAD"], addition, ids)
    return _write(ctx, addition, ids)


def after_merge(ctx: Context) -> int:
    """The work of post-merge: as `after_commit`, where a merge commit was made."""
    return after_commit(ctx) if len(content_ids.parents(ctx.repo)) > 1 else 0


def after_rewrite(ctx: Context, pairs: Sequence[tuple[str, str]]) -> int:
    """The work of post-rewrite. `pairs`: the old and the new id of each commit."""
    addition, ids = Addition(), dict[bytes, str]()
    _copied(ctx, pairs, addition, ids)
    _by_content(ctx, list(dict.fromkeys(new for _, new in pairs)), addition, ids)
    return _write(ctx, addition, ids)


def _write(ctx: Context, addition: Addition, ids: dict[bytes, str]) -> int:
    if not addition.lines:
        return 0
    run_refs.add(ctx.repo, addition, ids, run_refs.identity(ctx.repo))
    return sum(len(lines) for lines in addition.lines.values())


def _by_content(
    ctx: Context, commits: Sequence[str], addition: Addition, ids: dict[bytes, str]
) -> None:
    found = content_ids.brought(ctx.repo, commits)
    oids = content_ids.content_ids(
        ctx.repo, (file.blob for files in found.values() for file in files)
    )
    if not oids:
        return
    from mlver.workflows import known_runs

    with known_runs.known(ctx) as runs:
        lines = {oid: runs.lines_making(oid) for oid in set(oids.values())}
    for commit, files in found.items():
        for oid in dict.fromkeys(oids[file.blob] for file in files if file.blob in oids):
            for run_id, line in lines[oid]:
                addition.note(commit, line)
                ids[line] = run_id


def _copied(
    ctx: Context, pairs: Iterable[tuple[str, str]], addition: Addition, ids: dict[bytes, str]
) -> None:
    """Lines of the old commits' notes, ours and those that were fetched."""
    spaces = [NOTES, run_remotes.SPACE]
    tips = [tip for ref, tip in run_refs.tips(ctx.repo, spaces).items() if "kept" not in ref]
    with BlobReader(ctx.repo) as reader:
        for old, new in pairs:
            for tip in tips:
                lines, _ = run_refs.read_note(reader, tip, old)
                for line in lines:
                    run_id = _run_id(line)
                    if run_id:
                        addition.note(new, line)
                        ids[line] = run_id


def _run_id(line: bytes) -> str:
    """The run that a line tells of, also one of a later version's; "" for what is no record."""
    try:
        run_id = json.loads(line)["run_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return run_id if isinstance(run_id, str) and is_run_id(run_id) else ""
