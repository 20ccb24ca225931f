"""Puts our hooks into a folder, takes them out, and tells what is there.

The invariant: only our own text is changed. `uninstall` gives back what was there, bytes and mode;
whatever cannot be changed safely is left alone and said (`skipped`, with a note). `install` is
idempotent, and brings an older block up to date in its place.

How another hook is kept (the order, and why, is in `hook_text`):
- a shell hook stays where it is and gets our block;
- the pre-commit framework's hook stays untouched: ours becomes the `NAME.legacy` that it calls;
- a hook that no shell runs (a binary, Python, a symbolic link), or one that is not executable,
  moves to `<hooks>.before-mlver/NAME`: the same name, and a folder at the same depth, so that its
  `..` and a link's relative target still hold; its siblings are linked there. In a committed
  folder nothing is moved: that would be a change for everyone;
- a committed folder gets the portable block of `hook_committed`, so husky's files do.

A folder outside this repository is written to only with `force`: by default a user who installs in
one repository does not expect hooks in all of them.

Must not import: anything
of mlver but errors and the hook_* modules.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlver.errors import RepositoryError
from mlver.git import hook_committed, hook_files, hook_text
from mlver.git.hook_folder import HooksFolder, every_folder, hooks_folder
from mlver.git.hook_text import BELOW, NAMES, NONE, Parts

__all__ = [
    "NAMES",
    "HookChange",
    "HookState",
    "HooksFolder",
    "every_folder",
    "hooks_folder",
    "install",
    "state",
    "uninstall",
]

Action = Literal["installed", "chained", "updated", "unchanged", "removed", "restored", "skipped"]
Condition = Literal["ours", "chained", "missing", "foreign", "stale", "outdated", "off"]
_PRELUDE = b"#!/bin/sh\n"
_HUSKY_8_PRELUDE = b'#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\n'


@dataclass(frozen=True)
class HookChange:
    """What was done to one hook; `note` is for the user where something needs a word."""

    name: str
    action: Action
    path: Path
    note: str = ""


@dataclass(frozen=True)
class HookState:
    """One hook as `doctor` tells it.

    ours, chained (with another hook); missing; foreign (another hook, without us); stale (its
    program is gone); outdated (not what `install` would write now); off (not executable, so that
    git passes over it).
    """

    name: str
    condition: Condition
    path: Path
    note: str = ""


@dataclass(frozen=True)
class _Writer:
    """What one `install` writes, whatever the hook."""

    folder: HooksFolder
    templates: Path
    program: Sequence[str]

    def block(self, name: str, chain: str) -> bytes:
        if self.folder.is_committed:
            return hook_committed.committed(name, chain, always_sh=self.folder.is_husky)
        with hook_files.disk(self.templates / name):
            template = (self.templates / name).read_bytes()
        parts = hook_text.split(hook_text.private(template, name, self.program, chain))
        if parts is None:
            raise RepositoryError(
                f"{self.templates / name} is no template of a hook",
                why="it has no git-mlver marker lines",
                fix="install git-mlver again",
            )
        return parts.block


def install(
    folder: HooksFolder, templates: Path, program: Sequence[str], *, force: bool = False
) -> list[HookChange]:
    """Puts every hook into `folder`. `templates` is the folder of shims (hooks/ of a checkout, or
    the wheel's copy); `program` the words that start git-mlver (`drivers.program()`)."""
    hook_text.check_program(program)
    if folder.kind == "off" or (folder.kind == "shared" and not force):
        return [HookChange(name, "skipped", folder.path / name, folder.notice) for name in NAMES]
    writer = _Writer(folder, templates, program)
    with hook_files.disk(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        return [_install_one(writer, name) for name in NAMES]


def uninstall(folder: HooksFolder) -> list[HookChange]:
    """Takes every hook out of `folder`. Hooks that are not ours are not in the answer."""
    with hook_files.disk(folder.path):
        changes = [change for name in NAMES if (change := _uninstall_one(folder, name))]
        hook_files.drop_moved_folder(_moved(folder), folder.path)
    return changes


def state(folder: HooksFolder, templates: Path, program: Sequence[str]) -> list[HookState]:
    """How each hook stands; changes nothing."""
    writer = _Writer(folder, templates, program)
    if folder.kind == "off":
        return [HookState(name, "missing", folder.path / name, folder.notice) for name in NAMES]
    with hook_files.disk(folder.path):
        return [_state_one(writer, name) for name in NAMES]


def _install_one(writer: _Writer, name: str) -> HookChange:
    folder = writer.folder
    path = _place(folder, name)
    text = hook_files.read(path)
    try:
        parts = hook_text.split(text) if text is not None else None
    except ValueError as error:
        return HookChange(name, "skipped", path, f"{error}: repair {path} by hand")
    if parts is not None:
        return _update(writer, name, path, parts)
    if not os.path.lexists(path):
        left = _moved(folder) / path.name
        chain = f"{left.parent.name}/{left.name}" if os.path.lexists(left) else NONE
        hook_files.write(path, _prelude(folder) + writer.block(name, chain), 0o755)
        return HookChange(name, "installed" if chain == NONE else "chained", path)
    runs = os.access(path, os.X_OK) or folder.kind == "husky9"
    always_sh = folder.kind == "husky9"
    if text is not None and runs and hook_text.insertable(text, always_sh=always_sh):
        hook_files.write(
            path, hook_text.insert(text, writer.block(name, BELOW)), hook_files.mode(path)
        )
        return HookChange(name, "chained", path)
    return _move_and_chain(writer, name, path)


def _update(writer: _Writer, name: str, path: Path, parts: Parts) -> HookChange:
    chain = parts.chain
    if chain != BELOW and _chained(writer.folder, name, chain) is None:
        chain = NONE
    if chain == NONE and parts.rest != _prelude(writer.folder):
        chain = BELOW  # lines were added to the file that we made: they are a hook now
    text = parts.before + writer.block(name, chain) + parts.after
    # A file of ours that is not executable does nothing; one of theirs was switched off by them.
    mode = hook_files.mode(path) | (0 if chain == BELOW else 0o755)
    if text == parts.before + parts.block + parts.after and mode == hook_files.mode(path):
        return HookChange(name, "unchanged", path)
    hook_files.write(path, text, mode)
    return HookChange(name, "updated", path)


def _move_and_chain(writer: _Writer, name: str, path: Path) -> HookChange:
    folder = writer.folder
    advice = f'add `git-mlver hook {name} "$@"` to it'
    if folder.is_committed:
        note = f"{path} is not a shell script that runs, and belongs to the project: {advice}"
        return HookChange(name, "skipped", path, note)
    moved = _moved(folder) / path.name
    if path.is_dir() and not path.is_symlink():
        return HookChange(name, "skipped", path, f"{path} is a folder")
    if os.path.lexists(moved) and not hook_files.same(path, moved):
        note = f"{moved} is in the way: move it, and install again, or {advice}"
        return HookChange(name, "skipped", path, note)
    moved.parent.mkdir(exist_ok=True)
    hook_files.link_siblings(folder.path, moved.parent)
    if not os.path.lexists(moved):
        hook_files.copy(path, moved)
    # Theirs has its second name by now, so there is no moment without a hook.
    hook_files.write(
        path, _PRELUDE + writer.block(name, f"{moved.parent.name}/{moved.name}"), 0o755
    )
    return HookChange(name, "chained", path, f"the hook that was there is now {moved}")


def _uninstall_one(folder: HooksFolder, name: str) -> HookChange | None:
    path = _place(folder, name)
    text = hook_files.read(path)
    try:
        parts = hook_text.split(text) if text is not None else None
    except ValueError as error:
        return HookChange(name, "skipped", path, f"{error}: repair {path} by hand")
    if parts is None:
        return _restore_left(path, _moved(folder) / path.name, name)
    made_by_us = parts.rest == _prelude(folder)
    moved = _chained(folder, name, parts.chain)
    if moved is not None:
        if not made_by_us:
            note = f"{path} has lines of others, and {moved} was there before: join them by hand"
            return HookChange(name, "skipped", path, note)
        os.replace(moved, path)
    elif made_by_us and parts.chain != BELOW:
        path.unlink()
        return HookChange(name, "removed", path)
    else:
        hook_files.write(path, parts.rest, hook_files.mode(path))
    return HookChange(name, "restored", path)


def _restore_left(path: Path, left: Path, name: str) -> HookChange | None:
    """Our shim is not there, yet the hook that it kept is: it was deleted, or never written."""
    if not os.path.lexists(left):
        return None
    if os.path.lexists(path):
        if hook_files.same(path, left):
            left.unlink()
        return None
    os.rename(left, path)
    return HookChange(name, "restored", path)


def _state_one(writer: _Writer, name: str) -> HookState:
    path = _place(writer.folder, name)
    text = hook_files.read(path)
    try:
        parts = hook_text.split(text) if text is not None else None
    except ValueError as error:
        return HookState(name, "foreign", path, str(error))
    if parts is None:
        there = os.path.lexists(path)
        note = "" if writer.folder.kind != "shared" else writer.folder.notice
        return HookState(name, "foreign" if there else "missing", path, note)
    for word in parts.program:
        if os.path.isabs(word) and not os.path.exists(word):
            return HookState(name, "stale", path, f"its program is gone: {word}")
    if writer.folder.kind != "husky9" and not os.access(path, os.X_OK):
        return HookState(name, "off", path, "not executable: git passes over it")
    if parts.block != writer.block(name, parts.chain):
        return HookState(name, "outdated", path, "written by another git-mlver")
    return HookState(name, "ours" if parts.chain == NONE else "chained", path)


def _place(folder: HooksFolder, name: str) -> Path:
    """Where our text for this hook goes."""
    path = folder.path / name
    text = hook_files.read(path)
    if text is not None and hook_text.is_framework(text) and not folder.is_committed:
        return folder.path / f"{name}.legacy"
    return path


def _prelude(folder: HooksFolder) -> bytes:
    """What a hook that we make has above the block. husky 9 starts files without a `#!`."""
    return {"husky9": b"", "husky8": _HUSKY_8_PRELUDE}.get(folder.kind, _PRELUDE)


def _moved(folder: HooksFolder) -> Path:
    return folder.path.with_name(f"{folder.path.name}.before-mlver")


def _chained(folder: HooksFolder, name: str, chain: str) -> Path | None:
    """The moved hook that a chain line names, if it is there. A committed file's line is not ours
    to trust: `# chain: ../../x` must not make `uninstall` move x."""
    if folder.is_committed or chain not in (f"{_moved(folder).name}/{n}" for n in _names(name)):
        return None
    path = folder.path.parent / chain
    return path if os.path.lexists(path) else None


def _names(name: str) -> tuple[str, str]:
    return name, f"{name}.legacy"
