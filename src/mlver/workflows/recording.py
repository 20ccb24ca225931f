"""A run at work: what is noted before the command starts, what watches meanwhile, what is known at
its end. Used by `git mlver run` and by the Python API.

Order (each step leaves what a later look can finish): secrets are learnt; the worktree's tree is
made; the record goes into the journal; watching begins; the command runs; the end is written into
the journal, before anything large is read; then what was found; then the note (workflows/record).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlver import __version__
from mlver.errors import LocalIOError, MlverError
from mlver.git import run_code
from mlver.git.run_code import Code
from mlver.lineage import argv_params, config_params, folders, journal, secret_names
from mlver.lineage.environment import Machine
from mlver.lineage.interpreter import Question, lock_of, python_of
from mlver.lineage.journal import Entry
from mlver.lineage.redact import Redactor, secrets_named_in
from mlver.lineage.watch import Seen, Watcher
from mlver.model.digest import digest_of
from mlver.model.run import Run
from mlver.workflows.context import Context

CAPTURE = b"capture.json"
"""In the journal: what a sweep must know of a killed run beside its record."""

_MOST_CONFIGS, _MOST_CONFIG_BYTES = 300, 64 * 1024


@dataclass
class Wanted:
    """What the user asked for. Paths are absolute."""

    argv: tuple[str, ...] = ()
    name: str = ""
    kind: str = "command"
    cwd: bytes = b""
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    metrics: list[bytes] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    parent_run: str | None = None
    embed: bool = False
    """Write into the models that have room where they came from: `embed_metadata`, or the run's
    own."""
    embed_metadata: dict[str, str] | None = None
    sidecar: bool = False


class Recording:
    """One run, from `begin` to `end`."""

    def __init__(
        self, ctx: Context, entry: Entry, run: Run, code: Code, redactor: Redactor
    ) -> None:
        self.ctx, self.entry, self.run, self.redactor = ctx, entry, run, redactor
        self._code = code
        self._watcher: Watcher | None = None
        self._machine: Machine | None = None
        self._question: Question | None = None

    def watch(self, env: Mapping[str, str], wanted: Wanted, known: list[bytes] | None) -> None:
        """Begin to look on: the last thing before the command."""
        self._machine = Machine(env)
        python = wanted.python or python_of(wanted.argv, env)
        if python is not None:
            cache = os.path.join(self.ctx.repo.store_dir, b"pythons")
            self._question = Question(python, env, cache)
        self._watcher = Watcher(
            self.ctx.repo.top, self._code.ignored_folders, self._tracked_folders
        )
        self._watcher.start(known)

    def _tracked_folders(self) -> list[bytes]:
        from mlver.git import command

        output = self.ctx.repo.git("ls-files", "-z", "--full-name")
        return sorted({path.rpartition(b"/")[0] for path in command.fields(output)})

    def end(self, status: str, exit_code: int | None, unseen: Sequence[str] = ()) -> Run:
        """The command has ended: write that down, then what is known of its surroundings."""
        self.run = replace(self.run, status=status, exit_code=exit_code, ended=journal.now())
        said = [*self.run.other.get("unseen", ()), *unseen]
        self.run = with_unseen(self.run, said)
        self.entry.write(self.run)
        self.run = replace(self.run, env=self._environment())
        return self.run

    def seen(self) -> Seen:
        """End watching."""
        mark = mark_of(self.entry)
        return self._watcher.stop(mark) if self._watcher is not None else Seen()

    def _environment(self) -> dict[str, Any]:
        env = self._machine.facts() if self._machine is not None else {}
        told = self._question.answer() if self._question is not None else None
        if told is not None:
            lock = self.redactor.bytes(lock_of(told["packages"]))
            if lock:
                self.entry.keep("lock.txt", lock)
                env["lock"] = f"blake3:{digest_of(lock).hex()}"
            env |= {
                "python": told["version"],
                "implementation": told["implementation"],
                "executable": told["executable"],
            }
            if told["cuda"]:
                env["cuda"] = told["cuda"]
        return {name: _clean(self.redactor, value) for name, value in env.items()}


def begin(ctx: Context, wanted: Wanted, redactor: Redactor, env: Mapping[str, str]) -> Recording:
    """A run that is about to start: journalled, and watched from here on. Raises MlverError."""
    ctx.repo.require_worktree()
    code = run_code.read(ctx.repo)
    known = _learn_secrets(ctx, code, wanted, redactor)
    tree, left_out, unseen = _tree(ctx, code, redactor)
    job: dict[str, Any] = {"argv": redactor.argv(wanted.argv), "kind": wanted.kind}
    job["cwd"] = _relative(wanted.cwd, ctx.repo.top)
    members: dict[str, Any] = {
        "commit": code.commit, "tree": tree, "branch": code.branch,
        "remote": redactor.text(code.remote), "left_out": left_out,
    }  # fmt: skip
    run = Run(
        run_id=journal.new_id(),
        name=redactor.text(wanted.name or name_of(wanted.argv)),
        status="running",
        started=journal.now(),
        actor=code.actor,
        parent_run=wanted.parent_run,
        job=job,
        code={name: value for name, value in members.items() if value}
        | {"dirty": tree != code.tree},
        params=clean_params(redactor, argv_params.params_of(wanted.argv) | wanted.params),
        tags={redactor.text(k): redactor.value(k, v) for k, v in wanted.tags.items()},
        other={"writer": f"git-mlver {__version__}"},
    )
    run = with_unseen(run, unseen)
    entry = journal.begin(ctx.repo.store_dir, run)
    _note_capture(entry, wanted, code)
    recording = Recording(ctx, entry, run, code, redactor)
    recording.watch(env, wanted, known)
    return recording


def _tree(ctx: Context, code: Code, redactor: Redactor) -> tuple[str, list[str], list[str]]:
    """(tree, paths left out, what could not be kept)."""
    if not code.is_dirty and code.tree:
        return code.tree, [], []
    from mlver.git import snapshot

    def holds_secret(path: bytes, data: bytes) -> bool:
        if redactor.knows(data):
            return True
        name = path.rpartition(b"/")[2].lower()
        if not name.endswith((*config_params.ENDINGS, b".ini", b".cfg", b".conf", b".properties")):
            return False  # in source code, `token = …` is a program, not a secret
        return any(
            len(value) >= 6 and secret_names.may_be_secret(key, value)
            for key, value in secrets_named_in(data)
        )

    try:
        taken = snapshot.take(ctx.repo, code, secret_names.is_secret_file, holds_secret)
    except (MlverError, OSError) as error:
        why = error.what if isinstance(error, MlverError) else str(error)
        return code.tree, [], [f"changes that were not committed: {redactor.text(why)}"]
    shown = [path.decode("utf-8", "replace") for path in taken.left_out]
    if len(shown) > 30:
        shown = [*shown[:30], f"… and {len(shown) - 30} more"]
    return taken.tree, shown, []


def _learn_secrets(ctx: Context, code: Code, wanted: Wanted, redactor: Redactor) -> list[bytes]:
    """Know the secrets that the command may print, before it starts: those of its words, of `.env`
    files and configurations. Returns the worktree's folders, from the same walk."""
    redactor.learn_argv(wanted.argv)
    known, left = [], _MOST_CONFIGS
    for folder, files in folders.walk(ctx.repo.top, code.ignored_folders):
        known.append(folder)
        for entry in files:
            looks = secret_names.is_secret_file(entry.name) or entry.name.endswith(
                (*config_params.ENDINGS, b".ini", b".cfg", b".conf", b".properties")
            )
            if looks and left:
                left -= 1
                with contextlib.suppress(OSError):
                    if entry.stat().st_size <= _MOST_CONFIG_BYTES and entry.is_file():
                        with open(entry.path, "rb") as file:
                            redactor.learn_text(file.read())
    return known


