"""What the tests run as `git mlver` is forked from a warm process (tests/support/warm.py): it must
be the command that a person starts, whatever it is given and however it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support import warm
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
        assert box.start(words, cwd, data, env) == forked
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
