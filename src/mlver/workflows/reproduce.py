"""`git mlver reproduce`: make a run's outputs again, from what was recorded, and compare.

Each step has a scratch worktree with the recorded code, the recorded inputs (or what an earlier
step has just made in their place), the recorded packages, and runs the recorded words where it was
run then; never through a shell. What comes out is compared with what came out then. The
reproduction is itself a recorded run, with the tag `mlver.reproduces`.

Trust: a record that was not made in this clone may hold any command. Those are shown and run only
with consent (DESIGN §8); everything else of a record is checked before the first command starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from mlver.errors import RefusedError
from mlver.git.objects import BlobReader
from mlver.lineage import opened
from mlver.lineage.argv_params import is_python, program_at
from mlver.lineage.compare import Tolerance
from mlver.lineage.embed import metadata_of
from mlver.lineage.interpreter import python_of
from mlver.model.digest import Digest
from mlver.model.pointer import Pointer
from mlver.model.run import Artifact, Run
from mlver.workflows import known_runs, rebuilt_env
from mlver.workflows import run as recorder
from mlver.workflows.context import Context, open_context
from mlver.workflows.fetch import fetch_pointers
from mlver.workflows.rebuilt_env import Environment
from mlver.workflows.recording import Wanted
from mlver.workflows.reproduce_plan import REPRODUCES, Step, check_command, plan, target
from mlver.workflows.reproduce_verdict import DIFFERENT, IDENTICAL, ORDER, Made, judge
from mlver.workflows.scratch import Scratch, code_tree, tree_content
from mlver.workflows.sidecar import EMBEDDED

_CARRIED = (
    "PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE", "TOKENIZERS_PARALLELISM", "TZ", "LANG", "LC_ALL",
)  # fmt: skip
"""Variables of a record that are set again: they change results, and nothing else."""
_GITS = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """`from_scratch`: take nothing that a known run can make. `keep`: leave the scratch folders."""

    from_scratch: bool = False
    use_env: bool = True
    keep: bool = False
    tolerance: Tolerance = field(default_factory=Tolerance)


@dataclass
class Reproduced:
    """The steps that were run, the one that was asked for last, and the whole's verdict."""

    wanted: Run
    steps: list[Made] = field(default_factory=list)
    verdict: str = IDENTICAL


def reproduce(
    ctx: Context, what: str, options: Options, consent: Callable[[Sequence[Step]], bool]
) -> Reproduced:
    """Run again what made `what`. `consent`: asked for steps whose records came from elsewhere.

    Raises UsageError, MissingContent (what lacks, and what to do), RefusedError.
    """
    ctx.repo.require_worktree()
    with known_runs.known(ctx) as runs, BlobReader(ctx.repo) as reader:
        last = target(ctx, runs, what)

        def available(known: known_runs.KnownRun, item: Artifact) -> bool:
            if item.oid is None or tree_content(ctx, code_tree(ctx.repo, known.run), item, reader):
                return True
            pointer = Pointer(item.oid, item.size)
            return pointer in fetch_pointers(ctx, [pointer]).fetched

        steps = plan(ctx, runs, last, available, from_scratch=options.from_scratch)
        commits = {
            step.known.number: [place.key for place in runs.places(step.known) if place.is_commit]
            for step in steps
        }
    for step in steps:
        _check(ctx, step, options)
    foreign = [step for step in steps if not step.own]
    if foreign and not consent(foreign):
        raise refused(foreign)
    result = Reproduced(last.run)
    with ExitStack() as stack:
        work = _Work(ctx, options, stack, commits)
        for step in steps:
            made = work.run(step)
            result.steps.append(made)
            result.verdict = max(result.verdict, made.verdict, key=ORDER.index)
            if made.exit_code != (step.known.run.exit_code or 0) or made.exit_code > 128:
                result.verdict = DIFFERENT
                break
    return result


def refused(foreign: Sequence[Step]) -> RefusedError:
    """Nothing of a record from elsewhere runs unasked."""
    return RefusedError(
        f"{len(foreign)} command(s) of records that were not made in this clone were not run",
        why="a record may name any command, and this one came from elsewhere",
        fix="read them (git mlver show RUN), then give --yes, or answer yes on a terminal",
    )


def _check(ctx: Context, step: Step, options: Options) -> None:
    """Whether the step can be run at all, before anything is. Raises MlverError."""
    run = step.known.run
    check_command(step)
    code_tree(ctx.repo, run)
    if options.use_env:
        rebuilt_env.requirements(rebuilt_env.lock_text(ctx, run))


