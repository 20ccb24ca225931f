"""The shapes of --json: real output, checked with docs/schema. Scripts and other tools rely on
them, so a change that breaks one of these tests breaks those."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator
from tests.cli.test_documented import commands
from tests.support.sandbox import Clone, Sandbox, content, pointer_in
from tests.support.worlds import Worlds

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"


def checked(name: str, value: Any) -> Any:
    """`value`, which must fit the schema of that name."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(value)
    return value


def states(clone: Clone) -> dict[str, str]:
    rows = checked("status", clone.json("status"))["files"]
    return {row["path"]: row["state"] for row in rows}


def settle(clone: Clone) -> None:
    """Let git look at the files again that are as young as its index."""
    for path in clone.top.iterdir():
        if path.is_file():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    clone.git("update-index", "-q", "--refresh")


def _pushed(box: Sandbox) -> None:
    work = box.at("work")
    work.commit("four", {f"{name}.bin": content(name) for name in "abcd"})
    box.bare()
    work.git("remote", "add", "origin", "../far.git")
    work.git("push", "-q", "origin", "main")


@pytest.fixture
def pushed(box: Sandbox, worlds: Worlds) -> Clone:
    """`work` with four files, all of them on the remote beside its git remote."""
    worlds.enter(box, _pushed)
    return box.at("work")


def test_reproduce(work: Clone) -> None:
    work.given("code", {"t.py": b"open('m.bin', 'w').write('x' * 999)\n"})
    work.mlver("run", "-q", "--", "python3", "t.py")
    found = checked("reproduce", work.json("reproduce", "latest"))
    assert (found["verdict"], found["steps"][0]["outputs"][0]["path"]) == ("identical", "m.bin")
    work.write("t.py", b"open('m.bin', 'w').write('y' * 999)\n")
    found = checked("refresh", work.json("refresh", "--dry-run"))
    assert found["steps"][0]["reasons"] == ["code: t.py changed"]
    assert checked("refresh", work.json("refresh"))["steps"][0]["exit_code"] == 0


def test_verify(work: Clone) -> None:
    work.given("a model", {"m.pt": b"x"})
    found = checked("verify", work.json("verify", "--strict"))
    assert (found["ok"], found["checked"], found["problems"][0]["path"]) == (False, 1, "m.pt")
    assert checked("verify", work.json("verify", "--strict", "HEAD~1..HEAD"))["problems"]
    assert checked("verify", work.json("verify"))["policy"] == "off"


def test_every_json_command_has_a_schema_and_every_schema_a_command() -> None:
    with_json = {
        words.replace(" ", "-")
        for words, command in commands()
        if any(
            "--json" in param.opts for param in command.params if isinstance(param, click.Option)
        )
    }
    assert with_json == {path.stem for path in SCHEMAS.iterdir()}


