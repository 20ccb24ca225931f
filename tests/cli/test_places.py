"""Every command where it has no business: outside a repository, in a bare one, in an empty one,
inside a git directory. What cannot work there says so, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content

from mlver.cli.group import COMMANDS

_WORDS = {
    "add": ["a.bin"],
    "clone": ["/no/such/repository"],
    "compare": ["latest", "latest"],
    "completion": ["bash"],
    "export": ["latest", "--format", "prov"],
    "diff": ["HEAD"],
    "drop": ["a.bin"],
    "gc": ["--remote"],
    "install": ["--local"],
    "lineage": ["a.bin"],
    "log": ["a.bin"],
    "reproduce": ["a.bin"],
    "run": ["--", "true"],
    "show": ["latest"],
    "why": ["a.bin"],
    "remote": ["list"],
    "testremote": ["team"],
    "track": ["*.x"],
    "uninstall": ["--local"],
    "untrack": ["*.bin"],
}
_NO_REPOSITORY = dict.fromkeys(COMMANDS, 3) | {"completion": 0, "run": 0, "apply": 2}
_NO_REPOSITORY |= {"merge": 2, "merge-file": 2, "resolve": 2}  # not what to merge
_OF_RUNS = {
    **{"compare": 2, "export": 2, "show": 2},  # no such run
    **{"run": 0, "runs": 0, "verify": 0, "refresh": 3, "reproduce": 3},
}
_NO_WORKTREE = {
    **dict.fromkeys(("add", "checkout", "clone", "diff", "drop", "fetch", "ls", "pull"), 3),
    **dict.fromkeys(("status", "track", "untrack"), 3),
    **dict.fromkeys(("completion", "doctor", "env", "fsck", "init", "install", "remote"), 0),
    **{"prune": 2, "push": 2, "testremote": 2, "uninstall": 0},  # no remote
    **{"apply": 2, "gc": 2},  # no patch, no --remote
    **_OF_RUNS,
    **{"conflicts": 3, "merge": 2, "merge-file": 2, "resolve": 2},
}
_EMPTY = {
    **dict.fromkeys(("checkout", "completion", "env", "fetch", "fsck", "init", "install"), 0),
    **dict.fromkeys(("ls", "pull", "remote", "status", "track", "untrack", "uninstall"), 0),
    **dict.fromkeys(("add", "apply", "diff", "gc", "drop", "prune", "push", "testremote"), 2),
    **{"clone": 3, "doctor": 1},  # hooks are missing there
    **_OF_RUNS,
    **dict.fromkeys(("lineage", "log", "reproduce", "verify", "why"), 2),  # no commit
    **{"refresh": 0, "show": 0},  # `run` was there before
    **{"conflicts": 0, "merge": 2, "merge-file": 2, "resolve": 2},
}


def codes(box: Sandbox, folder: Path) -> dict[str, int]:
    """Command → exit code; none may end in a traceback, or fail without what to do next."""
    found = {}
    for command in COMMANDS:
        done = box.run(["git-mlver", command, *_WORDS.get(command, [])], folder)
        assert "Traceback" not in done.err, (command, done.err)
        if done.code > 2:
            assert "  next: " in done.err, (command, done.err)
        found[command] = done.code
    return found


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_outside_a_repository(box: Sandbox) -> None:
    folder = box.root / "outside"
    folder.mkdir()
    assert codes(box, folder) == _NO_REPOSITORY
    assert files(folder) == set()


def test_in_an_empty_repository(box: Sandbox) -> None:
    box.git("init", "-q", "empty")
    assert codes(box, box.root / "empty") == _EMPTY


@pytest.mark.parametrize("filled", [False, True])
def test_in_a_bare_repository(work: Clone, box: Sandbox, filled: bool) -> None:
    far = box.bare()
    if filled:
        work.commit("x", {"a.bin": content(1)})
        work.git("push", "-q", str(far), "main")
    of_files = dict.fromkeys(("lineage", "log", "why"), 0 if filled else 2)
    assert codes(box, far) == _NO_WORKTREE | of_files
    assert not {name for name in files(far) if "gitattributes" in name or "toml" in name}


def test_inside_a_git_directory(work: Clone, box: Sandbox) -> None:
    work.commit("x", {"a.bin": content(1)})
    before = work.read(".gitattributes")
    of_files = dict.fromkeys(("lineage", "log", "why"), 0)
    assert codes(box, work.git_dir()) == _NO_WORKTREE | of_files
    assert not [name for name in files(work.git_dir()) if "gitattributes" in name]
    assert work.read(".gitattributes") == before


def test_what_needs_no_worktree_works_in_a_bare_repository(work: Clone, box: Sandbox) -> None:
    work.commit("x", {"a.bin": content(1)})
    work.commit("y", {"a.bin": content(2)})
    far = box.at(box.bare())
    work.git("push", "-q", str(far.top), "main")
    assert "a.bin" in far.mlver("ls", "--rev", "main").out
    assert far.mlver("diff", "main~1", "main").out.startswith("M  a.bin")
    far.mlver("fetch", "--all")
    assert far.json("doctor")["ok"] is True
