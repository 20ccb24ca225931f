"""Completion, as the shells ask for it."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tests.support.sandbox import Clone

_ASK = """\
source <(git-mlver completion bash)
COMP_WORDS=({words}) COMP_CWORD={at}
compopt() {{ :; }}
{function}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(work: Clone, words: str, function: str) -> list[str]:
    at = len(words.split()) - 1
    script = _ASK.format(words=words, at=at, function=function)
    return work.box.run(["bash", "-c", script], work.top).out.split()


def test_bash_completes_the_program(work: Clone) -> None:
    assert completed(work, "git-mlver sta", "_git_mlver_completion git-mlver") == ["status"]


def test_bash_completes_behind_git(work: Clone) -> None:
    assert completed(work, "git mlver unt", "_git_mlver") == ["untrack"]
    with_folder = "__git_cmd_idx=3; _git_mlver"
    assert completed(work, "git -C x mlver unin", with_folder) == ["uninstall"]
    assert completed(work, "git mlver remote ad", "_git_mlver") == ["add"]
    assert completed(work, "git mlver status --js", "_git_mlver") == ["--json"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_read_its_script(work: Clone, shell: str) -> None:
    script = work.mlver("completion", shell).raw
    assert b"git-mlver" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, check=True)
