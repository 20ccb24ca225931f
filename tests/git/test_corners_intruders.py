"""A worktree is not trusted: nothing that lies in it is run or imported, in filter and hooks.

With PYTHONPATH=. and PATH starting at the worktree, as a careless shell profile has them.
"""

from __future__ import annotations

import os
import sys

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

V1, V2 = content("v1"), content("v2")
MODULES = (
    *("json", "os", "re", "enum", "blake3", "boto3", "click", "pygit2", "zstandard"),
    *("pyfastcdc", "tomllib", "sqlite3", "threading", "sitecustomize", "usercustomize"),
)
PROGRAMS = ("git", "python", "python3", "sh", "env", "git-upload-pack", "zstd")


@pytest.fixture
def hostile(work: Clone, box: Sandbox) -> Clone:
    ran = box.root / "ran"
    code = f"open({str(ran)!r}, 'a').write(__file__ + chr(10))\nraise SystemExit(1)\n"
    for folder in ("", "sub/"):
        for name in MODULES:
            work.write(f"{folder}{name}.py", code.encode())
        work.write(f"{folder}mlver/__init__.py", code.encode())
        work.write(f"{folder}mlver/__main__.py", code.encode())
        for name in PROGRAMS:
            work.write(f"{folder}{name}", f"#!/bin/sh\necho $0 >>{ran}\nexit 1\n".encode(), 0o755)
    return work


def hostile_env(work: Clone) -> dict[str, str]:
    paths = [".", "", "./", *work.box.env["PATH"].split(os.pathsep)]
    return {"PYTHONPATH": ".", "PATH": os.pathsep.join(paths), "PYTHONSTARTUP": "json.py"}


def git(work: Clone, *args: str, folder: str = ".") -> str:
    """git by its absolute path: what is tried is what git and we start from there."""
    program = next(
        path
        for folder_ in os.environ["PATH"].split(os.pathsep)
        if os.path.isabs(folder_) and os.access(path := f"{folder_}/git", os.X_OK)
    )
    done = work.box.start([program, *args], work.top / folder, b"", hostile_env(work))
    assert done.code == 0, done.err
    return done.out + done.err


def test_filter_hooks_and_drivers_run_nothing_of_the_worktree(hostile: Clone, box: Sandbox) -> None:
    far = box.bare()
    hostile.write("a.bin", V1)
    hostile.write("sub/net.parquet", V2)
    git(hostile, "remote", "add", "origin", str(far))
    git(hostile, "add", "-A", ".")
    git(hostile, "commit", "-qm", "x")
    assert hostile.blob("HEAD:a.bin") == pointer_to(V1)
    assert hostile.blob("HEAD:sub/net.parquet") == pointer_to(V2)
    git(hostile, "push", "-q", "origin", "main")
    hostile.write("sub/b.bin", V2)
    git(hostile, "add", "b.bin", folder="sub")
    git(hostile, "commit", "-qm", "y", folder="sub")
    git(hostile, "diff", "HEAD~1", "HEAD")
    git(hostile, "log", "-p", "-1")
    git(hostile, "-c", "mlver.smudgeLimit=1", "checkout", "-q", "HEAD~1")
    git(hostile, "checkout", "-qb", "side")
    hostile.write("a.bin", V2)
    git(hostile, "commit", "-qam", "z")
    git(hostile, "merge", "-q", "--no-edit", "main")
    git(hostile, "stash", "list")
    git(hostile, "archive", "-o", "out.tar", "HEAD")
    hostile.path("out.tar").unlink()
    assert not (box.root / "ran").exists(), (box.root / "ran").read_text()
    hostile.settled()


def test_our_own_commands_run_nothing_of_the_worktree(hostile: Clone, box: Sandbox) -> None:
    hostile.write("a.bin", V1)
    program = [sys.executable, "-P", "-E", "-m", "mlver"]
    for args in (
        ["add", "a.bin"],
        ["status"],
        ["drop", "a.bin"],
        ["checkout"],
        ["doctor"],
        ["env"],
    ):
        done = box.start([*program, *args], hostile.top, b"", hostile_env(hostile))
        assert done.code in (0, 1) and "Traceback" not in done.err, (args, done.err)
    assert hostile.read("a.bin") == V1
    assert not (box.root / "ran").exists(), (box.root / "ran").read_text()


def test_the_shims_start_no_cat_of_the_worktree(hostile: Clone, box: Sandbox) -> None:
    for folder in ("", "sub/"):
        hostile.write(f"{folder}cat", hostile.read("git"), 0o755)
    far = box.bare()
    hostile.given("x", {"a.bin": V1})
    git(hostile, "push", "-q", str(far), "main")
    deferred = hostile.git_dir() / "mlver/deferred"
    deferred.mkdir(parents=True, exist_ok=True)
    (deferred / "note").write_bytes(b"")  # so that post-rewrite has to read
    git(hostile, "commit", "-q", "--amend", "-m", "y")
    assert not deferred.exists() and not (box.root / "ran").exists()


def test_a_clone_of_a_hostile_repository_runs_nothing_of_it(hostile: Clone, box: Sandbox) -> None:
    hostile.given("x", {"a.bin": V1})
    git(hostile, "clone", "-q", ".", str(box.root / "second"))
    clone = box.at("second")
    git(clone, "checkout", "-q", "-f", "HEAD")
    git(clone, "status")
    assert clone.read("a.bin") == V1
    clone.settled()
    assert not (box.root / "ran").exists()
