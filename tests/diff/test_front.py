"""`git mlver diff` as a person meets it: states, keys, limits, exit codes, what cannot be had."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli.test_json_contract import checked
from tests.support.sandbox import Clone, content

OLD = b"id,name,label\n1,ann,a\n2,bob,b\n3,cid,a\n"
NEW = b"id,name,label\n1,ann,b\n2,bob,b\n4,dan,a\n"
PAIRS = {"modified": 1, "added": 1, "removed": 1}


@pytest.fixture
def table(work: Clone) -> Clone:
    """A tracked table and parameters that git holds, with a second commit that changes both."""
    work.mlver("track", "*.csv")
    work.given("one", {"t.csv": OLD, "p.json": b'{"lr": 0.1}', "notes.txt": b"x"})
    work.given("two", {"t.csv": NEW, "p.json": b'{"lr": 0.2}', "notes.txt": b"y"})
    return work


def rows_of(value: Any) -> dict[str, Any]:
    return {row["path"]: row for row in checked("diff", value)["files"]}


def counted(row: Any) -> dict[str, int]:
    return {name: row["rows"][name] for name in PAIRS}


def test_two_commits_are_compared_by_row_and_cell(table: Clone) -> None:
    row = rows_of(table.json("diff", "HEAD~1", "HEAD"))["t.csv"]
    assert (row["format"], row["key"], row["key_source"]) == ("csv", ["id"], "inferred")
    assert counted(row) == PAIRS
    changed = next(change for change in row["changes"] if change["kind"] == "modified")
    assert changed["key"] == {"id": "1"}
    assert changed["cells"] == [{"column": "label", "old": "a", "new": "b"}]


def test_index_and_worktree_are_states_too(table: Clone) -> None:
    table.write("t.csv", OLD)
    assert counted(rows_of(table.json("diff"))["t.csv"]) == PAIRS
    assert rows_of(table.json("diff", "HEAD~1")).keys() == {"p.json"}
    assert rows_of(table.json("diff", "--cached")) == {}
    table.git("add", "t.csv")
    assert rows_of(table.json("diff")) == {}
    assert counted(rows_of(table.json("diff", "--staged"))["t.csv"]) == PAIRS


def test_files_that_git_holds_are_compared_where_their_format_is_known(table: Clone) -> None:
    rows = rows_of(table.json("diff", "HEAD~1", "HEAD"))
    assert set(rows) == {"t.csv", "p.json"}, "what plain git shows well is left to it"
    assert rows["p.json"]["old_size"] == 11


def test_a_file_tracked_in_between_is_one_that_changed(work: Clone) -> None:
    work.given("plain", {"t.csv": OLD})
    work.mlver("track", "*.csv")
    work.write("t.csv", NEW)
    work.git("add", "-A", "--renormalize")
    work.git("commit", "-qm", "tracked")
    row = rows_of(work.json("diff", "HEAD~1", "HEAD"))["t.csv"]
    assert row["status"] == "modified" and counted(row) == PAIRS


def test_a_pointer_in_the_worktree_is_read_as_its_content(table: Clone) -> None:
    pointer = table.blob("HEAD:t.csv")
    table.write("t.csv", pointer)
    assert rows_of(table.json("diff", "HEAD~1"))["t.csv"]["rows"]["new"] == 3


@pytest.mark.parametrize(
    ("attributes", "toml", "words", "key", "source"),
    [
        ("", "", [], ["id"], "inferred"),
        ("", '[keys]\n"t.*" = "name"\n', [], ["name"], "config"),
        ("", '[keys]\n"t.csv" = ["name", "id"]\n"other/*" = "x"\n', [], ["name", "id"], "config"),
        (
            "t.csv mlver-key=name,label\n",
            '[keys]\n"*" = "id"\n',
            [],
            ["name", "label"],
            "attribute",
        ),
        ("t.csv mlver-key=name\n", "", ["--key", "id"], ["id"], "option"),
        ("t.csv mlver-key=name\n", "", ["--no-key"], [], None),
    ],
)
def test_where_a_key_comes_from(
    table: Clone, attributes: str, toml: str, words: list[str], key: list[str], source: str | None
) -> None:
    before = table.read(".gitattributes").decode()
    table.write(".gitattributes", (before + attributes).encode())
    table.write(".mlver.toml", toml.encode())
    row = rows_of(table.json("diff", *words, "HEAD~1", "HEAD", "t.csv"))["t.csv"]
    assert (row["key"], row["key_source"]) == (key, source)


def test_a_key_that_is_no_column_is_told(table: Clone) -> None:
    row = rows_of(table.json("diff", "--key", "nope", "HEAD~1", "HEAD", "t.csv"))["t.csv"]
    assert row["format"] == "opaque" and "nope" in row["notes"][0]


def test_settings_of_keys_that_are_none_are_an_error(table: Clone) -> None:
    table.write(".mlver.toml", b"[keys]\nx = 3\n")
    done = table.attempt("mlver", "diff", "HEAD~1", "HEAD")
    assert done.code == 3 and "keys" in done.err


def test_a_path_that_is_gone_comes_after_two_dashes(table: Clone) -> None:
    table.path("t.csv").unlink()
    assert table.attempt("mlver", "diff", "t.csv").code == 2
    assert "t.csv" in table.mlver("diff", "--", "t.csv").out
    assert "p.json" not in table.mlver("diff", "HEAD~1", "--", "t.csv").out


def test_limit_leaves_changes_out_and_counts_all(table: Clone) -> None:
    row = rows_of(table.json("diff", "--limit", "1", "HEAD~1", "HEAD"))["t.csv"]
    assert (len(row["changes"]), row["truncated"], counted(row)) == (1, True, PAIRS)


def test_ignored_columns_and_tolerance(work: Clone) -> None:
    old, new = (
        work.write("a.csv", b"id,x,y\n1,1.0,p\n"),
        work.write("b.csv", b"id,x,y\n1,1.001,q\n"),
    )
    both = ("diff", "--no-index", str(old), str(new))
    [row] = rows_of(work.json(*both, "--ignore", "y")).values()
    assert [cell["column"] for cell in row["changes"][0]["cells"]] == ["x"]
    exact = work.attempt("mlver", *both, "--exit-code", "--ignore", "y")
    near = work.attempt("mlver", *both, "--exit-code", "--ignore", "y", "--tolerance", "0.01")
    relative = work.attempt("mlver", *both, "--exit-code", "--ignore", "y", "--rtol", "0.01")
    assert (exact.code, near.code, relative.code) == (1, 0, 0)
    assert work.attempt("mlver", *both, "--tolerance", "-1").code == 2


def test_the_same_values_in_other_bytes_are_no_difference(work: Clone) -> None:
    old, new = work.write("a.csv", OLD), work.write("b.csv", OLD.replace(b"\n", b"\r\n"))
    done = work.attempt("mlver", "diff", "--no-index", "--exit-code", str(old), str(new))
    assert done.code == 0 and "the same values" in done.out


def test_no_index_needs_no_repository(work: Clone) -> None:
    folder = work.box.root / "outside"
    folder.mkdir()
    (folder / "a.csv").write_bytes(OLD)
    (folder / "b.csv").write_bytes(NEW)
    done = work.box.run(
        ["git-mlver", "diff", "--no-index", "--json", "--exit-code", "a.csv", "b.csv"], folder
    )
    assert done.code == 1 and '"modified": 1' in done.out
    same = work.box.run(
        ["git-mlver", "diff", "--no-index", "--exit-code", "a.csv", "a.csv"], folder
    )
    assert (same.code, same.out) == (0, "")


def test_folders_are_compared_by_path(work: Clone) -> None:
    for side, data in (("a", OLD), ("b", NEW)):
        work.write(f"{side}/in/t.csv", data)
        work.write(f"{side}/same.bin", b"s")
        work.write(f"{side}/only-{side}.csv", data)
    rows = rows_of(work.json("diff", "--no-index", "a", "b"))
    assert {path: row["status"] for path, row in rows.items()} == {
        "in/t.csv": "modified",
        "only-a.csv": "removed",
        "only-b.csv": "added",
    }
    assert counted(rows["in/t.csv"]) == PAIRS and rows["only-b.csv"]["rows"]["added"] == 3


@pytest.mark.parametrize("words", [["a"], ["a", "b", "c"], ["a.csv", "no-such"], ["a.csv", "."]])
def test_no_index_takes_two_of_a_kind(work: Clone, words: list[str]) -> None:
    work.write("a.csv", OLD)
    done = work.attempt("mlver", "diff", "--no-index", *words)
    assert done.code == 2 and "  next: " in done.err


def test_links_in_folders_are_not_followed(work: Clone) -> None:
    secret = work.write("secret.csv", b"id,password\n1,hunter2\n")
    for side in "ab":
        (work.top / side).mkdir()
    (work.top / "b/link.csv").symlink_to(secret)
    (work.top / "a/link.csv").symlink_to("nothing")
    done = work.mlver("diff", "--no-index", "a", "b")
    assert "link.csv" in done.out and "hunter2" not in done.out + done.err


def test_a_file_that_moved_and_changed_is_compared_with_its_old_version(table: Clone) -> None:
    rows = b"".join(b"%d,n%d,a\n" % (n, n) for n in range(50))
    table.given("long", {"t.csv": OLD + rows})
    table.git("mv", "t.csv", "moved.csv")
    table.commit("moved", {"moved.csv": NEW + rows})
    row = rows_of(table.json("diff", "HEAD~1", "HEAD"))["moved.csv"]
    assert (row["status"], row["old_path"]) == ("renamed", "t.csv")
    assert row["rows"]["old"] == 53 and row["rows"]["modified"] == 1


def test_unlike_files_are_no_rename(table: Clone) -> None:
    table.git("rm", "-q", "t.csv")
    table.commit("other", {"u.csv": b"q\n" + content(1, 20).hex().encode() + b"\n"})
    rows = rows_of(table.json("diff", "HEAD~1", "HEAD"))
    assert {path: row["status"] for path, row in rows.items()} == {
        "t.csv": "removed",
        "u.csv": "added",
    }


def test_content_that_cannot_be_had_is_told_and_still_a_difference(table: Clone) -> None:
    table.lose_content()
    row = rows_of(table.json("diff", "HEAD~1", "HEAD"))["t.csv"]
    assert row["format"] == "opaque" and row["notes"]
    done = table.attempt("mlver", "diff", "--exit-code", "HEAD~1", "HEAD")
    assert done.code == 1 and "note:" in done.out and "p.json" in done.out
    patch = table.attempt("mlver", "diff", "HEAD~1", "HEAD", "--patch", "p")
    assert patch.code == 4 and not table.path("p").exists()


def test_three_dots_start_where_both_came_from(table: Clone) -> None:
    base = table.head()
    table.git("switch", "-qc", "side")
    table.given("side", {"t.csv": NEW + b"9,zoe,b\n"})
    table.git("switch", "-q", "main")
    table.given("main", {"t.csv": OLD})
    rows = rows_of(table.json("diff", "main...side"))["t.csv"]["rows"]
    assert (rows["added"], rows["removed"], rows["modified"]) == (1, 0, 0), base
