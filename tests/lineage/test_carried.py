"""Runs stay with what they made, whatever makes the commits anew, and commits name their runs."""

from __future__ import annotations

import pytest
from tests.support.recorded import noted, record, run_ids
from tests.support.sandbox import Clone, Sandbox, content

THEIRS = "refs/mlver/remotes/origin/notes"


def _at(clone: Clone, revision: str = "HEAD") -> list[str]:
    return noted(clone).get(clone.head(revision), [])


def _trailers(clone: Clone, revision: str = "HEAD") -> list[str]:
    shown = "--format=%(trailers:key=Mlver-Run,valueonly)"
    return clone.git("log", "-1", shown, revision).out.split()


def _model(clone: Clone, name: str, seed: int | str) -> str:
    """A recorded run that made a model, which is in the worktree and staged."""
    data = content(seed)
    clone.write(name, data)
    run_id = record(clone, {name: data})
    clone.git("add", "-A")
    return run_id


def _side(clone: Clone) -> tuple[str, str]:
    """A branch `side` with a commit that brings a model; its run and the commit. main goes on."""
    clone.git("switch", "-qc", "side")
    run_id = _model(clone, "m.bin", "side")
    clone.git("commit", "-qm", "model")
    tip = clone.head()
    clone.git("switch", "-q", "main")
    clone.commit("main goes on", {"other.txt": b"x"})
    return run_id, tip


def test_a_commit_that_brings_an_output_gets_its_run_and_names_it(work: Clone) -> None:
    run_id = _model(work, "m.bin", 1)
    work.git("commit", "-qm", "a model")
    assert _at(work) == [run_id] == _trailers(work)


def test_a_plain_blob_counts_as_a_pointer_does(work: Clone) -> None:
    work.write("metrics.json", b'{"acc": 1}\n')
    run_id = record(work, {"metrics.json": b'{"acc": 1}\n'})
    work.commit("metrics")
    assert _at(work) == [run_id] == _trailers(work)


def test_a_commit_that_brings_nothing_of_a_run_gets_none(work: Clone) -> None:
    _model(work, "m.bin", 1)
    work.git("commit", "-qm", "a model")
    work.commit("something else", {"a.txt": b"a", "empty": b""})
    assert _at(work) == [] == _trailers(work)


def test_amend_carries_the_run_and_doubles_no_trailer(work: Clone) -> None:
    run_id = _model(work, "m.bin", 1)
    work.git("commit", "-qm", "a model")
    work.git("commit", "-q", "--amend", "-m", "another message")
    assert _at(work) == [run_id]
    work.git("commit", "-q", "--amend", "-m", f"a model\n\nMlver-Run: {run_id}")
    work.write("m.bin", content(1))
    work.git("commit", "-q", "--amend", "--no-edit")
    assert _at(work) == [run_id] == _trailers(work)


def test_rebase_carries_runs(work: Clone) -> None:
    run_id, tip = _side(work)
    work.git("switch", "-q", "side")
    work.git("rebase", "-q", "main")
    assert work.head() != tip and _at(work) == [run_id] == _trailers(work)
    assert noted(work)[tip] == [run_id]


def test_a_rebase_that_squashes_keeps_both(work: Clone) -> None:
    first = _model(work, "a.bin", 1)
    work.git("commit", "-qm", "first")
    second = _model(work, "b.bin", 2)
    work.git("commit", "-qm", "fixup! first")
    work.git("rebase", "-q", "-i", "--autosquash", "HEAD~2", GIT_SEQUENCE_EDITOR="true")
    assert work.git("log", "-1", "--format=%s").out.strip() == "first"
    assert _at(work) == sorted([first, second])


def test_a_line_that_no_output_leads_to_is_carried_too(work: Clone) -> None:
    work.git("switch", "-qc", "side")
    tip = work.commit("code", {"train.py": b"1"})
    run_id = record(work, {"never-committed": b"what no commit holds"})
    work.git("commit", "-q", "--amend", "-m", "code, better said")
    assert work.head() != tip and _at(work) == [run_id]


