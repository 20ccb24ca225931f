"""What the tests run as `git mlver` is forked from a warm process (tests/support/warm.py): it must
be the command that a person starts, whatever it is given and however it ends."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import warm, warm_filter
from tests.support.sandbox import Clone, Done, Sandbox, content, pointer_to

needs_fork = pytest.mark.skipif(
    warm.not_here(), reason="commands are started anew here (Linux only, no MLVER_TEST_COLD)"
)


def both(box: Sandbox, monkeypatch: pytest.MonkeyPatch, *words: str, **env: str) -> Done:
    """What the command says, which is the same when it is started anew."""
    cwd = Path(env.pop("cwd", str(box.root / "work")))
    data = env.pop("data", "").encode()
    forks = len(warm.forked)
    forked = box.start(words, cwd, data, env)
    assert len(warm.forked) == forks + 1
    with monkeypatch.context() as patch:
        patch.setenv("MLVER_TEST_COLD", "1")
        anew = box.start(words, cwd, data, env)
    # What `git mlver env` shows is the one thing that is meant to differ.
    shown = forked.raw.replace(warm_filter.python().encode(), sys.executable.encode())
    assert anew == replace(forked, raw=shown)
    assert len(warm.forked) == forks + 1
    return forked


@needs_fork
def test_a_forked_command_is_the_same(
    box: Sandbox, work: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content("a")
    work.commit("a", {os.fsdecode(b"\xff \n.bin"): data})
    for words in (
        *(["env", "--json"], ["ls"], ["-h"], ["--version"], ["status", "-a", "--json"]),
        *(["no-such-command"], ["drop", os.fsdecode(b"\xfe")], ["push"]),
    ):
        for program in (["git", "mlver"], ["git-mlver"]):
            both(box, monkeypatch, *program, *words)
    assert both(box, monkeypatch, "git", "mlver", "status", cwd=str(box.root)).code == 3
    found = both(box, monkeypatch, "git", "mlver", "clean", "x.bin", data="text")
    assert found.raw == pointer_to(b"text")
    both(box, monkeypatch, "git", "mlver", "env", "--json", MLVER_SKIP_SMUDGE="1")
    (box.root / "work/.mlver.toml").write_bytes(b"[")
    assert "Traceback" in both(box, monkeypatch, "git", "mlver", "env", MLVER_DEBUG="1").err


@needs_fork
def test_it_is_started_anew_where_a_fork_would_differ(box: Sandbox, work: Clone) -> None:
    forks = len(warm.forked)
    work.attempt("mlver", "env", PYTHONIOENCODING="ascii")
    work.attempt("mlver", "env", LC_ALL="C")
    work.attempt("mlver", "env", PATH=os.environ["PATH"])
    work.attempt("status")
    box.run(["sh", "-c", "git mlver env"], work.top)
    launcher = box.bin / "git-mlver"
    launcher.write_text("#!/bin/sh\necho another\n")
    assert work.mlver("env").out == "another\n"
    assert len(warm.forked) == forks


@needs_fork
def test_a_forked_filter_is_the_same(work: Clone) -> None:
    """Its output, what it says, its exit code, and the limits and masks that git gave it."""
    asked = work.git("config", "filter.mlver.process").out.split()
    assert asked[0] == warm_filter.python()
    work.given("a", {"a.bin": content("a")})
    told = []
    for cold in ("", "1"):
        work.path("a.bin").unlink()
        done = work.attempt("checkout", "HEAD", "--", "a.bin", MLVER_TEST_COLD=cold)
        told.append((done.code, done.raw, done.err, work.read("a.bin")))
    assert told[0] == told[1] == (0, b"", "", content("a"))
    work.write("b.bin", content("b"))
    work.git("config", "core.hooksPath", "/none")
    work.git("config", "mlver.threshold", "no size")
    told = [work.attempt("add", "b.bin", MLVER_TEST_COLD=cold) for cold in ("", "1")]
    assert told[0] == told[1]
    limits = "ulimit -f 8; umask 077; git add -A"
    work.write("b.bin", content("b", 100_000))
    for cold in ("", "1"):
        done = work.box.run(["sh", "-c", limits], work.top, MLVER_TEST_COLD=cold)
        assert done.code != 0 and "Traceback" not in done.err, done
