"""The end of a run: from its journal into git.

`conclude` makes the record whole: what the API was told, which files were read and written.
`finish` puts logs and points into the store, the record into a note and its folder into the kept
tree, in one step; only then the journal goes. `sweep` does both for what killed recorders and
failed notes have left. Each may be repeated: the same journal gives the same line.

A run from before the first commit waits; the first sweep that finds a commit attaches it there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from mlver import system
from mlver.errors import CorruptContent, LocalIOError, MlverError
from mlver.git import command, run_refs
from mlver.git.objects import BlobReader
from mlver.git.run_refs import Addition, KeptFile
from mlver.lineage import journal, opened, series
from mlver.lineage.journal import Entry
from mlver.lineage.redact import Redactor
from mlver.lineage.watch import Seen
from mlver.model.pointer import Pointer
from mlver.model.run import Blob, Run
from mlver.workflows.context import Context
from mlver.workflows.recording import capture_of, clean_params, mark_of, with_unseen
from mlver.workflows.run_artifacts import Artifacts, Observed, resolve
from mlver.workflows.run_size import fit, trimmed

NOTEBOOK = b"notebook"
_LOGS = ("stdout", "stderr", "series", "notebook")
_SECONDS = 5.0
_WAIT = 60.0


# -- the record ----------------------------------------------------------------------------------


def conclude(
    ctx: Context,
    entry: Entry,
    run: Run,
    seen: Seen | None,
    redactor: Redactor,
    complete: Callable[[Run], Run] | None = None,
) -> Run:
    """The run with all that it read, wrote and was told; in the journal, too. Raises MlverError.

    `seen`: what was watched; None for a killed recorder, whose sight went with it. `complete`: what
    is done to its outputs before the record is final (workflows/sidecar).
    """
    told = series.read(entry.path)
    capture = capture_of(entry)
    if seen is None:
        seen = Seen(
            unseen=["what programs other than Python read and wrote: the recorder was killed"]
        )
    observed = Observed(
        opened=opened.read(entry.path),
        seen=seen,
        inputs=[(os.fsencode(path), "") for path in capture.get("inputs", ())]
        + [(os.fsencode(row[0]), row[3]) for row in told.inputs],
        outputs=[(os.fsencode(path), "") for path in capture.get("outputs", ())]
        + [(os.fsencode(row[0]), row[3]) for row in told.outputs],
        metrics=[os.fsencode(path) for path in capture.get("metrics", ())],
        exclude=list(capture.get("exclude", ())),
        ignored_folders={os.fsencode(path) for path in capture.get("ignored_folders", ())},
        ignored_files={os.fsencode(path) for path in capture.get("ignored_files", ())},
        argv=tuple(run.job.get("argv", ())),
    )
    found = resolve(ctx.repo, str(run.code.get("tree", "")), mark_of(entry), observed)
    run = _with_found(run, found, told, set(capture.get("params", ())), redactor)
    if complete is not None:
        run = complete(run)
    if found.notebook is not None:
        _keep_notebook(ctx, entry, found.notebook, redactor)
    run = trimmed(entry, run)
    entry.write(run)
    return run


def _with_found(
    run: Run, found: Artifacts, told: series.Events, asked: set[str], redactor: Redactor
) -> Run:
    """Parameters: those of configurations, then the command's, the API's, and `--param` last."""
    given = {name: value for name, value in run.params.items() if name in asked}
    params = clean_params(redactor, found.params) | dict(run.params)
    params |= clean_params(redactor, told.params) | given
    metrics = {name: points.summary() for name, points in told.metrics.items()}
    for name, points in found.metrics.items():
        one = series.Series()
        for value, step in points:
            one.add(value, step, 0.0)
        metrics.setdefault(redactor.text(name), one.summary())
    run = replace(
        run,
        inputs=tuple(found.inputs),
        outputs=tuple(found.outputs),
        configs=tuple(found.configs),
        params={name: fit(value) for name, value in params.items()},
        metrics=metrics,
        tags={**run.tags, **told.tags},
    )
    if any(item.role == "notebook" for item in (*run.inputs, *run.outputs)):
        run = replace(run, job={**run.job, "kind": "notebook"})
    return with_unseen(run, [redactor.text(words) for words in [*found.unseen, *told.unseen]])


def _keep_notebook(ctx: Context, entry: Entry, path: bytes, redactor: Redactor) -> None:
    """The executed notebook, without secrets, put aside for the store."""
    with contextlib.suppress(OSError):
        with open(os.path.join(ctx.repo.top, path), "rb") as file:
            data = redactor.bytes(file.read())
        with open(entry.file(NOTEBOOK), "wb") as file:
            file.write(data)


# -- into git --------------------------------------------------------------------------------------


class _Ready(NamedTuple):
    entry: Entry
    run: Run
    commit: str
    kept: list[KeptFile]


def finish(ctx: Context, entry: Entry, run: Run) -> Run:
    """Put a run that has ended, whose journal is ours, into git; its record. Raises MlverError.

    Where there is no commit yet it stays in the journal, and is ours no more.
    """
    try:
        return _finish(ctx, [(entry, run)])[0]
    except BaseException:
        entry.release()
        raise


def _finish(ctx: Context, ended: Sequence[tuple[Entry, Run]]) -> list[Run]:
    first = "" if all(run.code.get("commit") for _, run in ended) else _first_commit(ctx)
    ready, waiting = [], []
    for entry, run in ended:
        commit = str(run.code.get("commit") or first)
        if not commit:
            entry.release()
            waiting.append(run)
            continue
        run, logs = _stored(ctx, entry, run)
        kept = [KeptFile(name, data) for name, data in entry.kept().items()] + logs
        if run.code.get("tree"):
            kept.append(KeptFile("code", tree=str(run.code["tree"])))
        ready.append(_Ready(entry, run, commit, kept))
    if ready:
        if "store" in ctx.__dict__:
            from mlver.store import recovery

            recovery.make_durable(ctx.store)
        with _alone(ctx):
            _note(ctx, ready)
        journal.mark_own(ctx.repo.store_dir, [item.run.encode() for item in ready])
        for item in ready:
            item.entry.remove()
    return [item.run for item in ready] + waiting


def _note(ctx: Context, ready: Sequence[_Ready], *, with_code: bool = True) -> None:
    addition = Addition()
    ids = {}
    for item in ready:
        line = item.run.encode()
        ids[line] = item.run.run_id
        addition.note(item.commit, line)
        addition.kept[item.run.run_id] = [f for f in item.kept if with_code or f.name != "code"]
    try:
        who = ready[0].run.actor or run_refs.identity(ctx.repo)
        run_refs.add(ctx.repo, addition, ids, who, seconds=_SECONDS)
    except MlverError:
        # A tree that nothing held may be gone after weeks (git gc): a run without it is still one.
        if not with_code or all(_is_there(ctx, item) for item in ready):
            raise
        _note(ctx, ready, with_code=False)


def _is_there(ctx: Context, item: _Ready) -> bool:
    with BlobReader(ctx.repo) as reader:
        return all(not f.tree or reader.read(f.tree.encode()) is not None for f in item.kept)


def _first_commit(ctx: Context) -> str:
    done = command.attempt(["rev-list", "--max-parents=0", "HEAD"], cwd=ctx.repo.top)
    lines = done.stdout.decode("ascii", "replace").split()
    return lines[-1] if done.returncode == 0 and lines else ""


def _stored(ctx: Context, entry: Entry, run: Run) -> tuple[Run, list[KeptFile]]:
    """Logs, points and the notebook in the store; the pointers to them."""
    blobs, kept = dict(run.blobs), []
    for name in _LOGS:
        if name == "series":
            data = series.blob(series.read(entry.path).metrics)
            pointer = _ingest(ctx, data) if data else None
        else:
            pointer = _ingest_file(ctx, entry.file(name.encode()))
        if pointer is not None:
            blobs[name] = Blob(pointer.oid, pointer.size)
            kept.append(KeptFile(name, pointer.encode()))
    return replace(run, blobs=blobs), kept


def _ingest(ctx: Context, data: bytes) -> Pointer:
    from mlver.store.ingest import Ingest

    with Ingest(ctx.store) as ingest:
        pointer = ingest.add_bytes(memoryview(data))
        ingest.flush()
        return pointer


def _ingest_file(ctx: Context, path: bytes) -> Pointer | None:
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size == 0:
                return None
            from mlver.store.ingest import Ingest

            with Ingest(ctx.store) as ingest:
                return ingest.add(lambda view: system.read_into(file.fileno(), view))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalIOError("a run's log cannot be read", why=str(error)) from error


@contextlib.contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    """Recorders of one repository note one after the other: thirty that try at once would each
    write their note many times. Who waits too long tries all the same; nothing depends on it."""
    folder = os.path.join(ctx.repo.store_dir, journal.FOLDER)
    try:
        fd = os.open(os.path.join(folder, b".noting"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield
        return
    try:
        end = time.monotonic() + _WAIT
        while not system.lock(fd) and time.monotonic() < end:
            time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def sweep(ctx: Context, *, most: int = 1000) -> list[Run]:
    """Finish what others have left: runs whose recorder was killed, and those whose note failed.

    Cheap where nothing waits: one look at a folder. Never raises for one run's sake; what still
    cannot be noted goes on waiting, with one warning.
    """
    ended: list[tuple[Entry, Run]] = []
    for entry in journal.entries(ctx.repo.store_dir):
        if len(ended) >= most:
            break
        try:
            if not entry.take():
                continue
            run, was_killed = entry.left()
            if was_killed:
                run = conclude(ctx, entry, run, None, Redactor(os.environ))
            ended.append((entry, run))
        except CorruptContent as error:
            entry.release()
            ctx.warn(f"{os.fsdecode(entry.path)} holds no run that can be read: {error.what}")
        except (MlverError, OSError) as error:
            entry.release()
            ctx.warn(f"the run {entry.run_id} could not be finished: {error}")
    if not ended:
        return []
    try:
        return _finish(ctx, ended)
    except (MlverError, OSError) as error:
        ctx.warn(f"{len(ended)} run(s) wait in the journal: {error}")
        return []
    finally:
        for entry, _ in ended:
            entry.release()
