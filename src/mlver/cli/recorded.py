"""`git mlver run`, after its words were understood: the command is run, and a person is told what
was recorded. Imports no click: it is on the path of every run."""

from __future__ import annotations

import os
import sys

from mlver.cli.output import escape, warn
from mlver.cli.progress import for_terminal
from mlver.cli.run_words import Words
from mlver.errors import UsageError
from mlver.lineage.argv_params import value_of
from mlver.model.run import Artifact, Run
from mlver.workflows.context import Context, open_context
from mlver.workflows.recording import Wanted
from mlver.workflows.run import Result, run

_NAMED = 4


def record(words: Words) -> int:
    """Run and record; the exit code is the command's. Raises UsageError."""
    wanted = Wanted(
        argv=words.command,
        name=words.name,
        cwd=os.getcwdb(),
        inputs=[os.path.abspath(path) for path in words.inputs],
        outputs=[os.path.abspath(path) for path in words.outputs],
        metrics=[os.path.abspath(path) for path in words.metrics],
        exclude=list(words.exclude),
        params={key: value_of(value) for key, value in map(_pair, words.params)},
        tags=dict(map(_pair, words.tags)),
        sidecar=words.sidecar,
        embed=words.embed,
    )
    result = run(_opened, wanted, os.environ, warn)
    if result.failed_to_start:
        warn(result.failed_to_start)
    if result.run is not None and not words.quiet:
        _tell(result.run, result)
    if result.ended.signal:
        from mlver.lineage.child import die_of

        sys.stdout.flush()
        sys.stderr.flush()
        die_of(result.ended.signal)
    return result.ended.exit_code


def _opened() -> Context:
    return open_context(warn=warn, progress=for_terminal())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} is no NAME=VALUE", fix="write it as --param lr=0.1")
    return name, value


def _tell(run: Run, result: Result) -> None:
    counts = [
        _count(_total(run, "inputs", len(run.inputs) + len(run.configs)), "input"),
        _count(_total(run, "outputs", len(run.outputs)), "output"),
        _count(_total(run, "params", len(run.params)), "parameter"),
        _count(len(run.metrics), "metric"),
    ]
    lines = [f"run {run.run_id} ({run.name}) {run.status}: {', '.join(counts)}"]
    for word, items in (("read ", [*run.inputs, *run.configs]), ("wrote", list(run.outputs))):
        if items:
            lines.append(f"  {word}   {_names(items)}")
    if run.code.get("left_out"):
        left = list(map(str, run.code["left_out"]))
        shown = ", ".join(left[:_NAMED]) + (" …" if len(left) > _NAMED else "")
        lines.append(f"  left out of the code's snapshot: {shown}")
    lines += [f"  unseen  {words}" for words in run.other.get("unseen", ())]
    if result.waits and not run.code.get("commit"):
        lines.append("  it waits for the first commit")
    warn("\n".join(escape(line) for line in lines))


def _total(run: Run, member: str, shown: int) -> int:
    number = run.other.get("listings", {}).get(member, 0)
    return max(int(number), shown)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _names(items: list[Artifact]) -> str:
    names = ", ".join(item.path for item in items[:_NAMED])
    return names + (f" and {len(items) - _NAMED} more" if len(items) > _NAMED else "")
