"""What pre-commit asks of runs: whether models that are staged were made by one (policy), and which
runs made what is staged (the trailer `Mlver-Run` of the commit's message).

The ids wait in a file for the commit-msg hook, which has no other reason to start. A repository
without runs pays for neither, unless its policy is set.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from mlver.errors import MlverError, RefusedError
from mlver.git import command
from mlver.git.content_ids import content_ids
from mlver.git.run_presence import has_runs
from mlver.workflows.context import Context
from mlver.workflows.staged import Staged

TRAILER = "Mlver-Run"
_MOST = 32
_SCISSORS = b"------------------------ >8 ------------------------"


def before_commit(ctx: Context, changed: Sequence[Staged]) -> None:
    """Look at what is staged. Raises RefusedError where the policy says so."""
    _forget(ctx)
    present = has_runs(ctx.repo)
    mode = ctx.settings.runs.mode(present)
    models = [item for item in changed if mode != "off" and is_model(ctx, item.path)]
    wants_trailer = present and _wants_trailer(ctx)
    if not models and not (wants_trailer and changed):
        return
    makers: dict[str, list[str]] = {}
    if present:
        items = changed if wants_trailer else models
        try:
            makers = _makers(ctx, [item.blob for item in items])
        except MlverError as error:
            if mode == "reject" and models:
                raise
            ctx.warn(f"{error.what}: whether runs made what is staged is not known")
            return
    unmade = [item for item in models if not makers.get(item.blob)]
    if unmade:
        unmade = _not_moved(ctx, unmade)
    if unmade:
        tell(ctx, mode, sorted(item.path for item in unmade), "nothing is committed")
    if wants_trailer:
        _leave(ctx, dict.fromkeys(run_id for ids in makers.values() for run_id in ids))


def _makers(ctx: Context, blobs: Sequence[str]) -> dict[str, list[str]]:
    """Blob → ids of the runs that made its content."""
    oids = content_ids(ctx.repo, blobs)
    if not oids:
        return {}
    from mlver.workflows import known_runs

    with known_runs.known(ctx) as runs:
        return {
            blob: [run_id for run_id, _ in runs.lines_making(oid)] for blob, oid in oids.items()
        }


def is_model(ctx: Context, path: bytes) -> bool:
    """Whether the policy looks at this file."""
    shown = os.fsdecode(path)
    name = shown.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(shown if "/" in pattern else name, pattern.lstrip("/"))
        for pattern in ctx.settings.runs.models
    )


def _not_moved(ctx: Context, items: Sequence[Staged]) -> list[Staged]:
    """Those whose content HEAD holds at no other path: a file that was renamed has not changed."""
    done = command.attempt(["ls-tree", "-r", "-z", "HEAD"], cwd=ctx.repo.top)
    there = {row.split(b"\t", 1)[0].split(b" ")[2] for row in command.fields(done.stdout)}
    return [item for item in items if item.blob.encode() not in there]


def tell(ctx: Context, mode: str, paths: Sequence[bytes], stopped: str) -> None:
    """Warn of models that no known run made; RefusedError where the policy is to reject them."""
    names = ", ".join(os.fsdecode(path) for path in paths[:5]) + (", …" if len(paths) > 5 else "")
    what = f"{len(paths)} model file(s) changed without a recorded run that made them: {names}"
    fix = "git mlver run -- COMMAND makes them with a record; [runs] policy in .mlver.toml decides"
    if mode == "reject":
        raise RefusedError(
            f"{stopped}: {what}", why='.mlver.toml has [runs] policy = "reject"', fix=fix
        )
    ctx.warn(f"{what}\n  next: {fix}")


# -- the trailer ---------------------------------------------------------------------------------


def _wants_trailer(ctx: Context) -> bool:
    if (ctx.settings.get("trailer") or "true").lower() in ("false", "no", "off", "0"):
        return False
    return not os.path.exists(os.path.join(ctx.repo.git_dir, b"MERGE_HEAD"))


def _file(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.state_dir, b"trailer")


def _forget(ctx: Context) -> None:
    with suppress(OSError):
        os.unlink(_file(ctx))


def _leave(ctx: Context, ids: Iterable[str]) -> None:
    some = sorted(ids)[-_MOST:]
    if not some:
        return
    with suppress(OSError):  # a trailer is no reason to stop a commit
        os.makedirs(ctx.repo.state_dir, exist_ok=True)
        with open(_file(ctx), "w", encoding="ascii") as file:
            file.write("\n".join(some) + "\n")


def add_trailer(ctx: Context, message: bytes) -> list[str]:
    """The work of commit-msg: put the ids that pre-commit left into the message; those added.

    None that stands there already, however it came (an amend, a squash), none in a merge's
    message, and none in a message that is empty: git is to give that up.
    """
    try:
        with open(_file(ctx), encoding="ascii") as file:
            ids = file.read().split()
        with open(message, "rb") as text:
            data = text.read()
    except (OSError, ValueError):
        return []
    finally:
        _forget(ctx)
    if not _wants_trailer(ctx) or not _says_something(ctx, data):
        return []
    new = [run_id for run_id in ids if run_id.encode() not in data]
    if new:
        ctx.repo.git(
            "interpret-trailers", "--in-place", "--no-divider", "--where", "end",
            "--if-exists", "addIfDifferent",
            *(f"--trailer={TRAILER}: {run_id}" for run_id in new), "--", message,
        )  # fmt: skip
    return new


def _says_something(ctx: Context, data: bytes) -> bool:
    text = data.split(_SCISSORS)[0]
    own = ctx.repo.git("stripspace", "--strip-comments", input=text).strip()
    template = _template(ctx)
    return bool(own) and own != template


def _template(ctx: Context) -> bytes:
    """The message that commit.template begins every commit with: git gives up one left as it is."""
    done = command.attempt(["config", "--type=path", "commit.template"], cwd=ctx.repo.top)
    path = done.stdout.rstrip(b"\n")
    try:
        with open(os.path.join(ctx.repo.top, path), "rb") as file:
            return ctx.repo.git("stripspace", "--strip-comments", input=file.read()).strip()
    except OSError:
        return b""
