"""What runs name travels and stays: logs, data of the code, the lock; and a run from before the
first commit is not forgotten."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.support.recorded import kept_ids, noted
from tests.support.sandbox import Clone, Sandbox, content, pointer_in

PRINTS = b"print('a line of the log ' * 50)\nopen('out.bin', 'wb').write(b'made' * 5000)\n"


@pytest.fixture
def pushed(box: Sandbox, work: Clone) -> Clone:
    """A run with a log, in a dirty worktree that holds data which no commit names; pushed."""
    work.git("remote", "add", "origin", str(box.bare()))
    work.commit("code", {"t.py": PRINTS})
    work.write("in.bin", content("dirty"))
    work.git("add", "in.bin")
    work.mlver("run", "-q", "--", "python3", "t.py")
    work.git("rm", "-q", "--cached", "in.bin")
    work.path("in.bin").unlink()
    work.git("push", "-q", "origin", "main")
    return work


def _log(clone: Clone, ref: str) -> bytes:
    [path] = [
        row
        for row in clone.git("ls-tree", "-r", "--name-only", ref).out.split()
        if row.endswith("/stdout")
    ]
    return clone.blob(f"{ref}:{path}")


def test_logs_and_the_data_of_the_code_are_pushed_with_the_run(box: Sandbox, pushed: Clone) -> None:
    fresh = box.clone(box.root / "far.git", "fresh")
    fresh.mlver("init")
    fresh.git("fetch", "-q")
    fresh.mlver("fetch", "--all")
    pointer = pointer_in(_log(fresh, "refs/mlver/remotes/origin/kept"))
    log = fresh.git("mlver", "smudge", "--", "x", input=pointer.encode()).raw
    assert log.startswith(b"a line of the log a line")
    tree = fresh.git("ls-tree", "-r", "refs/mlver/remotes/origin/kept").out
    [row] = [row for row in tree.splitlines() if row.endswith("/code/in.bin")]
    data = fresh.git("mlver", "smudge", "--", "x", input=fresh.blob(row.split()[2])).raw
    assert data == content("dirty")


def test_fsck_prune_and_collection_see_what_runs_name(box: Sandbox, pushed: Clone) -> None:
    assert pushed.attempt("mlver", "fsck", "--remote").code == 0
    pushed.mlver("prune", "--yes")
    pushed.mlver("gc", "--remote", "--yes", "--grace", "0")
    pushed.mlver("gc", "--remote", "--yes", "--grace", "0")
    fresh = box.clone(box.root / "far.git", "fresh")
    fresh.mlver("init")
    fresh.git("fetch", "-q")
    fresh.mlver("fetch", "--all")
    assert fresh.attempt("mlver", "fsck").code == 0
    pointer = pointer_in(_log(fresh, "refs/mlver/remotes/origin/kept"))
    log = fresh.git("mlver", "smudge", "--", "x", input=pointer.encode()).raw
    assert log.startswith(b"a line of the log a line")


def test_a_run_from_before_the_first_commit_is_attached_to_it(box: Sandbox) -> None:
    box.git("init", "-q", str(box.root / "new"))
    new = box.at("new")
    new.mlver("init")
    new.write("t.py", PRINTS)
    new.mlver("run", "-q", "--", "python3", "t.py")
    assert noted(new) == {}
    new.git("add", "t.py")
    new.git("commit", "-qm", "the first")
    [ids] = noted(new).values()
    assert list(noted(new)) == [new.head()] and set(ids) == kept_ids(new)


def _wheel(folder: Path) -> None:
    info = "told-1.0.dist-info"
    with zipfile.ZipFile(folder / "told-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("told.py", "VALUE = 'of the wheel'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: told\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_the_recorded_packages_are_installed_for_a_reproduction(box: Sandbox, work: Clone) -> None:
    wheels = box.root / "wheels"
    wheels.mkdir()
    _wheel(wheels)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1"}
    offline |= {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1"}
    env = box.root / "venv"
    python = str(env / "bin/python")
    assert box.run(["python3", "-m", "venv", "--without-pip", str(env)]).code == 0
    [site] = env.glob("lib/*/site-packages")
    with zipfile.ZipFile(wheels / "told-1.0-py3-none-any.whl") as wheel:
        wheel.extractall(site)
    script = b"import told\nopen('out.bin', 'w').write(told.VALUE * 99)\n"
    work.commit("code", {"t.py": script})
    work.mlver("run", "-q", "--", python, "t.py")
    work.commit("made")
    shutil.rmtree(env)
    done = work.attempt("mlver", "reproduce", "out.bin", "--no-env")
    assert done.code == 1, "the packages that are here lack it"
    done = work.attempt("mlver", "reproduce", "out.bin", **offline)
    assert done.code == 0 and "building the environment" in done.err, done.err
    done = work.attempt("mlver", "reproduce", "out.bin", **offline)
    assert done.code == 0 and "building the environment" not in done.err
    shutil.rmtree(work.store / "envs")
    done = work.attempt("mlver", "reproduce", "out.bin", PIP_NO_INDEX="1", UV_OFFLINE="1")
    assert done.code not in (0, 10) and "--no-env" in done.err


def test_code_or_lock_that_is_not_here_is_named(box: Sandbox, work: Clone) -> None:
    work.commit("code", {"t.py": PRINTS})
    work.mlver("run", "-q", "--", "python3", "t.py")
    work.commit("made")
    record = work.json("show", "latest")
    work.git("update-ref", "-d", "refs/mlver/kept")
    done = work.attempt("mlver", "reproduce", "out.bin")
    assert done.code == 4 and "lock of packages" in done.err and "git fetch" in done.err
    tree = work.git_dir() / "objects" / record["code"]["tree"][:2] / record["code"]["tree"][2:]
    tree.unlink()
    done = work.attempt("mlver", "reproduce", "out.bin")
    assert done.code == 4 and "the code of the run" in done.err
    assert json.dumps(record)
