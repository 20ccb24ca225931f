"""The journal of runs: a kill at any point leaves a run that is known, and known as killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlver.errors import CorruptContent, LocalIOError
from mlver.lineage import journal
from mlver.model.run import Run


def _run() -> Run:
    return Run(run_id=journal.new_id(), name="n", status="running", started=journal.now())


def test_a_run_is_there_before_its_command_and_gone_when_removed(tmp_path: Path) -> None:
    root = str(tmp_path).encode()
    run = _run()
    entry = journal.begin(root, run)
    entry.keep("lock.txt", b"a==1\n")
    [seen] = journal.entries(root)
    assert (seen.run_id, seen.read(), seen.is_alive()) == (run.run_id, run, True)
    assert seen.seen().status == "running" and not seen.take()
    entry.write(replace(run, status="finished", exit_code=0))
    assert seen.seen().status == "finished" and seen.kept() == {"lock.txt": b"a==1\n"}
    entry.remove()
    assert list(journal.entries(root)) == []
    with pytest.raises(CorruptContent):
        seen.read()


def test_a_killed_recorder_leaves_a_killed_run(tmp_path: Path) -> None:
    root = str(tmp_path).encode()
    script = (
        "import sys, time; from mlver.lineage import journal; from mlver.model.run import Run\n"
        "e = journal.begin(sys.argv[1].encode(), Run(journal.new_id(), 'n', 'running', '2026'))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        [entry] = journal.entries(root)
        assert entry.seen().status == "running"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert entry.seen().status == "killed" and entry.seen().ended
    assert entry.take() and entry.read().status == "running"
    entry.release()


def test_how_it_ended_is_known_where_the_record_could_not_be_written_anew(tmp_path: Path) -> None:
    root = str(tmp_path).encode()
    entry = journal.begin(root, _run())
    entry.mark_end(replace(entry.read(), status="failed", exit_code=3, ended=journal.now()))
    assert entry.seen().status == "running"  # it lives: the record has the word
    entry.release()
    assert (entry.seen().status, entry.seen().exit_code) == ("failed", 3)
    with open(entry.file(journal.END), "r+b") as file:
        file.write(b"\xff torn")
    assert (entry.seen().status, entry.seen().exit_code) == ("killed", None)


def test_a_folder_that_went_meanwhile_cannot_be_taken(tmp_path: Path) -> None:
    root = str(tmp_path).encode()
    first = journal.begin(root, _run())
    [second] = journal.entries(root)
    first.remove()
    assert not second.take()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocalIOError):
        journal.begin(str(tmp_path).encode(), _run())


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(LocalIOError):
        journal.begin(str(tmp_path).encode(), _run())
    assert list(journal.entries(str(tmp_path).encode())) == []