class _Work:
    """The steps of one reproduction, and what they have made so far."""

    def __init__(
        self,
        ctx: Context,
        options: Options,
        stack: ExitStack,
        commits: Mapping[int, Sequence[str]],
    ) -> None:
        self._ctx, self._options, self._stack, self._commits = ctx, options, stack, commits
        self._produced: dict[Digest, tuple[Scratch, bytes]] = {}

    def run(self, step: Step) -> Made:
        run = step.known.run
        scratch = self._stack.enter_context(Scratch(self._ctx, run, keep=self._options.keep))
        here = [item for item in step.inputs if item.oid in self._produced]
        for item in here:
            assert item.oid is not None
            source, at = self._produced[item.oid]
            scratch.copy_in(os.fsencode(item.path), source, at)
        scratch.restore(item for item in step.inputs if item.oid not in self._produced)
        for item in step.outputs:
            if all(item.path != other.path for other in step.inputs):
                scratch.remove(os.fsencode(item.path))
        ended = self._command(step, scratch)
        made = Made(step, ended.ended.exit_code, ended.run, IDENTICAL)
        made.folder = os.fsdecode(scratch.top) if self._options.keep else ""
        if ended.failed_to_start:
            made.differences.append(ended.failed_to_start)
        judge(self._ctx, made, scratch, self._commits, self._options.tolerance)
        for output in made.outputs:
            if output.old is not None and output.new is not None:
                self._produced[output.old] = (scratch, os.fsencode(output.path))
        return made

    def _command(self, step: Step, scratch: Scratch) -> recorder.Result:
        run = step.known.run
        words = [_moved(word, self._ctx.repo.top, scratch.top) for word in run.job["argv"]]
        cwd = os.path.join(scratch.top, os.fsencode(str(run.job.get("cwd", ""))))
        inside = os.path.realpath(cwd)
        if inside != scratch.top and not inside.startswith(scratch.top + os.sep.encode()):
            raise RefusedError(f"the folder {os.fsdecode(cwd)!r} lies outside the recorded code")
        os.makedirs(inside, exist_ok=True)
        env = _variables(run, os.environ, self._ctx.repo.top, scratch.top)
        with surroundings(inside):
            built = Environment()
            if self._options.use_env:
                present = python_of(run.job["argv"], env)
                built = rebuilt_env.environment(self._ctx, run, present, env)
            words = with_python(words, built)
            wanted = Wanted(
                argv=tuple(words),
                name=run.name,
                cwd=inside,
                inputs=[os.path.join(scratch.top, os.fsencode(i.path)) for i in step.inputs],
                outputs=[os.path.join(scratch.top, os.fsencode(i.path)) for i in step.outputs],
                tags={REPRODUCES: run.run_id},
                embed=bool(run.other.get(EMBEDDED)),
                embed_metadata=metadata_of(run),
            )
            warn = self._ctx.warn
            return recorder.run(
                lambda: open_context(scratch.top, warn), wanted, built.variables(env), warn
            )


def _moved(word: str, top: bytes, scratch: bytes) -> str:
    """A word of the command, with paths of the worktree it was run in taken to the scratch: the
    code of today must not run."""
    old = os.fsdecode(top)
    return (
        os.fsdecode(scratch) + word[len(old) :]
        if word == old
        else word.replace(old + os.sep, os.fsdecode(scratch) + os.sep)
    )


def with_python(words: list[str], built: Environment) -> list[str]:
    """The command with the Python that was built for it, or one that is there."""
    at = program_at(words)
    if at >= len(words) or not is_python(words[at]):
        return words
    if built.python:
        return [*words[:at], built.python, *words[at + 1 :]]
    if os.path.isabs(words[at]) and not os.path.exists(words[at]):
        return [*words[:at], sys.executable or "python3", *words[at + 1 :]]
    return words


def _variables(run: Run, env: Mapping[str, str], top: bytes, scratch: bytes) -> dict[str, str]:
    changed = opened.without_hook({k: v for k, v in env.items() if not k.startswith("GIT_")})
    changed = {
        name: _moved(value, top, scratch) if name == "PYTHONPATH" else value
        for name, value in changed.items()
    }
    told = run.env.get("vars", {})
    for name in _CARRIED:
        value = told.get(name) if isinstance(told, dict) else None
        if isinstance(value, str) and "\0" not in value:
            changed[name] = value
    return changed


@contextmanager
def surroundings(cwd: bytes) -> Iterator[None]:
    """Stand in a folder, with none of git's variables; what commands print goes to stderr, since
    stdout is for the verdict."""
    before, was_at = {name: os.environ.pop(name, None) for name in _GITS}, os.getcwdb()
    sys.stdout.flush()
    stdout = os.dup(1)
    try:
        os.chdir(cwd)
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.chdir(was_at)
        os.environ.update({name: value for name, value in before.items() if value is not None})
