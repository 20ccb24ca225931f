"""`git mlver merge-driver`, `diff-driver`, `textconv`: what git's drivers call.

None of them prompts; a failure leaves the files as they were and exits other than 0.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from mlver.cli.output import escape, human_size, show_path, warn
from mlver.errors import MlverError
from mlver.model import pointer as pointers
from mlver.model.digest import Digest, Hasher
from mlver.model.pointer import MAX_SIZE, Pointer

if TYPE_CHECKING:
    from mlver.workflows.merge import Merged

_DIFFTOOL = "git-difftool--helper"
"""What `git difftool` names as the external diff."""


def merge(args: list[str]) -> int:
    """`merge-driver BASE OURS THEIRS MARKER-SIZE PATH`: 0 clean, 1 conflict."""
    from mlver.workflows.context import open_context
    from mlver.workflows.merge import merge_pointers

    if len(args) < 3:
        print("usage: git mlver merge-driver %O %A %B %L %P", file=sys.stderr)
        return 2
    base, ours, theirs = (os.fsencode(arg) for arg in args[:3])
    path = os.fsencode(args[4]) if len(args) > 4 else ours
    try:
        with open_context(warn=warn) as ctx:
            result = merge_pointers(ctx, base, ours, theirs, path)
    except (MlverError, OSError) as error:
        warn(f"{os.fsdecode(path)} was not merged, ours is kept: {error}")
        return 1
    if result.is_remembered:
        warn(f"{show_path(path)}: conflicts were decided as before")
    if result.clean:
        return 0
    _tell_conflict(path, result)
    return 1


def _tell_conflict(path: bytes, result: Merged) -> None:
    import shlex  # for a conflict only

    name = shlex.quote(show_path(path))
    if result.format != "opaque":
        from mlver.model.conflict import summary

        warn(
            f"{show_path(path)}: conflicts, ours stands where they are\n"
            f"  why:  {escape(summary(result.conflicts))}\n"
            f"  next: git mlver conflicts {name}\n"
            f"  or:   git mlver resolve {name} --ours (or --theirs)"
        )
        return
    notes = "".join(f"; {escape(note)}" for note in result.notes)
    warn(
        f"{show_path(path)}: both sides changed it; ours is kept\n"
        f"  why:  ours has {_size(result.ours)}, theirs {_size(result.theirs)}{notes}\n"
        f"  next: git add {name}, to keep ours\n"
        f"  or:   git checkout --theirs -- {name} && git add {name}"
    )


def _size(pointer: Pointer | None) -> str:
    return "empty" if pointer is None else human_size(pointer.size)


def textconv(args: list[str]) -> int:
    """`textconv FILE`: what `git log -p` and `git show` compare."""
    if not args:
        return 0
    file = os.fsencode(args[0])
    pointer = _pointer_of(file)
    if pointer is not None:
        print(f"oid blake3:{pointer.oid.hex()}\nsize {pointer.size}")
        from mlver.workflows.driver_diff import text_lines

        for line in text_lines(file):
            print(escape(line))
    return 0


def diff(args: list[str]) -> int:
    """`diff-driver PATH OLD-FILE OLD-HEX OLD-MODE NEW-FILE NEW-HEX NEW-MODE [NEW-PATH …]`."""
    if len(args) < 7:
        print(f"* Unmerged path {args[0] if args else ''}")
        return 0
    if os.environ.get("GIT_EXTERNAL_DIFF") == _DIFFTOOL:
        # A driver of the attributes goes before that of difftool, which would never be asked.
        import subprocess

        from mlver.git.command import git_program

        return subprocess.run([git_program(), "difftool--helper", *args], check=False).returncode
    old, new = _pointer_of(os.fsencode(args[1])), _pointer_of(os.fsencode(args[4]))
    path = show_path(os.fsencode(args[0]))
    print(f"diff --mlver a/{path} b/{path}")
    if args[1] == os.devnull:
        print(f"new file: {_describe(new)}")
    elif args[4] == os.devnull:
        print(f"deleted file: {_describe(old)}")
    elif old == new:
        print(f"same content: {_describe(new)}")
    else:
        print(f"-{_describe(old)}\n+{_describe(new)}")
        _print_changes(args, old, new)
    if args[3] != args[6] and os.devnull not in (args[1], args[4]):
        print(f"mode {args[3]} -> {args[6]}")
    return 0


def _print_changes(args: list[str], old: Pointer | None, new: Pointer | None) -> None:
    """How much changed, and samples."""
    from mlver.diff.registry import module_for

    if module_for(os.path.basename(args[0])) is None:
        return
    from mlver.cli import diff_text, pager
    from mlver.workflows.driver_diff import compare

    path, before, after = (os.fsencode(args[place]) for place in (0, 1, 4))
    found = compare(path, before, after, old, new).content
    write = pager.writer()
    counted = diff_text.totals(found)
    if counted:
        write(f"   {counted}")
    for line in diff_text.details(found, pager.width(), more="git mlver diff --all shows them"):
        write(line)


def _describe(pointer: Pointer | None) -> str:
    if pointer is None:
        return "empty"
    return f"{human_size(pointer.size)} ({pointer.size:,} bytes) blake3:{pointer.oid.hex()[:16]}"


def _pointer_of(path: bytes) -> Pointer | None:
    """The pointer that a file is, or that its content would have."""
    hasher, size = Hasher(), 0
    with open(path, "rb") as file:
        head = file.read(MAX_SIZE)
        found = pointers.parse(head)
        if found is not None:
            return found
        data = head
        while data:
            hasher.update(data)
            size += len(data)
            data = file.read(1 << 20)
    return Pointer(Digest(hasher.digest()), size) if size else None
