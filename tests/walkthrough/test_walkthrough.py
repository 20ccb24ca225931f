"""The main job on real input, with plain git: what `./install.sh --demo` shows.

The story checks itself after every step (demo/story.py): bytes equal, git status clean.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from demo.story import Show, Story
from tests.support.sandbox import MAIN

pytest.importorskip("sklearn", reason="the extra `demo` is not installed")
pytest.importorskip("pandas", reason="the extra `demo` is not installed")
pytest.importorskip("pyarrow", reason="the extra `demo` is not installed")


class Kept(Show):
    """Keeps what the story says."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.said = ""
        self.checks = 0

    def command(self, machine: str, text: str) -> None:
        self.commands.append(text)

    def output(self, text: str) -> None:
        self.said += text + "\n"

    def right(self, text: str) -> None:
        self.checks += 1


@pytest.mark.long
def test_the_story_of_the_demo_holds_from_the_first_commit_to_the_second_machine(
    tmp_path: Path,
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    launcher = programs / "git-mlver"
    program = shlex.join([sys.executable, "-P", "-E", str(MAIN)])
    launcher.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    launcher.chmod(0o755)
    kept = Kept()
    story = Story(tmp_path / "story", programs, kept)
    story.run()
    assert set(story.at_tag) == {"v1", "v2", "v3"}
    assert kept.checks >= 18
    for word in ("merge", "rebase", "tag", "push", "clone", "checkout", "switch", "pull"):
        assert any(f"git {word}" in command for command in kept.commands), word
    assert "both sides changed it; ours is kept" in kept.said
    assert all(len(line) <= 100 for line in kept.commands)
