"""The pre-commit hook: nothing large reaches git's history by accident.

Every staged file over the threshold, or named by a policy pattern, that is not a pointer yet
becomes one (workflows/capture). Pointers between conflict markers are refused. Last, all content
is made durable: a commit never names what a power cut could take.

Most commits have nothing to capture and pay for this module alone, so it imports only what the
looking needs; what works on content is imported when there is some.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence

from mlver.errors import RefusedError
from mlver.git import command, run_presence
from mlver.git.objects import EXECUTABLE, REGULAR, small_blobs
from mlver.model import pointer as pointers
from mlver.workflows.context import Context
from mlver.workflows.staged import ATTRIBUTES, Captured, Staged

_CONFLICT_LIMIT = 4096
"""Pointers between conflict markers are shorter than this."""


def before_commit(ctx: Context) -> list[Captured]:
    """The work of the pre-commit hook. Raises RefusedError, LocalIOError: no commit then."""
    changed = _staged_changes(ctx)
    _refuse_conflicted(ctx, changed)
    _refuse_unresolved(ctx)
    wanted = [item for item in changed if _is_wanted(ctx, item)]
    captured: list[Captured] = []
    if wanted:
        from mlver.workflows.capture import capture

        captured = capture(ctx, wanted)
    if captured:
        changed = _staged_changes(ctx)
    _look_at_runs(ctx, changed)
    if _has_fresh_packs(ctx):
        from mlver.store import recovery

        recovery.make_durable(ctx.store)
    return captured


def before_rebased_commit(ctx: Context) -> list[Captured]:
    """The work of the prepare-commit-msg hook: as `before_commit`, where `git rebase --continue`
    commits what a person has staged, which it does with --no-verify.

    The caller stops the commit if anything was captured: git has written its tree by now. Commits
    that a rebase only repeats are left as they were, and so is a person's own `--no-verify`.
    """
    stop = os.path.join(ctx.repo.git_dir, b"rebase-merge", b"stopped-sha")
    return before_commit(ctx) if os.path.exists(stop) else []


def stopped(captured: Sequence[Captured]) -> RefusedError:
    """The error that stops such a commit. Run again, git takes the pointers."""
    return RefusedError(
        f"nothing is committed yet: {len(captured)} file(s) that were too large for git, or of a"
        " tracked type, are pointers now",
        why="git rebase --continue skips pre-commit, and has taken the files before this hook runs",
        fix="git rebase --continue",
    )


def _look_at_runs(ctx: Context, changed: Sequence[Staged]) -> None:
    """Most repositories have no runs and no policy of them, and pay for one look."""
    if ctx.settings.runs.policy not in ("", "off") or run_presence.has_runs(ctx.repo):
        from mlver.workflows import staged_runs

        staged_runs.before_commit(ctx, changed)


def _refuse_unresolved(ctx: Context) -> None:
    if os.path.exists(os.path.join(ctx.repo.state_dir, b"conflicts")):
        from mlver.workflows import unresolved

        unresolved.before_commit(ctx)


def _has_fresh_packs(ctx: Context) -> bool:
    try:
        return bool(os.listdir(os.path.join(ctx.repo.store_dir, b"incoming")))
    except FileNotFoundError:
        return False


def _staged_changes(ctx: Context) -> list[Staged]:
    """Ordinary files whose staged content is new against HEAD, with their blob's size."""
    raw = ctx.repo.git(
        "diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames",
        "--diff-filter=AMT", "--ignore-submodules", "--no-ext-diff",
    )  # fmt: skip
    rows = command.fields(raw)
    found = []
    for meta, path in zip(rows[::2], rows[1::2], strict=True):
        _, mode, _, blob, _ = meta.decode("ascii").lstrip(":").split(" ")
        if mode in (REGULAR, EXECUTABLE):
            found.append((mode, blob, path))
    if not found:
        return []
    ask = "\n".join(blob for _, blob, _ in found).encode() + b"\n"
    sizes = ctx.repo.git("cat-file", "--batch-check=%(objectsize)", input=ask).split()
    return [
        Staged(mode, blob, path, int(size) if size.isdigit() else 0)
        for (mode, blob, path), size in zip(found, sizes, strict=True)
    ]


def _is_wanted(ctx: Context, item: Staged) -> bool:
    # Settings first: a policy that cannot be read stops the commit, however small its files are.
    if ctx.settings.policy == "off" or item.size < pointers.MAX_SIZE:
        # A file shorter than a pointer gains nothing; a pointer itself is that short.
        return False
    if item.path == ATTRIBUTES or item.path.endswith(b"/" + ATTRIBUTES):
        return False
    if item.size > ctx.settings.threshold:
        return True
    path = os.fsdecode(item.path)
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(path if "/" in pattern else name, pattern.lstrip("/"))
        for pattern in ctx.settings.patterns
    )


def _refuse_conflicted(ctx: Context, changed: Sequence[Staged]) -> None:
    suspects = {item.blob: item for item in changed if 64 < item.size <= _CONFLICT_LIMIT}
    if not suspects:
        return
    for blob, data in small_blobs(ctx.repo, suspects, limit=_CONFLICT_LIMIT):
        if pointers.is_conflicted(data):
            path = os.fsdecode(suspects[blob].path)
            raise RefusedError(
                f"{path} holds pointers between conflict markers",
                why="git merged the pointers as text; committing that would lose both versions",
                fix=f"git checkout --ours -- {path} (or --theirs), then git add {path}",
            )
