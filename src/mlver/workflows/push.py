"""Content to a remote, before git's refs go anywhere.

What a push needs is read from history: the pointers in the commits that git's remote has not.
What the remote of content lacks is asked of it, each time. A remote that this clone has not
pushed to before is asked about the whole history of what is pushed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress

from mlver.errors import MissingContent, MlverError
from mlver.exchange import layout, registered
from mlver.exchange.push import Pusher, PushResult
from mlver.exchange.source import Catalog
from mlver.git import command, history, run_refs
from mlver.git.run_remotes import SPACE
from mlver.git.selection import EVERYTHING, Selection
from mlver.model.digest import short
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.workflows import cache, places, recapture
from mlver.workflows.context import Context

_MANY = 300
"""Index objects of a remote: a fresh clone reads each of them, eight at a time."""


def before_push(
    ctx: Context, remote: str, url: str, updates: Sequence[tuple[str, str]]
) -> PushResult | None:
    """The work of the pre-push hook. `updates`: (local, remote) object ids of each ref.

    None where the commits name no content. Raises MlverError: git then sends nothing.
    """
    include = [local for local, _ in updates if local.strip("0")]
    exclude = _present(ctx, [old for _, old in updates if old.strip("0")])
    recent = history.pointers_between(ctx.repo, include, exclude)
    if not recent and (not exclude or not history.pointers_between(ctx.repo, include)):
        return None
    place = places.for_push(ctx, git_remote=remote if remote != url else url)
    with closing(places.open_place(ctx, place, create=True)) as catalog:
        wanted = recent
        if exclude and not _pushed_before(ctx, remote, catalog):
            wanted = history.pointers_between(ctx.repo, include)
        result = push_pointers(ctx, catalog, wanted)
        _register(ctx, catalog, url)
        _remember(ctx, remote, catalog)
    _make_room(ctx)
    return result


def push(
    ctx: Context, name: str | None, *, everything: bool = False, chosen: Selection = EVERYTHING
) -> tuple[str, PushResult]:
    """Push what branches, tags and the index name (`everything`: all refs and reflogs)."""
    refs = history.all_refs(ctx.repo)
    if not everything:
        output = ctx.repo.git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags")
        refs = output.decode("ascii").split() + [head for _, head in history.worktrees(ctx.repo)]
    else:
        refs += history.reflog_commits(ctx.repo)
    refs = [ref for ref in refs if ref.strip("0")]
    wanted = {**history.pointers_between(ctx.repo, refs), **history.staged_pointers(ctx.repo)}
    wanted = {pointer: path for pointer, path in wanted.items() if chosen.takes(path)}
    kept = list(run_refs.tips(ctx.repo, [run_refs.KEPT]).values())
    of_runs = history.pointers_between(ctx.repo, kept, refs)
    of_runs = {pointer: path for pointer, path in of_runs.items() if chosen.takes(path)}
    place = places.for_push(ctx, name)
    with closing(places.open_place(ctx, place, create=True)) as catalog:
        layout.ensure_meta(catalog.remote)
        hold(ctx, catalog, {**of_runs, **wanted})  # before the push relies on any of it
        result = push_available(ctx, catalog, {**of_runs, **wanted})
    _make_room(ctx)
    absent = {pointer: error for pointer, error in result.absent.items() if pointer in wanted}
    if absent:
        raise _absent(wanted, absent)
    if result.absent:
        ctx.warn(absent_of_runs(result, place.name))
    return place.name, result


def absent_of_runs(result: PushResult, place: str) -> str:
    """The warning for logs, or data of runs' code, that are nowhere: their records are whole."""
    return f"{len(result.absent)} file(s) that runs name are neither here nor on {place}"


def _make_room(ctx: Context) -> None:
    """Bring the store down to its bound. What this very push sends git names only here until git
    has moved its refs, so that the next look may free more."""
    cache.look_again(ctx)
    cache.enforce(ctx)
    cache.look_again(ctx)


def hold(ctx: Context, catalog: Catalog, pointers: Iterable[Pointer]) -> None:
    """Keep on the remote what no git remote was seen to name: `git mlver gc --remote` in another
    clone cannot know of it."""
    output = ctx.repo.git("for-each-ref", "--format=%(objectname)", "refs/remotes", SPACE)
    seen = history.pointers_between(ctx.repo, output.decode("ascii").split())
    registered.hold(catalog.remote, set(pointers).difference(seen))