def _note_capture(entry: Entry, wanted: Wanted, code: Code) -> None:
    """Put aside what conclude needs; the file's time is the mark of the run's start."""
    note = {
        "exclude": wanted.exclude,
        "inputs": [os.fsdecode(path) for path in wanted.inputs],
        "outputs": [os.fsdecode(path) for path in wanted.outputs],
        "metrics": [os.fsdecode(path) for path in wanted.metrics],
        "params": sorted(wanted.params),
        "ignored_folders": [os.fsdecode(path) for path in sorted(code.ignored_folders)[:5000]],
        "ignored_files": [os.fsdecode(path) for path in sorted(code.ignored_files)[:5000]],
    }
    try:
        with open(entry.file(CAPTURE), "x", encoding="ascii") as file:
            json.dump(note, file)
    except OSError as error:
        entry.remove()
        raise LocalIOError("the run's journal cannot be written", why=str(error)) from error


def capture_of(entry: Entry) -> dict[str, Any]:
    """What was put aside at the start; empty where it cannot be read."""
    try:
        with open(entry.file(CAPTURE), encoding="ascii") as file:
            note = json.load(file)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def mark_of(entry: Entry) -> int:
    """The file system's time when the run began (a clock of its own, on a network)."""
    with contextlib.suppress(OSError):
        return os.stat(entry.file(CAPTURE)).st_mtime_ns
    return 0


def with_unseen(run: Run, words: Sequence[str]) -> Run:
    """The run, saying what could not be observed."""
    said = list(dict.fromkeys([*run.other.get("unseen", ()), *words]))
    return replace(run, other={**run.other, "unseen": said}) if said else run


def clean_params(redactor: Redactor, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without secrets, neither in names nor in values; a secret section hides all
    below it."""
    return {
        redactor.text(str(name)): _clean_param(redactor, str(name), value)
        for name, value in params.items()
    }


def _clean_param(redactor: Redactor, name: str, value: Any) -> Any:
    sections = name.split(".")
    for section in sections:
        if secret_names.is_secret_name(section):
            return redactor.value(section, value)
    return redactor.value(name, value)


def _clean(redactor: Redactor, value: Any) -> Any:
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, dict):
        return {name: _clean(redactor, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(redactor, item) for item in value]
    return value


def name_of(argv: Sequence[str]) -> str:
    """The script's or module's name, else the program's, without folder and ending."""
    at = argv_params.program_at(argv)
    words = list(argv[at:])
    if words and argv_params.is_python(words[0]):
        for number, word in enumerate(words[1:], 1):
            if word == "-m" and number + 1 < len(words):
                return words[number + 1]
            if word == "-c":
                break
            if not word.startswith("-"):
                return os.path.splitext(os.path.basename(word))[0]
    return os.path.splitext(os.path.basename(words[0]))[0] if words else "run"


def _relative(cwd: bytes, top: bytes) -> str:
    inside = os.path.relpath(os.path.realpath(cwd or os.getcwdb()), os.path.realpath(top))
    shown = inside.replace(os.sep.encode(), b"/").decode("utf-8", "replace")
    return "" if shown == "." else shown
