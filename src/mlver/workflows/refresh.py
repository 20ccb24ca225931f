"""`git mlver refresh`: run again what is stale, in order, and only that.

A step is a known run one of whose outputs lies in the worktree with the very content that it wrote.
It is stale where
- data or parameters changed: a file that it read has another content now, or is gone;
- code changed: a file of the recorded tree that its command runs differs from today's. Which files
  those are is told from a Python program's imports (lineage/code_files); of any other command it is
  every source file of the recorded tree.
After a step was run, those that read what it wrote are looked at anew: where it wrote the same
content again, they are not stale. Packages and the machine are no reason.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mlver.errors import MlverError, UsageError
from mlver.git import command, content_ids
from mlver.git.objects import BlobReader, pointers_of, staged
from mlver.git.worktree import Worktree, check_path
from mlver.lineage import opened
from mlver.lineage.code_files import code_files
from mlver.lineage.graph import OUTPUT
from mlver.lineage.roles import is_code
from mlver.model.digest import Digest, digest_of
from mlver.workflows import known_runs
from mlver.workflows import run as recorder
from mlver.workflows.context import Context, open_context
from mlver.workflows.known_runs import KnownRuns
from mlver.workflows.rebuilt_env import Environment
from mlver.workflows.recording import Wanted
from mlver.workflows.reproduce import refused, surroundings, with_python
from mlver.workflows.reproduce_plan import Step, check_command, rank, step_of
from mlver.workflows.scratch import code_tree
from mlver.workflows.worktree_content import held

_WINDOW = 1 << 20


@dataclass
class Stale:
    """A step that is stale, and why. `run_id`: its new record; `exit_code`: None where it was not
    run."""

    step: Step
    reasons: list[str]
    run_id: str | None = None
    exit_code: int | None = None


@dataclass
class Refreshed:
    """The stale steps, in order; `current`: how many steps are as they should be."""

    stale: list[Stale] = field(default_factory=list)
    current: int = 0
    failed: bool = False


def refresh(
    ctx: Context,
    paths: Sequence[bytes],
    consent: Callable[[Sequence[Step]], bool],
    *,
    dry_run: bool = False,
) -> Refreshed:
    """Run again what is stale of `paths` (relative to the top; everything where empty) and of what
    leads to them. Raises UsageError, RefusedError."""
    top = ctx.repo.top
    with known_runs.known(ctx) as runs:
        steps = _ordered(_live(ctx, runs, paths))
    if paths and not steps:
        raise UsageError(
            "no known run made what these paths hold now", fix="git mlver runs, to see the runs"
        )
    result = Refreshed()
    asked: set[int] = set()
    touched: set[str] = set()
    for step in steps:
        reasons = _reasons(ctx, step)
        if dry_run:
            before = [item.path for item in step.inputs if item.path in touched]
            reasons += [f"after: {path} is made anew" for path in before]
        if not reasons:
            result.current += 1
            continue
        found = Stale(step, reasons)
        result.stale.append(found)
        touched.update(item.path for item in step.outputs)
        if dry_run:
            continue
        check_command(step)
        foreign = [s for s in steps if not s.own and s.known.number not in asked]
        if not step.own and step.known.number not in asked:
            if not consent(foreign):
                raise refused(foreign)
            asked.update(s.known.number for s in foreign)
        _run(ctx, top, found)
        if found.exit_code:
            result.failed = True
            break
    return result


def _run(ctx: Context, top: bytes, found: Stale) -> None:
    run = found.step.known.run
    cwd = os.path.join(top, os.fsencode(str(run.job.get("cwd", ""))))
    real, inside = os.path.realpath(cwd), os.path.realpath(top)
    if real != inside and not real.startswith(inside + os.sep.encode()):
        raise UsageError(f"the folder {os.fsdecode(cwd)!r} lies outside the worktree")
    env = opened.without_hook({k: v for k, v in os.environ.items() if not k.startswith("GIT_")})
    with surroundings(real):
        wanted = Wanted(
            argv=tuple(with_python(list(run.job["argv"]), Environment())),
            name=run.name,
            cwd=real,
            inputs=[os.path.join(top, os.fsencode(item.path)) for item in found.step.inputs],
            outputs=[os.path.join(top, os.fsencode(item.path)) for item in found.step.outputs],
        )
        done = recorder.run(lambda: open_context(top, ctx.warn), wanted, env, ctx.warn)
    found.exit_code = done.ended.exit_code
    found.run_id = None if done.run is None else done.run.run_id


# -- which steps there are ------------------------------------------------------------------------


def _live(ctx: Context, runs: KnownRuns, paths: Sequence[bytes]) -> list[Step]:
    """The runs that made what the worktree holds now, at `paths` and upstream of them."""
    rows = runs.ask("select distinct path from uses where direction = ?", [OUTPUT])
    outputs = {str(row[0]) for row in rows}
    wanted = {path.decode("utf-8", "replace") for path in paths}
    todo = {path for path in outputs if not wanted or any(_below(path, one) for one in wanted)}
    found: dict[int, Step] = {}
    seen: set[str] = set()
    while todo:
        ids = current_ids(ctx, todo)
        seen |= todo
        todo = set()
        for path, oid in ids.items():
            makers = [] if oid is None else runs.making(oid)
            makers = [m for m in makers if m.run.status == "finished"]
            if not makers:
                continue
            best = min(makers, key=lambda m: rank(ctx, runs, m, path))
            if best.number not in found:
                found[best.number] = step_of(ctx, runs, best)
                todo |= {item.path for item in found[best.number].inputs} & outputs - seen
    return list(found.values())


def _below(path: str, wanted: str) -> bool:
    return wanted in ("", ".") or path == wanted or path.startswith(wanted.rstrip("/") + "/")


def _ordered(steps: Iterable[Step]) -> list[Step]:
    """Each after those whose outputs it reads; otherwise as they were started."""
    left = sorted(steps, key=lambda step: step.known.run.started)
    order: list[Step] = []
    while left:
        made = {id(step): {item.path for item in step.outputs} for step in left}
        ready = [
            step
            for step in left
            if not any(
                item.path in made[id(other)]
                for other in left
                if other is not step
                for item in step.inputs
            )
        ]
        chosen = ready or left[:1]  # a circle: the oldest first
        order += chosen
        left = [step for step in left if step not in chosen]
    return order


# -- what is stale --------------------------------------------------------------------------------


def _reasons(ctx: Context, step: Step) -> list[str]:
    ids = current_ids(ctx, {item.path for item in step.inputs if item.oid is not None})
    found = []
    configs = {item.path for item in step.known.run.configs}
    for item in step.inputs:
        if item.oid is not None and ids.get(item.path) != item.oid:
            what = "parameters" if item.path in configs else "data"
            gone = " is gone" if ids.get(item.path) is None else " changed"
            found.append(f"{what}: {item.path}{gone}")
    return found + [f"code: {path} changed" for path in _changed_code(ctx, step)]


def _changed_code(ctx: Context, step: Step) -> list[str]:
    run = step.known.run
    try:
        tree = code_tree(ctx.repo, run)
    except MlverError:
        return []  # what cannot be compared is no reason to run anything
    output = ctx.repo.git("ls-tree", "-r", "-z", "--full-tree", tree)
    rows = [row.split(b"\t", 1) for row in command.fields(output)]
    blobs = {
        os.fsdecode(path): meta.split(b" ")[2].decode()
        for meta, path in rows
        if meta.startswith(b"100")
    }
    with BlobReader(ctx.repo) as reader:

        def read(path: str) -> bytes | None:
            return reader.read(blobs[path].encode(), 4 << 20) if path in blobs else None

        cwd = str(run.job.get("cwd", ""))
        words = run.job.get("argv", [])
        files = code_files([str(word) for word in words], cwd, read)
    wrote = {item.path for item in (*step.inputs, *step.outputs)}
    if files is None:
        files = {path for path in blobs if is_code(os.fsencode(path))}
    now = _blobs_now(ctx, sorted(files - wrote))
    return [path for path in sorted(files - wrote) if now.get(path) != blobs[path]]


def _blobs_now(ctx: Context, paths: Sequence[str]) -> dict[str, str]:
    """The blob that git would make of each file of the worktree that is there."""
    there = []
    with Worktree(ctx.repo.top) as worktree:
        for path in paths:
            info = worktree.stat(check_path(os.fsencode(path)))
            if info is not None and stat.S_ISREG(info.st_mode) and "\n" not in path:
                there.append(path)
    if not there:
        return {}
    ask = "".join(f"{path}\n" for path in there)
    output = ctx.repo.git("hash-object", "--stdin-paths", input=os.fsencode(ask))
    return dict(zip(there, output.decode("ascii").split(), strict=True))


def current_ids(ctx: Context, paths: Iterable[str]) -> dict[str, Digest | None]:
    """The content id of what each path holds in the worktree; None where nothing is there.

    Of a file that git knows as unchanged the index tells it; any other is read.
    """
    wanted = {path: os.fsencode(path) for path in paths}
    changed = set(command.fields(ctx.repo.git("diff-files", "--name-only", "-z")))
    inside = set(wanted.values())
    entries = {e.path: e.blob for e in staged(ctx.repo) if e.stage == 0 and e.path in inside}
    clean = {path: blob for path, blob in entries.items() if path not in changed}
    named = pointers_of(ctx.repo, clean.values())
    plain = content_ids.content_ids(ctx.repo, [b for b in clean.values() if b not in named])
    found: dict[str, Digest | None] = {}
    with Worktree(ctx.repo.top) as worktree:
        for path, raw in wanted.items():
            blob = clean.get(raw, "")
            if blob in named:
                found[path] = named[blob].oid
            else:
                found[path] = plain.get(blob) or _hashed(worktree, raw)
    return found


def _hashed(worktree: Worktree, path: bytes) -> Digest | None:
    try:
        info = worktree.stat(check_path(path))
        if info is None or not stat.S_ISREG(info.st_mode):
            return None
        now = held(worktree, path)
    except (OSError, MlverError):
        return None
    if now is None:
        return None
    return digest_of(b"") if now.pointer is None else now.pointer.oid
