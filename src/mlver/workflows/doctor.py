"""`git mlver doctor`: is everything set up, and what is wrong here? `--fix` mends what is safe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from mlver.errors import MlverError
from mlver.git import command
from mlver.git.objects import small_blobs, staged
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.store import chunker
from mlver.workflows import cache, doctor_remotes, install, partial
from mlver.workflows.context import Context
from mlver.workflows.finding import Finding
from mlver.workflows.hydrate import pending
from mlver.workflows.track import raw_files

_STALE = 600
_CONFLICT_LIMIT = 4096


def doctor(ctx: Context) -> list[Finding]:
    """Every check, good news included."""
    findings: list[Finding] = []
    for check in (
        _git,
        _chunker,
        _drivers,
        _hooks,
        _locks,
        doctor_remotes.check,
        _store,
        _files,
        _conflicts,
    ):
        try:
            findings += check(ctx)
        except MlverError as error:
            findings.append(Finding("problem", error.what, error.fix))
    return findings


def _git(ctx: Context) -> Iterator[Finding]:
    version = command.run(["version"]).decode("utf-8", "replace").split()[2]
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    if numbers < [2, 34]:
        yield Finding("problem", f"git {version} is too old", "install git >= 2.34")
    else:
        yield Finding("ok", f"git {version}, Python {sys.version.split()[0]}")


def _chunker(ctx: Context) -> Iterator[Finding]:
    if chunker.is_compiled():
        yield Finding("ok", "pyfastcdc is compiled")
    else:
        yield Finding(
            "problem",
            "pyfastcdc runs on its pure-Python fallback: right, and a hundred times slower",
            "pip install --force-reinstall pyfastcdc",
        )


def _drivers(ctx: Context) -> Iterator[Finding]:
    bad = [
        state
        for state in install.drivers_state(ctx.repo.worktree or ctx.repo.git_dir)
        if state.condition != "ok"
    ]
    if not bad:
        yield Finding("ok", "git's configuration starts our filter and drivers")
    for state in bad:
        level = "note" if state.condition == "differs" else "problem"
        yield Finding(level, f"git's {state.key} is {state.condition}", "git mlver install")


def _hooks(ctx: Context) -> Iterator[Finding]:
    if ctx.repo.worktree is None:  # nobody commits or checks out in a bare repository
        return
    bad = [s for s in install.hooks_state(ctx.repo) if s.condition not in ("ours", "chained")]
    if not bad:
        yield Finding("ok", "the hooks are installed")
    for state in bad:
        note = f": {state.note}" if state.note else ""
        yield Finding(
            "problem", f"the {state.name} hook is {state.condition}{note}", "git mlver init"
        )


def _locks(ctx: Context) -> Iterator[Finding]:
    """git's own lock files that outlived their process. Named, never removed."""
    for folder in {ctx.repo.git_dir, ctx.repo.common_dir}:
        for name in (b"index.lock", b"HEAD.lock", b"config.lock", b"packed-refs.lock"):
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):
                age = time.time() - os.stat(path).st_mtime
                if age > _STALE:
                    shown = os.fsdecode(path)
                    yield Finding(
                        "problem",
                        f"{shown} is {age / 60:.0f} minutes old: a git command was killed",
                        f"if no git command is running: rm '{shown}'",
                    )


def _store(ctx: Context) -> Iterator[Finding]:
    """The bound of the store and what it holds; a bound that is none is a problem, told above."""
    limit, stored = ctx.settings.cache_size, cache.used(ctx)
    held = f"the store holds {stored:,} bytes"
    if limit is None:
        yield Finding("ok", f"{held}, and has no bound (mlver.cacheSize)")
    elif stored <= limit:
        yield Finding("ok", f"{held}, of {limit:,} at most (mlver.cacheSize)")
    else:
        yield Finding(
            "note",
            f"{held}, more than mlver.cacheSize ({limit:,}): what no remote holds, or only this"
            " clone names, stays",
            "git push; then git mlver pull, or git mlver prune",
        )


def _files(ctx: Context) -> Iterator[Finding]:
    if ctx.repo.worktree is None:
        return
    raw = raw_files(ctx)
    if raw:
        first = os.fsdecode(raw[0])
        yield Finding(
            "problem",
            f"{len(raw)} tracked file(s) are in git as content, not as pointers, first {first}",
            f"git add --renormalize {first}",
        )
    left, chosen = pending(ctx), partial.configured(ctx.settings)
    wanted = [path for path in left if chosen.takes(path)]
    if wanted:
        count = len(wanted)
        yield Finding("note", f"{count} file(s) are pointers in the worktree", "git mlver pull")
    if not chosen.is_everything:
        yield Finding(
            "ok",
            f"this is a partial clone: {len(left) - len(wanted)} file(s) stay pointers"
            " (mlver.fetchInclude, mlver.fetchExclude)",
        )


def _conflicts(ctx: Context) -> Iterator[Finding]:
    if ctx.repo.worktree is None:
        return
    for path in conflicted(ctx):
        shown = os.fsdecode(path)
        yield Finding(
            "problem",
            f"{shown} holds pointers between conflict markers",
            "git mlver doctor --fix, to take our side back from the index or HEAD",
        )


def conflicted(ctx: Context) -> list[bytes]:
    """Files whose worktree or staged content is pointers between conflict markers."""
    entries = [entry for entry in staged(ctx.repo) if entry.is_file]
    blobs = {entry.blob for entry in entries if entry.stage == 0}
    bad = {
        blob
        for blob, data in small_blobs(ctx.repo, blobs, limit=_CONFLICT_LIMIT)
        if pointers.is_conflicted(data)
    }
    found = []
    with Worktree(ctx.repo.top) as worktree:
        for entry in entries:
            try:
                data = worktree.read_small(entry.path, _CONFLICT_LIMIT)
            except (OSError, MlverError):
                continue
            if entry.blob in bad or (data is not None and pointers.is_conflicted(data)):
                found.append(entry.path)
    return list(dict.fromkeys(found))


def fix(ctx: Context) -> list[str]:
    """Mend what is safe to mend: settings, hooks, and pointers between conflict markers."""
    done = install.init(ctx, policy_file=False).done
    for path in conflicted(ctx):
        literal = b":(top,literal)" + path
        unmerged = any(entry.stage for entry in staged(ctx.repo, [literal]))
        # After `git add` the index has the markers alone, and --ours would bring them back.
        side = "--ours" if unmerged else "HEAD"
        command.run(["checkout", side, "--", literal], cwd=ctx.repo.top, filters=True)
        done.append(f"{os.fsdecode(path)}: our side is back")
    return done
