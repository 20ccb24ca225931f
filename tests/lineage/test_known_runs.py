"""All runs are found, wherever they lie; and what cannot be understood hides none of the others."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.run_notes import (
    artifacts,
    git,
    head,
    listed,
    make,
    new_repository,
    note,
    note_raw,
    oid,
    run_id,
)

from mlver.errors import CorruptContent, UsageError
from mlver.git import run_refs
from mlver.git.repo import Repo
from mlver.git.run_refs import KeptFile
from mlver.lineage import graph, journal
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRuns, known


@pytest.fixture(params=["sha1", "sha256"])
def clone(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    return new_repository(tmp_path / "clone", request.param)


def opened(clone: Repo, warnings: list[str] | None = None) -> KnownRuns:
    return known(Context(clone, warn=(warnings if warnings is not None else []).append))


def cache(clone: Repo) -> Path:
    return Path(os.fsdecode(clone.store_dir)) / graph.FILE.decode()


def test_a_clone_without_runs_gets_no_cache(clone: Repo) -> None:
    with opened(clone) as runs:
        assert runs.all() == []
    assert not cache(clone).exists()


def test_runs_are_the_newest_first_and_whole(clone: Repo) -> None:
    made = [make(n, name=f"n{n}", params={"lr": 0.1}, inputs=artifacts("a")) for n in range(3)]
    note(clone, made)
    with opened(clone) as runs:
        assert [known.run for known in runs.all()] == made[::-1]


def test_what_is_noted_later_is_found_through_the_cache(clone: Repo) -> None:
    for number in range(4):
        note(clone, [make(number, name=f"n{number}")])
        with opened(clone) as runs:
            assert listed(runs.all()) == [f"n{n}" for n in range(number + 1)]


def test_more_runs_at_a_commit_than_its_note_takes_are_all_found(clone: Repo) -> None:
    note(clone, [make(n) for n in range(run_refs.FULL + 5)])
    with opened(clone) as runs:
        assert len(runs.all()) == run_refs.FULL + 5
        places = [runs.places(run)[0] for run in runs.all()]
    assert sum(place.is_commit for place in places) == run_refs.FULL


def test_notes_of_a_remote_are_read_beside_our_own_and_one_line_is_one_run(clone: Repo) -> None:
    note(clone, [make(1, name="shared")])
    clone.git("update-ref", "refs/mlver/remotes/origin/notes", run_refs.NOTES)
    clone.git("update-ref", "refs/mlver/remotes/a/b/notes", run_refs.NOTES)
    note(clone, [make(2, name="ours")])
    with opened(clone) as runs:
        assert listed(runs.all()) == ["ours", "shared"]
        assert len(runs.places(runs.find("shared"))) == 3
    clone.git("update-ref", "-d", run_refs.NOTES)
    with opened(clone) as runs:
        assert listed(runs.all()) == ["shared"]
    clone.git("update-ref", "-d", "refs/mlver/remotes/origin/notes")
    clone.git("update-ref", "-d", "refs/mlver/remotes/a/b/notes")
    with opened(clone) as runs:
        assert runs.all() == []


def test_a_run_at_two_commits_is_one_run_with_two_places(clone: Repo) -> None:
    first = head(clone)
    clone.git("commit", "-q", "--allow-empty", "-m", "second")
    note(clone, [make(1)], first)
    note(clone, [make(1)], head(clone))
    with opened(clone) as runs:
        (run,) = runs.all()
        assert {place.key for place in runs.places(run)} == {first, head(clone)}


def test_two_records_that_claim_one_id_are_both_given(clone: Repo) -> None:
    note(clone, [make(1, name="one"), make(2, name="other")])
    with opened(clone) as runs:
        assert not any(run.claim for run in runs.all())
    note(clone, [make(1, name="forged")])
    with opened(clone) as runs:
        assert {(run.run.name, run.claim) for run in runs.all()} == {
            ("one", True), ("forged", True), ("other", False),
        }  # fmt: skip
        assert listed(runs.with_id(run_id(1))) == ["forged", "one"]


def test_notes_that_git_rewrote_from_nothing_are_read_anew(clone: Repo) -> None:
    note(clone, [make(1, name="old")])
    opened(clone).close()
    clone.git("update-ref", "-d", run_refs.NOTES)
    note(clone, [make(2, name="new")])
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "-q", "--prune=now")
    with opened(clone) as runs:
        assert listed(runs.all()) == ["new"]


def test_gits_own_fan_out_and_git_notes_are_read_too(clone: Repo) -> None:
    clone.git("notes", "--ref=mlver", "add", "-m", make(1, name="by git").encode().decode())
    with opened(clone) as runs:
        assert listed(runs.all()) == ["by git"]


# -- the journal -----------------------------------------------------------------------------


def test_a_run_at_work_is_running_and_one_whose_recorder_is_gone_was_killed(clone: Repo) -> None:
    note(clone, [make(0, name="noted")])
    entry = journal.begin(clone.store_dir, make(1, name="alive", status="running", ended=""))
    gone = journal.begin(clone.store_dir, make(2, name="gone", status="running", ended=""))
    gone.release()
    with opened(clone) as runs:
        found = {known.run.name: (known.run.status, known.in_journal) for known in runs.all()}
    assert found == {
        "alive": ("running", True), "gone": ("killed", True), "noted": ("finished", False),
    }  # fmt: skip
    entry.write(make(1, name="alive"))
    with opened(clone) as runs:
        assert runs.find("alive").run.status == "finished"


def test_a_run_that_left_the_journal_for_the_notes_is_one_run(clone: Repo) -> None:
    entry = journal.begin(clone.store_dir, make(1, name="run", status="running"))
    with opened(clone) as runs:
        assert listed(runs.all()) == ["run"]
    entry.write(make(1, name="run"))
    note(clone, [make(1, name="run")])
    for _ in range(2):
        with opened(clone) as runs:
            assert [(r.run.status, r.claim, r.in_journal) for r in runs.all()] == [
                ("finished", False, False)
            ]
    entry.remove()
    with opened(clone) as runs:
        assert listed(runs.all()) == ["run"]


def test_a_run_that_left_the_journal_for_nowhere_is_forgotten(clone: Repo) -> None:
    journal.begin(clone.store_dir, make(1, params={"a": 1}, tags={"t": "x"})).remove()
    entry = journal.begin(clone.store_dir, make(2, params={"a": 1}, inputs=artifacts("a")))
    opened(clone).close()
    entry.remove()
    with opened(clone) as runs:
        assert runs.all() == []
        for table in ("params", "tags", "artifacts", "records"):
            assert runs.ask(f"select * from {table}") == []


# -- naming one ------------------------------------------------------------------------------


def test_a_run_is_found_by_id_beginning_end_name_and_latest(clone: Repo) -> None:
    note(clone, [make(n, name=f"n{n % 2}") for n in range(4)])
    with opened(clone) as runs:
        assert runs.find("latest").run.run_id == run_id(3)
        assert runs.find("n0").run.run_id == run_id(2)
        assert runs.find(run_id(1)).run.run_id == run_id(1)
        assert runs.find(run_id(1)[-8:]).run.run_id == run_id(1)
        assert runs.find(run_id(1)[:13]).run.run_id == run_id(1)
        for wrong in ("%", "no such", run_id(1)[:8], "____"):
            with pytest.raises(UsageError):
                runs.find(wrong)


def test_makers_and_readers_are_found_by_content(clone: Repo) -> None:
    note(
        clone,
        [
            make(1, name="maker", outputs=artifacts("b=x")),
            make(2, name="reader", inputs=artifacts("c=x")),
            make(3, name="passer", inputs=artifacts("d=x"), outputs=artifacts("d=x")),
            make(4, name="config", configs=artifacts("e=x")),
        ],
    )
    with opened(clone) as runs:
        assert listed(runs.making(oid("x"))) == ["maker"]
        assert listed(runs.reading(oid("x"))) == ["config", "passer", "reader"]


# -- listings --------------------------------------------------------------------------------


def _many(count: int) -> tuple[bytes, list[dict[str, object]]]:
    items = [item.as_json() for item in artifacts(*(f"img/{n}" for n in range(count)))]
    return json.dumps(items).encode(), items


def test_inputs_in_a_listing_are_all_known_and_a_shared_one_is_read_once(clone: Repo) -> None:
    data, _ = _many(300)
    made = [
        make(n, inputs=artifacts("img/0", "img/1"), other={"listings": {"inputs": 300}})
        for n in range(3)
    ]
    kept = {run.run_id: [KeptFile("inputs.json", data)] for run in made}
    note(clone, made, kept=kept)
    with opened(clone) as runs:
        assert len(runs.inputs(runs.find("latest"))) == 300
        assert len(runs.reading(oid("img/299"))) == 3
        assert runs.ask("select count(*) from listings") == [(1,)]
        assert runs.ask("select count(*) from artifacts") == [(300,)]


def test_a_listing_that_comes_later_is_taken_then(clone: Repo) -> None:
    data, _ = _many(300)
    run = make(1, inputs=artifacts("img/0"), other={"listings": {"inputs": 300, "params": 2}})
    note(clone, [run])
    with opened(clone) as runs:
        assert runs.inputs(runs.find("latest")) == run.inputs
        assert not runs.is_complete(runs.find("latest"))
        assert len(runs.reading(oid("img/0"))) == 1
    params = json.dumps({"lr": 0.1, "depth": 3}).encode()
    kept = {run.run_id: [KeptFile("inputs.json", data), KeptFile("params.json", params)]}
    note(clone, [], kept=kept)
    with opened(clone) as runs:
        assert len(runs.inputs(runs.find("latest"))) == 300
        assert runs.is_complete(runs.find("latest"))
        assert len(runs.reading(oid("img/0"))) == 1
        assert runs.params(runs.find("latest")) == {"lr": "0.1", "depth": "3"}


# -- the cache -------------------------------------------------------------------------------


def _write_garbage(file: Path) -> None:
    file.write_bytes(b"no database at all " * 1000)


def _tear(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def _make_older(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("pragma user_version = 99")
    db.execute("drop table runs")
    db.close()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [Path.unlink, _write_garbage, _tear, _make_older, _empty])
def test_a_cache_that_is_gone_damaged_or_of_another_version_is_built_anew(
    clone: Repo, harm: object
) -> None:
    note(clone, [make(n) for n in range(50)])
    opened(clone).close()
    harm(cache(clone))  # type: ignore[operator]
    for _ in range(2):
        with opened(clone) as runs:
            assert len(runs.all()) == 50
    assert cache(clone).read_bytes().startswith(b"SQLite format 3")


def test_damage_that_is_met_late_is_told_and_mended_by_the_next_command(clone: Repo) -> None:
    note(clone, [make(n) for n in range(50)])
    with opened(clone) as runs:
        run = runs.find("latest")
        runs.ask("pragma cache_size = 0")
        runs.ask("pragma shrink_memory")
        _tear(cache(clone))
        with pytest.raises(CorruptContent, match="has been removed"):
            for _ in range(3):
                runs.inputs(run), runs.places(run), runs.all()
    with opened(clone) as runs:
        assert len(runs.all()) == 50


def test_where_the_cache_cannot_be_written_runs_are_known_all_the_same(clone: Repo) -> None:
    note(clone, [make(1)])
    cache(clone).mkdir(parents=True)  # no file can be there
    with opened(clone) as runs:
        assert len(runs.all()) == 1


def _look(path: str, expected: int) -> None:
    from mlver.git import repo

    with opened(repo.discover(path.encode())) as runs:
        assert len(runs.all()) >= expected


def test_many_processes_build_and_follow_one_cache(clone: Repo, tmp_path: Path) -> None:
    note(clone, [make(n) for n in range(200)])
    context = multiprocessing.get_context("spawn")
    where = os.fsdecode(clone.top)
    looking = [context.Process(target=_look, args=(where, 200)) for _ in range(6)]
    for process in looking:
        process.start()
    for number in range(200, 210):
        note(clone, [make(number)])
        with opened(clone) as runs:
            assert len(runs.all()) == number + 1
    for process in looking:
        process.join()
        assert process.exitcode == 0


# -- what must not be believed ---------------------------------------------------------------

GOOD = make(1, name="good").encode()
_HUGE = b'{"run_id":"' + b"a" * (10 << 20) + b'"}'
HOSTILE = {
    "binary": bytes(range(256)) * 10,
    "a line of 10 MB": _HUGE,
    "deep": b"[" * 60_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "another type": b'["mlver.run/1"]',
    "no json": b"hello",
    "a forged id": GOOD.replace(run_id(1).encode(), b"../../etc/passwd"),
    "a list for params": GOOD.replace(b'"params":{}', b'"params":[1]'),
    "a text for metrics": GOOD.replace(b'"metrics":{}', b'"metrics":{"a":"b"}'),
    "a bad oid": GOOD.replace(b'"inputs":[]', b'"inputs":[{"path":"a","oid":"blake3:xyz"}]'),
    "a negative size": GOOD.replace(b'"inputs":[]', b'"inputs":[{"path":"a","size":-1}]'),
    "NaN": GOOD.replace(b'"exit_code":0', b'"exit_code":NaN'),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_line_is_left_out_with_one_warning_and_hides_nothing(
    clone: Repo, kind: str
) -> None:
    note_raw(clone, HOSTILE[kind] + b"\n\n" + GOOD + b"\n")
    for _ in range(2):  # as it is read, and from the cache
        warnings: list[str] = []
        with opened(clone, warnings) as runs:
            assert listed(runs.all()) == ["good"]
        assert len(warnings) == 1
        assert head(clone)[:12] in warnings[0] and run_refs.NOTES in warnings[0]


STRANGE = {
    "a surrogate": GOOD.replace(b'"good"', b'"a\\ud800b"'),
    "a zero byte": GOOD.replace(b'"good"', b'"a\\u0000b"'),
    "a huge exit code": GOOD.replace(b'"exit_code":0', b'"exit_code":1' + b"0" * 400),
    "a huge metric": GOOD.replace(
        b'"metrics":{}', b'"metrics":{"a":{"last":1' + b"0" * 400 + b"}}"
    ),
    "a list as a metric": GOOD.replace(b'"metrics":{}', b'"metrics":{"a":{"last":[1]}}'),
    "parameters of any kind": GOOD.replace(
        b'"params":{}', b'"params":{"\\ud800":{"x":[1]},"b":1e400,"c":[null,"\\udfff"]}'
    ),
    "no time": GOOD.replace(b'"started":"2023', b'"started":"9999999-2023'),
    "listings of any kind": GOOD.replace(b'"schema"', b'"listings":{"inputs":[],"x":3},"schema"'),
    "code of any kind": GOOD.replace(b'"code":{}', b'"code":{"commit":5,"tree":[],"branch":{}}'),
    "argv of any kind": GOOD.replace(b'["python","train.py"]', b'[1,{"a":2},null,"\\u001b[2J"]'),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_record_is_a_run_like_others(clone: Repo, kind: str) -> None:
    assert STRANGE[kind] != GOOD
    note_raw(clone, STRANGE[kind] + b"\n")
    for _ in range(2):
        with opened(clone) as runs:
            (found,) = runs.all()
            runs.inputs(found), runs.params(found), runs.places(found)


def test_a_ref_of_notes_that_is_none_is_told_and_hides_nothing(clone: Repo) -> None:
    note(clone, [make(1, name="good")])
    blob = clone.git("hash-object", "-w", "--stdin", input=b"x").decode().strip()
    clone.git("update-ref", "refs/mlver/remotes/evil/notes", blob)
    warnings: list[str] = []
    with opened(clone, warnings) as runs:
        assert listed(runs.all()) == ["good"]
    assert len(warnings) == 1


def test_paths_in_the_notes_tree_that_are_no_notes_are_passed_over(clone: Repo) -> None:
    note(clone, [make(1, name="good")])
    where = Path(os.fsdecode(clone.top))
    git(where, "worktree", "add", "-q", "--detach", "notes", run_refs.NOTES)
    (where / "notes" / "README").write_text("no note\n")
    (where / "notes" / ("a" * len(head(clone)))).symlink_to("/etc/passwd")
    git(where / "notes", "add", ".")
    git(where / "notes", "commit", "-qm", "x")
    git(where, "update-ref", run_refs.NOTES, git(where / "notes", "rev-parse", "HEAD"))
    warnings: list[str] = []
    with opened(clone, warnings) as runs:
        assert listed(runs.all()) == ["good"]
    assert warnings == []


def test_a_record_with_members_that_we_do_not_know_keeps_them(clone: Repo) -> None:
    run = replace(make(1), other={"future": {"x": [1, 2]}})
    note(clone, [run])
    with opened(clone) as runs:
        assert runs.find("latest").run.other == {"future": {"x": [1, 2]}}