def test_cherry_pick_gets_the_run(work: Clone) -> None:
    run_id, tip = _side(work)
    work.git("cherry-pick", tip)
    assert work.head() != tip and _at(work) == [run_id] == _trailers(work)


def test_squash_gets_the_run_and_names_it_once(work: Clone) -> None:
    run_id, _ = _side(work)
    work.git("merge", "-q", "--squash", "side")
    work.git("commit", "-q", "--no-edit")
    assert _at(work) == [run_id]
    assert work.git("log", "-1", "--format=%B").out.count(run_id) == 1


def test_a_merge_gets_the_run_and_its_message_stays(work: Clone) -> None:
    run_id, _ = _side(work)
    work.git("merge", "-q", "--no-ff", "-m", "merged", "side")
    assert _at(work) == [run_id]
    assert work.git("log", "-1", "--format=%B").out.strip() == "merged"


@pytest.mark.parametrize("packed", [False, True])
def test_the_runs_of_others_are_attached_too(box: Sandbox, work: Clone, packed: bool) -> None:
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    run_id, _ = _side(work)
    work.git("push", "-q", "origin", "main", "side")
    other = box.clone(far, "other")
    other.mlver("init")
    other.git("fetch", "-q")
    if packed:
        other.git("pack-refs", "--all", "--prune")
    assert run_ids(other, THEIRS) == {run_id} and run_ids(other) == set()
    other.git("merge", "-q", "--squash", "origin/side")
    other.git("commit", "-qm", "squashed")
    assert _at(other) == [run_id] == _trailers(other)
    other.git("push", "-q")
    work.git("fetch", "-q")
    assert noted(work, THEIRS)[other.head()] == [run_id]


def test_messages_from_a_file_an_editor_and_a_template(work: Clone) -> None:
    message = work.box.root / "message"
    message.write_text("from a file\n\nSigned-off-by: A <a@example.org>\n")
    first = _model(work, "a.bin", 1)
    work.git("commit", "-q", "-F", str(message))
    assert _trailers(work) == [first]
    assert work.git("log", "-1", "--format=%B").out.strip().count("\n\n") == 1, (
        "one block of trailers"
    )
    second = _model(work, "b.bin", 2)
    editor = 'f() { { echo edited; cat "$1"; } >"$1.new" && mv "$1.new" "$1"; }; f'
    work.git("-c", f"core.editor={editor}", "commit", "-q", "-v")
    assert (_trailers(work), work.git("log", "-1", "--format=%s").out) == ([second], "edited\n")
    third = _model(work, "c.bin", 3)
    work.git("-c", f"core.editor={editor}", "commit", "-q", "-t", str(message))
    assert _trailers(work) == [third]


def test_an_empty_message_still_gives_the_commit_up(work: Clone) -> None:
    _model(work, "a.bin", 1)
    before = work.head()
    assert work.attempt("commit", "-q").code != 0
    message = work.box.root / "template"
    message.write_text("subject here\n# why\n")
    work.git("config", "commit.template", str(message))
    assert work.attempt("commit", "-q").code != 0
    assert work.head() == before


def test_a_stale_trailer_never_lands_in_another_commit(work: Clone) -> None:
    _model(work, "a.bin", 1)
    assert work.attempt("commit", "-q", "-m", "").code != 0
    work.git("restore", "--staged", "a.bin")
    work.write("b.txt", b"b")
    work.git("add", "b.txt")
    work.git("commit", "-qm", "another")
    assert _trailers(work) == []


def test_trailers_can_be_switched_off(work: Clone) -> None:
    work.git("config", "mlver.trailer", "false")
    run_id = _model(work, "a.bin", 1)
    work.git("commit", "-qm", "a model")
    assert (_trailers(work), _at(work)) == ([], [run_id])


def test_a_linked_worktree_is_served(work: Clone, box: Sandbox) -> None:
    work.git("worktree", "add", "-q", "-b", "side", str(box.root / "linked"))
    linked = box.at("linked")
    run_id = _model(linked, "m.bin", 1)
    linked.git("commit", "-qm", "a model")
    assert _at(linked) == [run_id] == _trailers(linked)
