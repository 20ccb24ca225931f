"""The commands that ask about runs: what they print, their JSON, and records that are hostile."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_json_contract import checked
from tests.support.run_notes import artifacts, make, note, note_raw, oid, run_id
from tests.support.sandbox import Clone

from mlver.git import repo as repos
from mlver.git.run_refs import KeptFile
from mlver.lineage import journal
from mlver.model.digest import digest_of
from mlver.model.run import Artifact, Blob


def content(text: bytes) -> Artifact:
    return Artifact("model.bin", digest_of(text), len(text), "model")


@pytest.fixture
def piped(work: Clone) -> Clone:
    """raw → features → two models; the second is what HEAD has, under another name."""
    old = work.given("first model", {"model.bin": b"one" * 100, "raw.csv": b"a,b\n"})
    work.git("mv", "model.bin", "best.bin")
    new = work.given("second model", {"best.bin": b"two" * 100})
    tree = work.head("HEAD^{tree}")
    old_tree = work.head("HEAD~1^{tree}")
    repo = repos.discover(str(work.top).encode())
    raw = Artifact("raw.csv", digest_of(b"a,b\n"), 4)
    features = Artifact("features.parquet", oid("features"), 10)
    code = {"commit": old, "tree": old_tree, "branch": "main", "dirty": False}
    runs = [
        make(1, name="featurize", inputs=(raw,), outputs=(features,), code=code),
        make(
            2, name="train", inputs=(features,), outputs=(content(b"one" * 100),), code=code,
            params={"lr": 0.1, "depth": 3}, metrics={"acc": {"last": 0.8, "count": 1}},
            env={"python": "3.11.7", "lock": f"blake3:{'a' * 64}"},
        ),
        make(
            3, name="train", inputs=(Artifact("other/name.parquet", oid("features"), 10),),
            outputs=(content(b"two" * 100),), params={"lr": 0.01, "depth": 3},
            metrics={"acc": {"last": 0.95, "count": 1}}, tags={"stage": "prod"},
            code={"commit": new, "tree": tree, "branch": "main"},
            env={"python": "3.12.1", "lock": f"blake3:{'b' * 64}"},
        ),
        make(4, name="broken", status="failed", exit_code=3, started="2023-11-14T23:00:00.000Z"),
    ]  # fmt: skip
    locks = {2: b"numpy==1.0\nold==1\n", 3: b"numpy==2.0\nnew==1\n"}
    kept = {run_id(n): [KeptFile("lock.txt", lock)] for n, lock in locks.items()}
    note(repo, runs, new, kept)
    return work


def out(work: Clone, *args: str) -> str:
    return work.mlver(*args).out


# -- runs ------------------------------------------------------------------------------------


def test_runs_are_listed_with_what_tells_them_apart(piped: Clone) -> None:
    lines = out(piped, "runs").splitlines()
    assert lines[0].split() == ["RUN", "NAME", "STATUS", "STARTED", "TOOK", "acc", "depth", "lr"]
    assert lines[1].split()[:4] == [run_id(4)[-8:], "broken", "failed", "(3)"]
    assert len(lines) == 5


def test_runs_are_filtered_sorted_limited_and_shown_by_column(piped: Clone) -> None:
    chosen = ["runs", "--filter", "params.depth = 3 and metrics.acc >= 0.8"]
    columns = ["--sort", "metrics.acc", "--columns", "name,params.lr,metrics.acc"]
    assert [line.split() for line in out(piped, *chosen, *columns).splitlines()] == [
        ["RUN", "name", "lr", "acc"],
        [run_id(2)[-8:], "train", "0.1", "0.8"],
        [run_id(3)[-8:], "train", "0.01", "0.95"],
    ]
    limited = piped.mlver(*chosen, "--sort", "-metrics.acc", "--limit", "1", "--json")
    found = checked("runs", json.loads(limited.raw))
    assert [run["run_id"] for run in found["runs"]] == [run_id(3)]


def test_a_filter_that_cannot_be_understood_is_a_usage_error(piped: Clone) -> None:
    done = piped.attempt("mlver", "runs", "--filter", "lr > 1")
    assert done.code == 2
    assert "at character 1" in done.warnings[0] and "params.NAME" in done.warnings[0]


def test_runs_as_json_and_csv_have_everything(piped: Clone) -> None:
    found = checked("runs", piped.json("runs"))["runs"]
    assert [run["name"] for run in found] == ["broken", "train", "train", "featurize"]
    rows = list(csv.DictReader(io.StringIO(out(piped, "runs", "--csv"))))
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in found]
    assert (rows[1]["params.lr"], rows[1]["metrics.acc"], rows[1]["tags.stage"]) == (
        "0.01", "0.95", "prod",
    )  # fmt: skip
    assert rows[0]["params.lr"] == "" and rows[0]["exit_code"] == "3"


def test_a_cell_of_csv_is_no_formula(work: Clone) -> None:
    repo = repos.discover(str(work.top).encode())
    bad = '=HYPERLINK(1),"x"\nnext'
    note(repo, [make(1, name=bad, params={"@a": "-1", "b": "-1+2", "c": "-1.5e3", "d": "plain"})])
    (row,) = csv.DictReader(io.StringIO(out(work, "runs", "--csv")))
    assert row["name"] == "'" + bad
    values = [row[f"params.{name}"] for name in ("@a", "b", "c", "d")]
    assert values == ["-1", "'-1+2", "-1.5e3", "plain"]


def test_without_runs_there_is_a_header_and_empty_json(work: Clone) -> None:
    assert out(work, "runs").split() == ["RUN", "NAME", "STATUS", "STARTED", "TOOK"]
    assert checked("runs", work.json("runs"))["runs"] == []


# -- one run, two runs -----------------------------------------------------------------------


def test_show_gives_a_run_by_name_latest_and_ends_of_its_id(piped: Clone) -> None:
    for word in ("train", run_id(3)[-6:], run_id(3)):
        assert f"run {run_id(3)}  train  finished" in out(piped, "show", word)
    shown = out(piped, "show", "train")
    for part in ("python train.py", "lr     0.01", "acc  0.95", "model.bin", piped.head()[:12]):
        assert part in shown
    assert "broken" in out(piped, "show", "latest")
    found = checked("show", piped.json("show", "train"))
    assert found["run_id"] == run_id(3)
    assert found["known"]["notes"] == [
        {"ref": "refs/notes/mlver", "object": piped.head(), "commit": True}
    ]
    assert piped.attempt("mlver", "show", "nothing").code == 2


def test_show_prints_the_logs_of_a_run_at_work_and_of_one_that_is_over(piped: Clone) -> None:
    repo = repos.discover(str(piped.top).encode())
    entry = journal.begin(repo.store_dir, make(9, name="now", status="running", ended=""))
    with entry.open_log(b"stdout") as log:
        log.write(b"epoch 1\n")
    assert piped.mlver("show", "now", "--stdout").raw == b"epoch 1\n"
    assert piped.mlver("show", "now", "--stderr").raw == b""
    text = b"an error\n" * 50
    piped.given("log", {"log.bin": text})
    blob = Blob(digest_of(text), len(text))
    note(repo, [make(10, name="over", blobs={"stderr": blob})])
    assert piped.mlver("show", "over", "--stderr").raw == text
    gone = Blob(oid("gone"), 5)
    note(repo, [make(11, name="lost", blobs={"stderr": gone})])
    assert piped.attempt("mlver", "show", "lost", "--stderr").code == 4


def test_two_claims_of_one_id_are_both_shown(piped: Clone) -> None:
    repo = repos.discover(str(piped.top).encode())
    note(repo, [make(1, name="forged")])
    assert out(piped, "show", run_id(1)).count(f"run {run_id(1)}") == 2
    assert "!" in out(piped, "runs")
    claims = checked("show", piped.json("show", run_id(1)))["known"]["claims"]
    assert sorted(run["name"] for run in claims) == ["featurize", "forged"]


def test_compare_tells_params_metrics_data_packages_and_code(piped: Clone) -> None:
    ids = (run_id(2), run_id(3))
    found = checked("compare", piped.json("compare", *ids))
    assert found["params"] == [
        {"name": "depth", "a": "3", "b": "3"}, {"name": "lr", "a": "0.1", "b": "0.01"},
    ]  # fmt: skip
    (metric,) = found["metrics"]
    assert metric["delta"] == pytest.approx(0.15)
    (moved,) = found["inputs"]
    assert moved["name"] == "features.parquet → other/name.parquet" and moved["a"] == moved["b"]
    assert [row["name"] for row in found["packages"]] == ["new", "numpy", "old"]
    assert found["code"]["files"] == [
        {"status": "D", "path": "model.bin"}, {"status": "A", "path": "best.bin"},
    ] or len(found["code"]["files"]) in (1, 2)  # fmt: skip
    command = found["code"]["command"].split()
    assert command[:2] == ["git", "diff"] and piped.git(*command[1:]).raw
    shown = out(piped, "compare", *ids)
    assert "-0.09" not in shown.split("metrics")[0] and "+0.15" in shown
    assert "numpy" in shown and "1.0" in shown


# -- history, origin, lineage ----------------------------------------------------------------


def test_log_follows_a_renamed_file_and_names_the_run_of_each_version(piped: Clone) -> None:
    found = checked("log", piped.json("log", "best.bin"))["versions"]
    made = [(row["path"], [run["run_id"] for run in row["runs"]]) for row in found]
    assert made[0] == ("best.bin", [run_id(3)])
    assert made[-1][1] in ([run_id(2)], [run_id(3)])  # git decides whether it was a rename
    shown = out(piped, "log", "best.bin")
    assert f"made by {run_id(3)[-8:]} train" in shown
    old = checked("log", piped.json("log", "model.bin", "--rev", "HEAD~1"))["versions"]
    assert [run["run_id"] for run in old[0]["runs"]] == [run_id(2)]
    assert piped.attempt("mlver", "log", "nothing.bin").code == 2
    assert piped.attempt("mlver", "log", "best.bin", "--rev", "nowhere").code == 2


def test_why_tells_the_run_the_data_the_code_and_what_is_not_known(piped: Clone) -> None:
    text = " ".join(out(piped, "why", "best.bin").split())
    for part in (
        f"made by run {run_id(3)[-8:]} “train”", "A <a@example.com>", "2023-11-14 22:13:23",
        "python train.py", piped.head()[:12], "other/name.parquet", "lr=0.01", "acc 0.95",
        "Python 3.12.1",
    ):  # fmt: skip
        assert part in text, part
    assert "no run that is known here made" in out(piped, "why", "README.md")
    assert run_id(2)[-8:] in out(piped, "why", "model.bin@HEAD~1")
    found = checked("why", piped.json("why", "best.bin@HEAD"))
    assert found["run"]["run_id"] == run_id(3) and found["rev"] == "HEAD"
    raw = checked("why", piped.json("why", "raw.csv"))
    assert raw["run"] is None and len(raw["unknown"]) == 2
    assert piped.attempt("mlver", "why", "best.bin@nowhere").code == 2
    assert piped.attempt("mlver", "why", "nothing").code == 2


def test_lineage_goes_through_renames_up_and_down(piped: Clone) -> None:
    found = checked("lineage", piped.json("lineage", "best.bin"))
    kinds = {node["id"]: node["kind"] for node in found["nodes"]}
    assert {f"run:{run_id(1)}", f"run:{run_id(3)}"} <= set(kinds)
    assert f"run:{run_id(2)}" not in kinds
    assert {"artifact", "run", "code", "env"} == set(kinds.values())
    for edge in found["edges"]:
        assert {edge["from"], edge["to"]} <= set(kinds)
    raw = f"blake3:{digest_of(b'a,b' + bytes([10])).hex()}"
    assert {"from": raw, "to": f"run:{run_id(1)}", "role": "input", "path": "raw.csv"} in found[
        "edges"
    ]
    down = checked("lineage", piped.json("lineage", "raw.csv", "--down"))
    assert {run_id(1), run_id(2), run_id(3)} <= {node.get("run_id") for node in down["nodes"]}
    near = checked("lineage", piped.json("lineage", "raw.csv", "--down", "--depth", "1"))
    assert near["truncated"]
    assert {node["run_id"] for node in near["nodes"] if node["kind"] == "run"} == {run_id(1)}


def test_lineage_as_text_dot_and_mermaid(piped: Clone) -> None:
    text = out(piped, "lineage", "best.bin", "--up")
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["best.bin", "came"]
    assert lines[2].startswith("  run") and lines[3].startswith("    other/name.parquet")
    assert "raw.csv" in lines[-1]
    dot = out(piped, "lineage", "best.bin", "--format", "dot")
    assert dot.startswith("digraph lineage {") and f'"run:{run_id(1)}"' in dot
    mermaid = out(piped, "lineage", "best.bin", "--format", "mermaid")
    assert mermaid.startswith("flowchart LR") and "-->|input|" in mermaid
    by_run = checked("lineage", piped.json("lineage", run_id(1)))
    assert {f"run:{run_id(n)}" for n in (1, 2, 3)} <= {node["id"] for node in by_run["nodes"]}
    assert "nothing that is known here" in out(piped, "lineage", "README.md")


def test_a_subfolder_and_a_content_id_name_files_too(piped: Clone) -> None:
    piped.given("deep", {"deep/er/x.bin": b"two" * 100})
    inside = Clone(piped.box, piped.top / "deep")
    assert run_id(3)[-8:] in inside.mlver("why", "er/x.bin").out
    name = f"blake3:{digest_of(b'two' * 100).hex()}"
    assert run_id(3)[-8:] in piped.mlver("why", name).out
    assert piped.attempt("mlver", "why", "blake3:xyz").code == 2


def test_an_output_that_was_never_committed_is_known_by_its_path(piped: Clone) -> None:
    assert f"run {run_id(1)[-8:]}" in out(piped, "why", "features.parquet")


def test_exports_of_a_path_and_of_a_run(piped: Clone, tmp_path: Path) -> None:
    found = json.loads(out(piped, "export", "best.bin", "--format", "slsa"))
    assert found["subject"][0]["digest"]["blake3"] == digest_of(b"two" * 100).hex()
    file = tmp_path / "bom.json"
    piped.mlver("export", run_id(3), "--format", "cyclonedx", "-o", str(file))
    names = {part["name"] for part in json.loads(file.read_text())["components"]}
    assert "numpy" in names
    events = out(piped, "export", "best.bin", "--format", "openlineage", "--upstream")
    assert len(events.splitlines()) == 4  # two runs
    assert piped.attempt("mlver", "export", "README.md", "--format", "prov").code == 2
    assert piped.attempt("mlver", "export", "best.bin", "--format", "slsa", "--upstream").code == 2


def test_run_ids_names_and_latest_are_completed(piped: Clone) -> None:
    def completed(word: str) -> list[str]:
        done = piped.box.run(
            ["git-mlver"], piped.top, COMP_WORDS=f"git-mlver show {word}", COMP_CWORD="2",
            _GIT_MLVER_COMPLETE="bash_complete",
        )  # fmt: skip
        return [line.split(",")[1] for line in done.out.splitlines()]

    assert completed("tr") == ["train"]
    assert completed("la") == ["latest"]
    assert set(completed(run_id(1)[:8])) >= {run_id(1), run_id(2)}


# -- records that nobody should believe ------------------------------------------------------

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202eabc\r\n"
COMMANDS = [
    ["runs"], ["runs", "--csv"], ["runs", "--columns", "command,path,params.`\x1b[2J`"],
    ["show", "latest"], ["compare", "latest", "latest"], ["log", "README.md"],
    ["why", "latest"], ["lineage", "latest"], ["lineage", "latest", "--format", "dot"],
    ["lineage", "latest", "--format", "mermaid"], ["runs", "--json"], ["why", "README.md"],
    ["lineage", "README.md", "--json"], ["export", "latest", "--format", "prov"],
]  # fmt: skip


def test_no_command_passes_escapes_on_or_fails_at_a_strange_record(work: Clone) -> None:
    repo = repos.discover(str(work.top).encode())
    readme = Artifact(ESCAPES, digest_of(b"about it\n"), 9, ESCAPES)
    evil = make(
        1, name=ESCAPES, actor=ESCAPES, params={ESCAPES: ESCAPES}, tags={ESCAPES: ESCAPES},
        metrics={ESCAPES: {"last": ESCAPES, "count": ESCAPES}}, inputs=artifacts(ESCAPES),
        outputs=(readme,), env={ESCAPES: ESCAPES, "python": ESCAPES},
        code={"commit": ESCAPES, "tree": ESCAPES, "branch": ESCAPES, "left_out": [ESCAPES]},
        job={"argv": [ESCAPES, "--output=x"], "cwd": ESCAPES}, started=ESCAPES,
        other={"unseen": [ESCAPES, 5], "listings": {"inputs": ESCAPES}}, parent_run=ESCAPES,
    )  # fmt: skip
    note_raw(repo, evil.encode() + b"\n" + b"\xff\x1b[2J not a record\n")
    for command in COMMANDS:
        done = work.attempt("mlver", *command)
        assert done.code in (0, 2), (command, done)
        for text in (done.raw, done.err.encode("utf-8", "surrogateescape")):
            if "--csv" not in command:
                assert b"\x1b" not in text and b"\x07" not in text, command
                assert "\u202e".encode() not in text, command
        assert "not foreseen" not in done.err and "Traceback" not in done.err, command
        assert sum("cannot be understood" in warning for warning in done.warnings) == 1, command


def test_a_circle_of_runs_ends(work: Clone) -> None:
    repo = repos.discover(str(work.top).encode())
    runs = [
        make(n, name=f"n{n}", inputs=artifacts(f"f{n}"), outputs=artifacts(f"f{(n + 1) % 5}"))
        for n in range(5)
    ]
    runs.append(make(9, name="self", inputs=artifacts("f0"), outputs=artifacts("f0")))
    note(repo, runs)
    found = checked("lineage", work.json("lineage", f"blake3:{oid('f0').hex()}"))
    made = {node["label"] for node in found["nodes"] if node["kind"] == "run"}
    assert made == {"n0", "n1", "n2", "n3", "n4", "self"}
    assert "(see above)" in out(work, "lineage", "n3")


def test_a_run_that_read_what_it_wrote_made_it_not(work: Clone) -> None:
    repo = repos.discover(str(work.top).encode())
    maker = make(1, name="maker", outputs=artifacts("a=x"))
    passer = make(2, name="passer", inputs=artifacts("a=x", "b"), outputs=artifacts("c=x"))
    note(repo, [maker, passer])
    found = work.json("lineage", f"blake3:{oid('x').hex()}", "--up")
    assert [node["label"] for node in found["nodes"] if node["kind"] == "run"] == ["maker"]


def test_a_chain_that_is_deeper_than_any_stack_is_followed(work: Clone) -> None:
    repo = repos.discover(str(work.top).encode())
    length = 1500
    note(
        repo,
        [make(n, inputs=artifacts(f"f{n}"), outputs=artifacts(f"f{n + 1}")) for n in range(length)],
    )
    found: Any = work.json("lineage", f"blake3:{oid(f'f{length}').hex()}", "--up")
    assert len([node for node in found["nodes"] if node["kind"] == "run"]) == length
    assert len(out(work, "lineage", f"blake3:{oid(f'f{length}').hex()}").splitlines()) > length


def test_lineage_is_whole_after_a_squash_and_from_another_repository(work: Clone) -> None:
    """The runs were on a branch that is gone, and in a repository that is only a git remote."""
    repo = repos.discover(str(work.top).encode())
    other = work.box.init("other")
    there = repos.discover(str(other.top).encode())
    note(there, [make(1, name="elsewhere", outputs=artifacts("raw.parquet=raw"))])
    work.git("switch", "-q", "-c", "side")
    side = work.given("try", {"model.bin": b"tried" * 100})
    made = content(b"tried" * 100)
    note(repo, [make(2, name="here", inputs=artifacts("in.parquet=raw"), outputs=(made,))], side)
    work.git("switch", "-q", "main")
    work.git("merge", "-q", "--squash", "side")
    work.git("commit", "-q", "--no-verify", "-m", "squashed")
    work.git("branch", "-q", "-D", "side")
    work.git("fetch", "-q", str(other.top), "refs/notes/mlver:refs/mlver/remotes/other/notes")
    work.git("mv", "model.bin", "final.bin")
    work.git("commit", "-q", "--no-verify", "-m", "renamed")
    found = checked("lineage", work.json("lineage", "final.bin"))
    labels = {node["label"] for node in found["nodes"] if node["kind"] == "run"}
    assert labels == {"here", "elsewhere"}
    assert "elsewhere" in out(work, "lineage", "final.bin@HEAD~0", "--up")
