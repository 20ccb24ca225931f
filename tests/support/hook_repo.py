"""A repository with hooks, for the tests of them: real git, and a fake program in place of ours
that writes its arguments and its input into a log."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlver.git import hooks
from mlver.git.hooks import HookChange

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "hooks"
POST = ("post-checkout", "post-merge", "post-rewrite")

FAKE = """\
#!/bin/sh
shift
echo "ours $*" >>"$HOOK_LOG"
case $2 in pre-push | post-rewrite) sed 's/^/ours< /' >>"$HOOK_LOG" ;; esac
exit "${FAKE_EXIT:-0}"
"""
THEIRS = """\
#!/bin/sh
echo "theirs $0 $*" >>"$HOOK_LOG"
"""
FOUND = """\
#!/bin/sh
echo "found ${PYTHONPATH-unset} $*" >>"$HOOK_LOG"
case $2 in pre-push | post-rewrite) sed 's/^/found< /' >>"$HOOK_LOG" ;; esac
exit "${FAKE_EXIT:-0}"
"""
HUSKY8_HEAD = '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n'


def _without_git_mlver(path: str) -> str:
    """`path` without the folders that hold a git-mlver, such as the environment under test."""
    folders = path.split(os.pathsep)
    return os.pathsep.join(f for f in folders if not os.path.exists(os.path.join(f, "git-mlver")))


@dataclass
class Repo:
    top: Path
    log: Path
    env: dict[str, str]
    program: list[str]
    changes: list[HookChange] = field(default_factory=list)

    def attempt(self, *args: str, **extra: str) -> subprocess.CompletedProcess[str]:
        env = self.env | extra
        git = ["git", *args]
        return subprocess.run(git, cwd=self.top, env=env, capture_output=True, text=True)

    def git(self, *args: str, **extra: str) -> str:
        done = self.attempt(*args, **extra)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_git(self, args: Sequence[str]) -> bytes:
        git = ["git", *args]
        return subprocess.run(
            git, cwd=self.top, env=self.env, check=True, stdout=subprocess.PIPE
        ).stdout

    def commit(self, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.attempt("commit", "-q", "--allow-empty", "-m", "x", **extra)

    def lines(self) -> list[str]:
        """What ran since the last call."""
        found = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found

    @property
    def folder(self) -> hooks.HooksFolder:
        return hooks.hooks_folder(self.run_git, self.top)

    def install(self, *, force: bool = False) -> dict[str, str]:
        self.changes = hooks.install(self.folder, TEMPLATES, self.program, force=force)
        return {change.name: change.action for change in self.changes}

    def states(self) -> dict[str, str]:
        found = hooks.state(self.folder, TEMPLATES, self.program)
        return {state.name: state.condition for state in found}

    def hook(self, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.top / ".git/hooks" / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    def wait(self, git_dir: Path | None = None) -> None:
        """As the filter does: leave work for the hooks."""
        deferred = (git_dir or self.top / ".git") / "mlver/deferred"
        deferred.mkdir(parents=True, exist_ok=True)
        (deferred / "1").write_text("")
        (deferred.parent / "mend").write_text("")


def make_repo(tmp_path: Path) -> Repo:
    top = tmp_path / "wo rk"
    top.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON", "HUSKY"))}
    env["PATH"] = _without_git_mlver(env.get("PATH", os.defpath))
    env |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "HOOK_LOG": str(tmp_path / "log")}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}
    fake = tmp_path / "it's @AFTER@ $x" / "python"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    main = fake.parent / "__main__.py"
    main.write_text("")
    made = Repo(top, tmp_path / "log", env, [str(fake), str(main)])
    made.git("init", "-q", "-b", "main")
    made.commit()
    return made


def snapshot(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every entry below `top` with its mode and content; what git itself writes left out."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[name] = (0, os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            found[name] = (stat.S_IMODE(status.st_mode), path.read_bytes())
    return found


def on_path(repo: Repo, tmp_path: Path) -> str:
    """A PATH on which there is a git-mlver."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "git-mlver"
    script.write_text(FOUND)
    script.chmod(0o755)
    return f"{folder}:{repo.env['PATH']}"