def _register(ctx: Context, catalog: Catalog, url: str) -> None:
    """Name git's remote on the remote of content, so that collection reads its refs."""
    folder = places.git_dir_of(ctx, url)
    if catalog.remote.url != (folder and os.fsdecode(os.path.join(folder, places.BESIDE))):
        registered.register(catalog.remote, url if folder is None else os.fsdecode(folder))


def push_pointers(
    ctx: Context, catalog: Catalog, wanted: dict[Pointer, bytes], *, deep: bool = False
) -> PushResult:
    """Push these blobs; MissingContent names those that neither side has."""
    result = push_available(ctx, catalog, wanted, deep=deep)
    if result.absent:
        raise _absent(wanted, result.absent)
    return result


def push_available(
    ctx: Context, catalog: Catalog, wanted: dict[Pointer, bytes], *, deep: bool = False
) -> PushResult:
    """As `push_pointers`; what cannot be had is left to the caller, in `absent`. What was freed
    here is stored again first, from the worktree's files or from another remote."""
    result = _push(ctx, catalog, wanted, deep=deep)
    absent = dict(result.absent)
    result.absent.clear()
    for some in recapture.groups(ctx, absent):
        failed = recapture.bring_back(ctx, {pointer: wanted[pointer] for pointer in some})
        again = {pointer: wanted[pointer] for pointer in some if pointer not in failed}
        more = _push(ctx, catalog, again, deep=deep)
        result.sent |= more.sent
        result.present |= more.present
        result.absent |= {**failed, **more.absent}
        result.bytes += more.bytes
        result.packs += more.packs
        cache.enforce(ctx)
    if catalog.listed > _MANY:
        ctx.warn(
            f"{catalog.name} has {catalog.listed} index objects; git mlver remote compact"
            " makes few of them, and every clone faster"
        )
    return result


def _push(
    ctx: Context, catalog: Catalog, wanted: dict[Pointer, bytes], *, deep: bool
) -> PushResult:
    ctx.store.use()
    recovery.make_durable(ctx.store)
    ctx.progress.start(f"pushing to {catalog.name}", sum(pointer.size for pointer in wanted))
    try:
        return Pusher(ctx.store, catalog, ctx.progress.step).push(wanted, deep=deep)
    finally:
        ctx.progress.finish()


def _absent(wanted: dict[Pointer, bytes], failed: dict[Pointer, MlverError]) -> MissingContent:
    pointer, error = next(iter(failed.items()))
    return MissingContent(
        f"{len(failed)} file(s) of these commits are neither here nor on the remote,"
        f" first {os.fsdecode(wanted[pointer])} ({short(pointer.oid)})",
        why="it was never stored here, or was freed, and cannot be fetched: "
        + (error.why or error.what),
        fix="git mlver fetch --all, or add the file again and amend the commit",
    )


def _present(ctx: Context, names: Sequence[str]) -> list[str]:
    """Of object ids that the other side has, those that this clone has too."""
    if not names:
        return []
    done = command.attempt(
        ["cat-file", "--batch-check=%(objectname) %(objecttype)"],
        cwd=ctx.repo.worktree or ctx.repo.git_dir,
        input="\n".join(names).encode() + b"\n",
    )
    rows = (line.split() for line in done.stdout.decode("ascii", "replace").splitlines())
    return [row[0] for row in rows if len(row) == 2 and row[1] in ("commit", "tag")]


def _state_file(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.store_dir, b"pushed.json")


def _read_state(ctx: Context) -> dict[str, str]:
    with suppress(OSError, ValueError), open(_state_file(ctx), encoding="utf-8") as file:
        state = json.load(file)
        if isinstance(state, dict):
            return state
    return {}


def _pushed_before(ctx: Context, remote: str, catalog: Catalog) -> bool:
    """True if the last push to this git remote went to this very store of content.

    Then what git's remote has was pushed there before its refs. It only shortens the walk
    through history; what the store has is asked in any case.
    """
    meta = layout.read_meta(catalog.remote)
    return meta is not None and _read_state(ctx).get(remote) == meta.get("id")


def _remember(ctx: Context, remote: str, catalog: Catalog) -> None:
    meta = layout.read_meta(catalog.remote)
    if meta is not None and isinstance(meta.get("id"), str):
        state = {**_read_state(ctx), remote: str(meta["id"])}
        with suppress(OSError):
            os.makedirs(ctx.repo.store_dir, exist_ok=True)
            temporary = _state_file(ctx) + b".new"
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(state, file)
            os.replace(temporary, _state_file(ctx))
