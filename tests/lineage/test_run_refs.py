"""Notes and kept things: nothing that was written is lost, whoever writes or merges beside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlver.git import command, repo, run_merge, run_refs
from mlver.git.objects import BlobReader
from mlver.git.repo import Repo
from mlver.git.run_refs import Addition, KeptFile

WHO = "A <a@example.com>"


def git(where: Path, *args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=where, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(params=["sha1", "sha256"])
def clone(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    return _repository(tmp_path / "clone", request.param)


def _repository(where: Path, hash_name: str = "sha1") -> Repo:
    git(where.parent, "init", "-q", f"--object-format={hash_name}", str(where))
    (where / "a.txt").write_text("a\n")
    git(where, "add", "a.txt")
    git(where, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x")
    return repo.discover(str(where).encode())


def _line(number: int) -> tuple[bytes, str]:
    run_id = f"01900000-0000-7000-8000-{number:012x}"
    return b'{"run_id":"%s"}' % run_id.encode(), run_id


def _add(clone: Repo, commit: str, *numbers: int) -> None:
    addition, ids = Addition(), {}
    for number in numbers:
        line, run_id = _line(number)
        ids[line] = run_id
        addition.note(commit, line)
        addition.kept[run_id] = [KeptFile("lock.txt", b"a==1\n")]
    run_refs.add(clone, addition, ids, WHO)


def _lines(clone: Repo) -> list[bytes]:
    """Every line of every note, as git itself lists them."""
    output = clone.git("notes", "--ref", run_refs.NOTES, "list").decode().split("\n")
    blobs = [row.split(" ")[0] for row in output if row]
    return sorted(
        line for blob in blobs for line in clone.git("cat-file", "blob", blob).splitlines()
    )


def _head(clone: Repo) -> str:
    return clone.git("rev-parse", "HEAD").decode().strip()


def test_git_notes_shows_what_was_written(clone: Repo) -> None:
    _add(clone, _head(clone), 1)
    _add(clone, _head(clone), 2)
    shown = clone.git("notes", "--ref", "mlver", "show", "HEAD")
    assert shown == _line(1)[0] + b"\n" + _line(2)[0] + b"\n"
    assert clone.git("log", "-1", "--notes=mlver", "--format=%N").strip() == shown.strip()


def test_the_same_line_twice_changes_nothing(clone: Repo) -> None:
    _add(clone, _head(clone), 1)
    before = run_refs.tips(clone)
    addition = Addition()
    addition.note(_head(clone), _line(1)[0])
    run_refs.add(clone, addition, {_line(1)[0]: _line(1)[1]}, WHO)
    assert run_refs.tips(clone) == before


def test_a_note_of_gits_own_fan_out_is_found_and_replaced(clone: Repo) -> None:
    head = _head(clone)
    blob = clone.git("hash-object", "-w", "--stdin", input=b"before\n").decode().strip()
    for path in (head, f"{head[:2]}/{head[2:4]}/{head[4:]}"):
        tree = f"100644 blob {blob}\t{path}\n".encode()
        index = {"GIT_INDEX_FILE": "scratch-index"}
        command.run(["read-tree", "--empty"], cwd=clone.git_dir, env=_env(index))
        info = tree.replace(b" blob ", b" ")
        command.run(
            ["update-index", "--index-info"], cwd=clone.git_dir, input=info, env=_env(index)
        )
        written = command.run(["write-tree"], cwd=clone.git_dir, env=_env(index)).decode().strip()
        commit = clone.git(*WRITER, "commit-tree", "-m", "n", written).decode().strip()
        clone.git("update-ref", run_refs.NOTES, commit)
        _add(clone, head, 1)
        assert _lines(clone) == sorted([b"before", _line(1)[0]])


WRITER = ("-c", "user.name=A", "-c", "user.email=a@b")


def _env(extra: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **extra}


def test_a_sweep_of_runs_on_one_commit_keeps_every_one(clone: Repo) -> None:
    count = run_refs.FULL + 5
    for start in range(0, count, 6):
        _add(clone, _head(clone), *range(start, min(start + 6, count)))
    assert _lines(clone) == sorted(_line(number)[0] for number in range(count))
    at_head = clone.git("notes", "--ref", "mlver", "show", "HEAD").splitlines()
    assert len(at_head) == run_refs.FULL
    key = run_refs.run_key(clone, _line(count - 1)[1])
    assert clone.git("notes", "--ref", "mlver", "show", key) == _line(count - 1)[0] + b"\n"


def test_what_is_kept_is_reachable_from_the_ref(clone: Repo) -> None:
    _, run_id = _line(7)
    addition = Addition()
    tree = clone.git("rev-parse", "HEAD^{tree}").decode().strip()
    addition.kept[run_id] = [KeptFile("code", tree=tree), KeptFile("lock.txt", b"x")]
    run_refs.add(clone, addition, {}, WHO)
    folder = f"{run_refs.KEPT}:{run_refs.kept_path(run_id)}"
    assert clone.git("cat-file", "blob", folder + "/lock.txt") == b"x"
    assert clone.git("rev-parse", folder + "/code").decode().strip() == tree
    clone.git("fsck", "--strict")


def test_parallel_writers_lose_nothing(tmp_path: Path) -> None:
    clone = _repository(tmp_path / "clone")
    script = (
        "import sys; from mlver.git import repo; sys.path.insert(0, sys.argv[1]);"
        "import importlib.util as u; s = u.spec_from_file_location('t', sys.argv[2]);"
        "t = u.module_from_spec(s); s.loader.exec_module(t);"
        "r = repo.discover(sys.argv[3].encode()); h = t._head(r);"
        "[t._add(r, h, int(sys.argv[4]) * 10 + i) for i in range(3)]"
    )
    worktree = str(tmp_path / "clone")
    workers = [
        subprocess.Popen([sys.executable, "-c", script, "", __file__, worktree, str(number)])
        for number in range(8)
    ]
    assert [worker.wait() for worker in workers] == [0] * 8
    expected = sorted(_line(w * 10 + i)[0] for w in range(8) for i in range(3))
    assert _lines(clone) == expected
    kept = clone.git("ls-tree", "-r", "--name-only", run_refs.KEPT).split()
    assert len(kept) == len(expected)
    assert clone.git("for-each-ref", "refs/mlver/tmp") == b""


def test_two_clones_merge_by_union_whoever_merges(tmp_path: Path) -> None:
    ours = _repository(tmp_path / "ours")
    git(tmp_path, "clone", "-q", "ours", "theirs")
    theirs = repo.discover(str(tmp_path / "theirs").encode())
    head = _head(ours)
    _add(ours, head, 1, 2)
    _add(theirs, head, 2, 3)
    results = []
    for mine, other in ((ours, theirs), (theirs, ours)):
        for ref in (run_refs.NOTES, run_refs.KEPT):
            mine.git("fetch", "-q", "--", other.top, f"+{ref}:refs/mlver/from/x")
            tip = mine.git("rev-parse", "refs/mlver/from/x").decode().strip()
            merged = run_merge.merge(mine, ref, tip, WHO)
            parents = mine.git("rev-list", "--parents", "-1", merged).decode().split()
            assert tip in parents or merged == tip
        assert _lines(mine) == [_line(1)[0], _line(2)[0], _line(3)[0]]
        results.append(mine.git("ls-tree", "-r", run_refs.KEPT))
    assert results[0] == results[1]
    with BlobReader(ours) as reader:
        assert len(run_merge.tree_entries(reader, ours, f"{run_refs.KEPT}^{{tree}}")) == 3


def test_a_member_that_differs_is_kept_beside_ours(tmp_path: Path) -> None:
    ours = _repository(tmp_path / "ours")
    git(tmp_path, "clone", "-q", "ours", "theirs")
    theirs = repo.discover(str(tmp_path / "theirs").encode())
    _, run_id = _line(1)
    for clone, text in ((ours, b"mine"), (theirs, b"other")):
        addition = Addition()
        addition.kept[run_id] = [KeptFile("lock.txt", text)]
        run_refs.add(clone, addition, {}, WHO)
    ours.git("fetch", "-q", "--", theirs.top, f"+{run_refs.KEPT}:refs/mlver/from/x")
    tip = ours.git("rev-parse", "refs/mlver/from/x").decode().strip()
    run_merge.merge(ours, run_refs.KEPT, tip, WHO)
    names = ours.git("ls-tree", "--name-only", f"{run_refs.KEPT}:{run_refs.kept_path(run_id)}")
    first, second = names.decode().split()
    folder = f"{run_refs.KEPT}:{run_refs.kept_path(run_id)}"
    assert ours.git("cat-file", "blob", f"{folder}/{first}") == b"mine"
    assert second.startswith("lock.txt~")
    assert ours.git("cat-file", "blob", f"{folder}/{second}") == b"other"
