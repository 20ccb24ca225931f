"""`git mlver run`: a command, recorded. The command comes first: whatever fails in recording, it
runs, and its exit code is what comes back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlver.errors import MlverError
from mlver.lineage import opened
from mlver.lineage.child import CannotStart, Child, Ended, Signals
from mlver.lineage.redact import Redactor
from mlver.lineage.tee import Tee
from mlver.model.run import Run
from mlver.workflows import record, sidecar
from mlver.workflows.context import Context
from mlver.workflows.recording import Recording, Wanted, begin


@dataclass
class Result:
    """`run`: the record; None where recording failed. `waits`: it is in the journal still.
    `failed_to_start`: words, where there was no such program."""

    ended: Ended
    run: Run | None = None
    waits: bool = False
    failed_to_start: str = ""
    unseen: list[str] = field(default_factory=list)


def run(
    open_context: Callable[[], Context],
    wanted: Wanted,
    env: Mapping[str, str],
    warn: Callable[[str], None],
) -> Result:
    """Run the command, and record it as well as it can be. Raises nothing of recording's."""
    signals = Signals()
    recording = _begun(open_context, wanted, env, warn, signals)
    if recording is None:
        return _unrecorded(wanted.argv, env, signals)
    try:
        result = _watched(recording, wanted.argv, env, signals)
        with contextlib.suppress(KeyboardInterrupt):
            _conclude(recording, result, wanted, warn)
        return result
    finally:
        signals.unblock()
        recording.ctx.close()


def _begun(
    open_context: Callable[[], Context],
    wanted: Wanted,
    env: Mapping[str, str],
    warn: Callable[[str], None],
    signals: Signals,
) -> Recording | None:
    ctx = None
    try:
        ctx = open_context()
        parent = env.get(opened.VARIABLE)
        if parent:
            wanted = replace(wanted, parent_run=os.path.basename(parent.rstrip("/")))
        signals.block()
        return begin(ctx, wanted, Redactor(env), env)
    except Exception as error:
        warn(not_recorded(error))
        if ctx is not None:
            ctx.close()
        return None


def not_recorded(error: Exception) -> str:
    """The one warning where nothing can be recorded."""
    if isinstance(error, MlverError):
        why = f"\n  why:  {error.what}" + (f": {error.why}" if error.why else "")
        return f"this run is not recorded; the command goes on{why}" + (
            f"\n  next: {error.fix}" if error.fix else ""
        )
    return f"this run is not recorded; the command goes on\n  why:  {type(error).__name__}: {error}"


def _unrecorded(argv: Sequence[str], env: Mapping[str, str], signals: Signals) -> Result:
    signals.block()
    try:
        ended = Child(argv, opened.without_hook(dict(env)), signals).wait()
        return Result(ended)
    except CannotStart as error:
        return Result(Ended(error.exit_code), failed_to_start=str(error))
    finally:
        signals.unblock()


def _watched(
    recording: Recording, argv: Sequence[str], env: Mapping[str, str], signals: Signals
) -> Result:
    """The command with both its streams kept. Without logs, where they cannot be had."""
    entry = recording.entry
    env = opened.with_hook(dict(env), os.fsdecode(entry.path))
    tee, lost = None, []
    try:
        logs = (entry.open_log(b"stdout"), entry.open_log(b"stderr"))
        tee = Tee(logs, recording.redactor)
    except (MlverError, OSError) as error:
        lost = [f"stdout and stderr: {error}"]
    try:
        streams = (tee.stdout, tee.stderr) if tee is not None else (1, 2)
        child = Child(argv, env, signals, *streams)
    except CannotStart as error:
        if tee is not None:
            tee.abandon()
        return Result(Ended(error.exit_code), failed_to_start=str(error))
    if tee is None:
        return Result(child.wait(), unseen=lost)
    tee.start()
    ended = child.wait(tee.resize)
    return Result(ended, unseen=tee.finish())


def _conclude(
    recording: Recording, result: Result, wanted: Wanted, warn: Callable[[str], None]
) -> None:
    """What follows the command's end. A failure leaves the journal to the next command."""
    ended = result.ended
    status = "killed" if ended.signal else "finished" if ended.exit_code == 0 else "failed"
    ctx, entry = recording.ctx, recording.entry
    try:
        seen = recording.seen()
        said = list(result.unseen)
        if result.failed_to_start:
            said.append(f"the command could not be started: {result.failed_to_start}")
        result.run = recording.end(status, ended.exit_code, said)
        complete = sidecar.completer(ctx, wanted)
        result.run = record.conclude(ctx, entry, result.run, seen, recording.redactor, complete)
        result.run = record.finish(ctx, entry, result.run)
        result.waits = os.path.isdir(entry.path)
    except Exception as error:
        result.waits = True
        entry.release()
        what = error.what if isinstance(error, MlverError) else f"{type(error).__name__}: {error}"
        why = error.why if isinstance(error, MlverError) else ""
        warn(
            f"the run {entry.run_id} waits in the journal: {what}"
            + (f"\n  why:  {why}" if why else "")
            + "\n  next: git mlver runs, when that is mended: it takes the run in"
        )
        return
    record.sweep(ctx)