@pytest.mark.parametrize("path", sorted(SCHEMAS.iterdir()), ids=lambda path: path.stem)
def test_every_schema_is_one(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:git-mlver:{path.stem}:1"
    if path.stem != "show":  # a record, as it stands; its form is in its member `schema`
        assert schema["properties"]["version"] == {"const": 1}


def test_status_names_the_state_of_each_file(pushed: Clone) -> None:
    pushed.commit("new", {"new.bin": content("new"), "gone.bin": content("gone")})
    settle(pushed)
    pushed.mlver("drop", "b.bin")
    pushed.write("c.bin", content("changed"))
    assert states(pushed) == {
        "a.bin": "hydrated",
        "b.bin": "pointer",
        "c.bin": "modified",
        "d.bin": "hydrated",
        "gone.bin": "unpushed",
        "new.bin": "unpushed",
    }
    pushed.write("gone.bin", pushed.blob("HEAD:gone.bin"))
    pushed.lose_content()
    assert states(pushed)["gone.bin"] == "missing"


def test_status_and_ls_of_nothing_are_empty_lists(work: Clone) -> None:
    empty = {"version": 1, "files": [], "store": {"bytes": 0, "bound": None}}
    assert checked("status", work.json("status")) == empty
    assert checked("ls", work.json("ls")) == {"version": 1, "files": []}


def test_ls_names_oid_and_size_of_the_index_or_a_commit(pushed: Clone) -> None:
    row = checked("ls", pushed.json("ls", "a.bin"))["files"][0]
    pointer = pointer_in(pushed.blob("HEAD:a.bin"))
    assert row == {
        "path": "a.bin",
        "oid": pointer.oid.hex(),
        "size": pointer.size,
        "state": "here",
    }
    assert checked("ls", pushed.json("ls", "--rev", "HEAD~1"))["files"] == []
    pushed.lose_content()
    rows = checked("ls", pushed.json("ls", "--rev", "HEAD"))["files"]
    assert [row["state"] for row in rows] == ["absent"] * 4


def test_a_path_that_is_no_utf8_comes_through(work: Clone) -> None:
    name = os.fsdecode(b"\xff\xe9.bin")
    work.commit("odd", {name: content(1)})
    raw = work.mlver("ls", "--json").raw
    assert raw.isascii()
    rows = checked("ls", json.loads(raw))["files"]
    assert [os.fsencode(row["path"]) for row in rows] == [b"\xff\xe9.bin"]


def test_diff_has_the_fixed_shape(pushed: Clone) -> None:
    pushed.git("mv", "a.bin", "moved.bin")
    pushed.git("rm", "-q", "b.bin")
    pushed.commit("changes", {"c.bin": content("changed"), "new.bin": content("new")})
    rows = checked("diff", pushed.json("diff", "HEAD~1", "HEAD"))["files"]
    assert {row["path"]: row["status"] for row in rows} == {
        "b.bin": "removed",
        "c.bin": "modified",
        "moved.bin": "renamed",
        "new.bin": "added",
    }
    moved = next(row for row in rows if row["status"] == "renamed")
    assert moved["old_path"] == "a.bin" and moved["old_oid"] == moved["new_oid"]
    for row in rows:
        assert (row["format"], row["rows"], row["changes"]) == ("opaque", None, [])
        assert (row["truncated"], row["certificate"]) == (False, "unavailable")


def test_diff_of_nothing_is_an_empty_list(pushed: Clone) -> None:
    assert checked("diff", pushed.json("diff", "HEAD", "HEAD")) == {"version": 1, "files": []}


def test_fsck_says_ok_or_names_the_problems(pushed: Clone) -> None:
    assert checked("fsck", pushed.json("fsck")) == {"version": 1, "ok": True, "problems": []}
    whole = checked("fsck", pushed.json("fsck", "--remote"))
    assert whole["ok"]
    shutil.rmtree(pushed.store)
    shutil.rmtree(pushed.box.root / "far.git/mlver")
    found = checked("fsck", pushed.json("fsck"))
    assert not found["ok"]
    assert {problem["kind"] for problem in found["problems"]} == {"missing"}
    assert len({problem["oid"] for problem in found["problems"]}) == 4


def test_fsck_names_damage_and_raw_files(pushed: Clone) -> None:
    pack = next(path for path in pushed.store.rglob("*.pack"))
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    pushed.git("rm", "-q", "--cached", "d.bin")
    pushed.git("-c", "core.attributesFile=/dev/null", "rm", "-q", "--cached", ".gitattributes")
    shutil.move(pushed.path(".gitattributes"), pushed.path("kept"))
    pushed.git("add", "d.bin")
    shutil.move(pushed.path("kept"), pushed.path(".gitattributes"))
    found = checked("fsck", pushed.json("fsck"))
    assert {problem["kind"] for problem in found["problems"]} == {"corrupt", "raw"}
    raw = checked("fsck", pushed.json("fsck", "--pointers"))["problems"]
    assert [problem["path"] for problem in raw] == ["d.bin"]


def test_prune_says_what_it_would_free_and_what_it_freed(pushed: Clone) -> None:
    planned = checked("prune", pushed.json("prune"))
    assert planned["dry_run"] and planned["blobs_freed"] == 4
    done = checked("prune", pushed.json("prune", "--yes"))
    assert not done["dry_run"]
    assert done["bytes_freed"] == done["bytes_before"] >= planned["bytes_freed"] > 80_000
    assert checked("prune", pushed.json("prune"))["bytes_before"] == 0


def test_doctor_says_ok_or_names_the_problems(pushed: Clone) -> None:
    healthy = checked("doctor", pushed.json("doctor"))
    assert healthy["ok"] and healthy["done"] == []
    (pushed.git_dir() / "hooks/pre-push").unlink()
    ill = checked("doctor", pushed.json("doctor"))
    assert not ill["ok"]
    assert [row["fix"] for row in ill["findings"] if row["level"] == "problem"]
    mended = checked("doctor", pushed.json("doctor", "--fix"))
    assert mended["ok"] and mended["done"]


def test_env_tells_versions_paths_and_settings(pushed: Clone) -> None:
    env = checked("env", pushed.json("env"))["env"]
    assert env["worktree"] == str(pushed.top)
    assert env["remotes"]["origin"]["origin"] == "beside"


def test_env_of_a_bare_repository_has_no_worktree(box: Sandbox) -> None:
    bare = box.at(box.bare("bare.git"))
    assert checked("env", bare.json("env"))["env"]["worktree"] is None


def test_remote_list_tells_where_a_remote_was_named_and_whether_it_is_trusted(
    pushed: Clone,
) -> None:
    def listed() -> list[tuple[str, str, bool]]:
        rows = checked("remote-list", pushed.json("remote", "list"))["remotes"]
        return [(row["name"], row["origin"], row["trusted"]) for row in rows]

    assert listed() == [("origin", "beside", True)]
    with pushed.path(".mlver.toml").open("a") as file:
        file.write(f'[remotes.team]\nurl = "{pushed.box.root}/team"\n')
    assert listed() == [("team", "tree", False)]
    pushed.mlver("remote", "trust", "team")
    pushed.mlver("remote", "add", "mine", str(pushed.box.root / "mine"))
    assert sorted(listed()) == [("mine", "config", True), ("team", "tree", True)]


def test_track_lists_the_patterns_in_force(pushed: Clone) -> None:
    listed = checked("track", pushed.json("track"))["patterns"]
    assert listed == [{"file": ".gitattributes", "pattern": "*.bin"}]
    after = checked("track", pushed.json("track", "*.csv"))["patterns"]
    assert [row["pattern"] for row in after] == ["*.bin", "*.csv"]


def test_remote_compact_says_what_was_merged(pushed: Clone) -> None:
    for name in "xyz":
        pushed.commit(name, {f"{name}.bin": content(name)})
        pushed.git("push", "-q", "origin", "main")
    done = checked("remote-compact", pushed.json("remote", "compact"))
    assert (done["objects_before"], done["objects_after"], done["merged"]) == (4, 1, 4)
    again = checked("remote-compact", pushed.json("remote", "compact"))
    assert again["object"] is None and again["objects_after"] == 1
    assert "nothing to merge" in pushed.mlver("remote", "compact").out
    pushed.mlver("drop", ".")
    shutil.rmtree(pushed.store / "packs")
    pushed.mlver("pull")
    assert pushed.read("x.bin") == content("x")
    assert pushed.json("fsck", "--remote")["ok"]
