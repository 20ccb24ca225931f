"""install.sh, run as a person does: into a scratch HOME, again, and out again.

It needs a package index, for pip by name; without one the test is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_NO_INDEX = ("No matching distribution", "Could not find a version", "Failed to establish")


def person(tmp_path: Path) -> dict[str, str]:
    """A HOME with a space and a quote in its name."""
    home = tmp_path / "it's a home"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_", "BASH_COMP"))}
    env["PATH"] = f"{home}/.local/bin{os.pathsep}{os.environ['PATH']}"
    return env | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


def install(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["sh", str(ROOT / "install.sh"), *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if any(text in done.stderr for text in _NO_INDEX):
        pytest.skip("no package index can be reached")
    return done


def tree(folder: Path) -> set[str]:
    """What is there, but for what pip and compilers keep for themselves."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {name for name in names if name.split("/")[0] not in (".cache", ".cargo", ".rustup")}


@pytest.mark.long
def test_it_installs_upgrades_and_takes_everything_out_again(tmp_path: Path) -> None:
    env = person(tmp_path)
    home = Path(env["HOME"])
    config = "[user]\n\tname = me\n"
    (home / ".gitconfig").write_text(config)
    before = tree(home)
    first = install(env)
    assert first.returncode == 0, first.stderr
    assert first.stderr == "" and len(first.stdout.splitlines()) <= 5, "it is quiet"
    assert "git mlver init" in first.stdout

    def ask(*words: str) -> str:
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout

    assert ask("git", "mlver", "--version").startswith("git-mlver, version")
    assert "filter-process" in ask("git", "config", "--global", "filter.mlver.process")
    if shutil.which("man"):
        assert "GIT-MLVER(1)" in ask("git", "help", "mlver")
    for shell in ("bash-completion/completions/git-mlver", "zsh/site-functions/_git-mlver"):
        assert (home / ".local/share" / shell).is_file()

    second = install(env)
    assert second.returncode == 0, second.stderr
    assert ask("git", "mlver", "--version").startswith("git-mlver, version")

    out = install(env, "--uninstall")
    assert out.returncode == 0, out.stderr
    assert tree(home) == before
    assert (home / ".gitconfig").read_text() == config
    assert "not installed" in install(env, "--uninstall").stdout


def test_it_leaves_a_program_of_others_alone(tmp_path: Path) -> None:
    env = person(tmp_path)
    theirs = Path(env["HOME"]) / ".local/bin/git-mlver"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\n")
    done = install(env)
    assert done.returncode == 1 and "is there already" in done.stderr
    assert theirs.read_text() == "#!/bin/sh\n"


def only(tmp_path: Path, **programs: str) -> dict[str, str]:
    """A PATH on which there is nothing but what a shell needs, and these programs."""
    folder = tmp_path / "only"
    folder.mkdir()
    for name in ("sh", "cat", "dirname", "grep", "mkdir", "mktemp", "rm", "rmdir", "sed", "sort"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return person(tmp_path) | {"PATH": str(folder)}


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    git = "echo git version 2.39.5"
    for number, (programs, words) in enumerate(
        [
            ({}, "git was not found"),
            ({"git": "echo git version 2.25.1"}, "git 2.25.1 is too old"),
            ({"git": git}, "Python 3.11 or newer"),
            ({"git": git, "python3": "echo Python 3.9.2; exit 1"}, "Python 3.9.2"),
            ({"git": git, "python3": "case $2 in *version_info*) ;; *) exit 1 ;; esac"}, "venv"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        env = only(folder, **programs)
        done = install(env)
        assert done.returncode == 1, done
        assert words in done.stderr and "  next: " in done.stderr, done.stderr
        assert list(Path(env["HOME"]).iterdir()) == [], "something was left behind"


def test_wrong_words_are_usage(tmp_path: Path) -> None:
    done = install(person(tmp_path), "--no-such-option")
    assert done.returncode == 2 and "usage: ./install.sh" in done.stderr


def test_help_lists_the_options(tmp_path: Path) -> None:
    done = install(person(tmp_path), "--help")
    assert done.returncode == 0
    for option in ("--prefix", "--uninstall", "--demo", "--keep", "--test", "--no-git-config"):
        assert option in done.stdout
