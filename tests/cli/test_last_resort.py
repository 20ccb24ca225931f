"""What nobody foresaw is told as every other error is: what, why, next; never as a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.sandbox import Clone, Done, content, pointer_to

from mlver.errors import EXIT_CODES

_FAULTY = """\
import sys
import {module} as module
def boom(*args, **kwargs):
    {how}
{where} = boom
from mlver.cli.main import main
sys.argv[1:] = {words!r}
main()
"""
_DIVIDE = "1 / 0"
_FOR_EVER = "boom()"
_NO_MEMORY = "raise MemoryError"

# What is broken, and the words that reach it.
FAULTS = {
    "command": ("mlver.workflows.status", "module.status", ["status"]),
    "filter": ("mlver.workflows.filtering", "module.FilterHandler.clean", ["filter-process"]),
    "clean": ("mlver.workflows.filtering", "module.FilterHandler.clean", ["clean", "x.bin"]),
    "hook": ("mlver.workflows.precommit", "module.before_commit", ["hook", "pre-commit"]),
    "merge driver": ("mlver.workflows.merge", "module.merge_pointers", ["merge-driver", *"abc"]),
    "diff driver": (
        "mlver.cli.plumbing.drivers",
        "module._pointer_of",
        ["diff-driver", *"abcdefg"],
    ),
    "textconv": ("mlver.cli.plumbing.drivers", "module._pointer_of", ["textconv", "a"]),
}
ASKS_TO_CLEAN = b"".join(
    b"%04x%s" % (len(line) + 4, line) if line else b"0000"
    for line in (
        *(b"git-filter-client\n", b"version=2\n", b"", b"capability=clean\n", b""),
        *(b"command=clean\n", b"pathname=x.bin\n", b"", b"content", b""),
    )
)


def faulty(work: Clone, place: str, how: str = _DIVIDE, **env: str) -> Done:
    module, where, words = FAULTS[place]
    code = _FAULTY.format(module=module, where=where, how=how, words=words)
    program = [sys.executable, "-P", "-E", "-c", code]
    return work.box.run(program, work.top, ASKS_TO_CLEAN, **env)


@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_of_ours_is_told_in_words_everywhere(work: Clone, place: str) -> None:
    done = faulty(work, place)
    assert done.code == 10 and 10 in EXIT_CODES
    assert "Traceback" not in done.err
    what, why, fix = done.err.splitlines()[-3:]
    assert what.startswith("git-mlver: ") and "ZeroDivisionError: division by zero" in what
    assert why.startswith("  why:  ") and "<string>:4" in why
    assert fix.startswith("  next: ") and "MLVER_DEBUG=1" in fix


@pytest.mark.parametrize("place", ["command", "hook"])
def test_the_traceback_comes_when_it_is_asked_for(work: Clone, place: str) -> None:
    assert "Traceback" in faulty(work, place, MLVER_DEBUG="1").err
    assert "Traceback" not in faulty(work, place, MLVER_DEBUG="0").err
    error = work.box.run(["git", "mlver", "status"], work.box.root, MLVER_DEBUG="1")
    assert "RepositoryError" in error.err and error.code == 3


def test_no_memory_is_the_machines_refusal_and_too_deep_is_a_fault(work: Clone) -> None:
    done = faulty(work, "command", _NO_MEMORY)
    assert done.code == 7 and "memory" in done.err and "  next: " in done.err
    done = faulty(work, "command", _FOR_EVER)
    assert done.code == 10 and "RecursionError" in done.err and "Traceback" not in done.err


def test_a_fault_in_the_hook_stops_the_commit(work: Clone) -> None:
    hook = work.git_dir() / "hooks/pre-commit"
    module, where, words = FAULTS["hook"]
    code = _FAULTY.format(module=module, where=where, how=_DIVIDE, words=words)
    hook.write_text(f"#!{sys.executable}\n{code}")
    head = work.head()
    done = work.attempt("commit", "-q", "--allow-empty", "-m", "x")
    assert done.code == 1 and "ZeroDivisionError" in done.err and work.head() == head


def test_a_pipe_that_breaks_inside_a_hook_does_not_let_the_commit_through(work: Clone) -> None:
    assert faulty(work, "hook", "raise BrokenPipeError").code not in (0, 1)


@pytest.mark.parametrize("place", ["command", "hook", "merge driver"])
def test_interrupted(work: Clone, place: str) -> None:
    done = faulty(work, place, "raise KeyboardInterrupt")
    assert done.code == 130 and "interrupted" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [["status", "-a"], ["textconv", "a"], ["diff-driver", *"abcdefg"]]
)
def test_output_that_nobody_reads_is_no_failure(work: Clone, words: list[str]) -> None:
    work.commit("x", {"a": b"x", "b": b"y", "e": b"z"})
    done = work.box.run(
        ["bash", "-c", 'git-mlver "$@" | :; echo ${PIPESTATUS[0]}', "-", *words], work.top
    )
    assert done.out == "0\n" and "git-mlver: " not in done.err and "Exception" not in done.err


@pytest.mark.parametrize("words", [["status", "-a"], ["textconv", "a"]])
def test_output_that_cannot_be_written_is_a_failure_that_is_told(
    work: Clone, words: list[str]
) -> None:
    work.commit("x", {"a": b"x", "a.bin": content(1)})
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            ["git-mlver", *words],
            cwd=work.top,
            env=work.box.env,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 7 and done.stderr.startswith(b"git-mlver: ")


def test_a_locale_without_our_characters_is_no_failure_in_drivers_and_errors(work: Clone) -> None:
    name = "日本→.bin"
    work.write(name, pointer_to(b"x"))
    for locale in ("latin-1", "ascii"):
        # -E is left out: the variable stands for a terminal of that encoding.
        program = [sys.executable, "-P", "-c", "from mlver.cli.main import main; main()"]
        env = {"PYTHONIOENCODING": f"{locale}:strict"}
        old = [name, "0", "100644"]
        done = work.box.run([*program, "diff-driver", name, *old, *old], work.top, **env)
        assert done.code == 0 and "\\u65e5" in done.out, done.err
        done = work.box.run([*program, "fetch", name], work.top, **env)
        assert done.code == 2 and "\\u65e5" in done.err and "Traceback" not in done.err
