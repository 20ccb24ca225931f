"""What install writes into git's configuration, proved by letting git itself use it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlver.errors import UsageError
from mlver.git import command, drivers

FAKE = """\
#!/bin/sh
for word; do printf '[%s]' "$word"; done >>"$FAKE_LOG"
echo >>"$FAKE_LOG"
case $1 in
clean | smudge) cat ;;
textconv) tr a-z A-Z <"$2" ;;
merge-driver) echo merged >"$3" ;;
filter-process) exit 1 ;;
esac
"""


@dataclass
class Repo:
    top: Path
    log: Path
    env: dict[str, str]

    def run_git(self, args: Sequence[str]) -> bytes:
        return self.attempt(*args, check=True).stdout

    def attempt(self, *args: str, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *args], cwd=self.top, env=self.env, capture_output=True, check=check
        )

    def git(self, *args: str) -> str:
        return os.fsdecode(self.run_git(args))

    def calls(self) -> list[str]:
        found = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    top = tmp_path / "work"
    top.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "FAKE_LOG": str(tmp_path / "log")}
    env |= {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}
    made = Repo(top, tmp_path / "log", env)
    made.git("init", "-q", "-b", "main")
    for key, value in env.items():  # for the tests that go through git.command
        monkeypatch.setenv(key, value)
    return made


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """A path with everything that sh or git could take for something else."""
    path = tmp_path / "it's 100%f $HOME `x` \\ é" / "mlver"
    path.parent.mkdir()
    path.write_text(FAKE)
    path.chmod(0o755)
    return [str(path)]


def commit_all(repo: Repo) -> None:
    repo.git("add", "-A")
    repo.git("commit", "-qm", "x")


def track_without_process(repo: Repo, program: list[str]) -> None:
    """The fake cannot speak the filter protocol; git uses clean and smudge when there is none."""
    drivers.install(repo.run_git, "local", program)
    repo.git("config", "--unset", "filter.mlver.process")
    (repo.top / ".gitattributes").write_text("*.bin filter=mlver diff=mlver merge=mlver -text\n")
    commit_all(repo)
    repo.calls()


def test_install_writes_exactly_the_documented_settings(repo: Repo) -> None:
    drivers.install(repo.run_git, "local", ["/opt/py", "-P", "-E", "/opt/mlver/__main__.py"])
    start = "/opt/py -P -E /opt/mlver/__main__.py"
    expected = {
        "filter.mlver.required": "true",
        "filter.mlver.process": f"{start} filter-process",
        "filter.mlver.clean": f"{start} clean -- %f",
        "filter.mlver.smudge": f"{start} smudge -- %f",
        "diff.mlver.command": f"{start} diff-driver",
        "diff.mlver.textconv": f"{start} textconv",
        "merge.mlver.name": "git-mlver: data and models",
        "merge.mlver.driver": f"{start} merge-driver %O %A %B %L %P",
        "merge.mlver.recursive": "binary",
    }
    assert {key: repo.git("config", key).rstrip("\n") for key in expected} == expected


def test_skip_smudge_is_said_to_the_process_and_to_smudge_only(repo: Repo) -> None:
    values = drivers.settings(["/p"], skip_smudge=True)
    assert values["filter.mlver.process"] == "/p filter-process --skip-smudge"
    assert values["filter.mlver.smudge"] == "/p smudge --skip-smudge -- %f"
    assert values["filter.mlver.clean"] == "/p clean -- %f"
    drivers.install(repo.run_git, "local", ["/p"], skip_smudge=True)
    assert drivers.skips_smudge(repo.run_git)


@pytest.mark.parametrize("name", ["a b'c.bin", "100%f $x `y`.bin", "-x.bin", "é.bin"])
def test_git_hands_over_a_path_as_one_word(repo: Repo, program: list[str], name: str) -> None:
    track_without_process(repo, program)
    (repo.top / name).write_text("x")
    repo.git("add", "-A")
    assert f"[clean][--][{name}]" in repo.calls()
    (repo.top / name).unlink()
    repo.git("checkout", "--", f"./{name}")
    assert f"[smudge][--][{name}]" in repo.calls()


def test_the_process_is_started_whatever_its_path(repo: Repo, program: list[str]) -> None:
    drivers.install(repo.run_git, "local", program, skip_smudge=True)
    (repo.top / ".gitattributes").write_text("*.bin filter=mlver\n")
    (repo.top / "a.bin").write_text("x")
    repo.attempt("add", "a.bin")
    assert repo.calls()[0] == "[filter-process][--skip-smudge]"


def test_a_program_that_is_gone_stops_git_add(repo: Repo, tmp_path: Path) -> None:
    drivers.install(repo.run_git, "local", [str(tmp_path / "gone")])
    (repo.top / ".gitattributes").write_text("*.bin filter=mlver\n")
    (repo.top / "a.bin").write_text("x")
    assert repo.attempt("add", "a.bin").returncode != 0


def test_diff_and_log_reach_the_diff_driver_and_textconv(repo: Repo, program: list[str]) -> None:
    track_without_process(repo, program)
    (repo.top / "a.bin").write_text("one\n")
    commit_all(repo)
    (repo.top / "a.bin").write_text("two\n")
    repo.calls()
    repo.git("diff")
    called = [line for line in repo.calls() if line.startswith("[diff-driver]")]
    assert len(called) == 1
    assert called[0].startswith("[diff-driver][a.bin][")
    assert called[0].count("[") == 8
    assert "+ONE" in repo.git("log", "-p")


def test_merge_reaches_the_merge_driver_with_the_path(repo: Repo, program: list[str]) -> None:
    name = "d i'r/100%P.bin"
    track_without_process(repo, program)
    (repo.top / name).parent.mkdir()
    for branch in ("base", "other", "main"):
        if branch == "other":
            repo.git("switch", "-qc", "other")
        elif branch == "main":
            repo.git("switch", "-q", "main")
        (repo.top / name).write_text(branch)
        commit_all(repo)
    repo.calls()
    repo.git("merge", "-q", "-m", "m", "other")
    called = [line for line in repo.calls() if line.startswith("[merge-driver]")]
    assert len(called) == 1
    assert called[0].endswith(f"[7][{name}]")
    assert (repo.top / name).read_text() == "merged\n"


def test_install_again_changes_nothing_and_a_new_program_replaces_the_old(repo: Repo) -> None:
    first = drivers.install(repo.run_git, "local", ["/old"])
    assert {change.action for change in first} == {"set"}
    before = (repo.top / ".git/config").read_bytes()
    again = drivers.install(repo.run_git, "local", ["/old"])
    assert {change.action for change in again} == {"unchanged"}
    assert (repo.top / ".git/config").read_bytes() == before
    repo.git("config", "--add", "filter.mlver.clean", "/second")
    moved = drivers.install(repo.run_git, "local", ["/new"])
    assert repo.git("config", "--get-all", "filter.mlver.clean") == "/new clean -- %f\n"
    assert [c.old for c in moved if c.key == "filter.mlver.clean"] == ["/second"]


@pytest.mark.parametrize("scope", ["local", "global"])
def test_uninstall_leaves_the_file_as_it_was(
    repo: Repo, tmp_path: Path, scope: drivers.Scope
) -> None:
    file = repo.top / ".git/config" if scope == "local" else tmp_path / ".gitconfig"
    file.write_text((file.read_text() if file.exists() else "") + "[user]\n\tname = a # mine\n")
    before = file.read_bytes()
    drivers.install(repo.run_git, scope, ["/p"])
    assert file.read_bytes() != before
    removed = drivers.uninstall(repo.run_git, scope)
    assert file.read_bytes() == before
    assert {change.action for change in removed} == {"removed"}
    assert drivers.uninstall(repo.run_git, scope) == []


def test_uninstall_keeps_other_keys_and_other_scopes(repo: Repo) -> None:
    drivers.install(repo.run_git, "global", ["/g"])
    drivers.install(repo.run_git, "local", ["/l"])
    repo.git("config", "filter.mlver.mine", "kept")
    repo.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    drivers.uninstall(repo.run_git, "local")
    assert repo.git("config", "filter.mlver.mine") == "kept\n"
    assert repo.git("config", "filter.lfs.clean") == "git-lfs clean -- %f\n"
    assert repo.git("config", "filter.mlver.clean") == "/g clean -- %f\n"


@pytest.mark.parametrize("cut", range(9))
def test_a_killed_install_or_uninstall_never_lets_raw_content_in(repo: Repo, cut: int) -> None:
    """Whatever is written so far, either the filter is whole or `required` refuses."""
    done = 0

    def killed(args: Sequence[str]) -> bytes:
        nonlocal done
        if "--list" not in args:
            if done == cut:
                raise KeyboardInterrupt
            done += 1
        return repo.run_git(args)

    def guarded() -> bool:
        keys = [line.split("=")[0] for line in repo.git("config", "--list").splitlines()]
        ours = [key for key in keys if key.startswith(("filter.mlver", "merge.mlver"))]
        return not ours or "filter.mlver.required" in ours

    with pytest.raises(KeyboardInterrupt):
        drivers.install(killed, "local", ["/p"])
    assert guarded()
    drivers.install(repo.run_git, "local", ["/p"])
    done = 0
    with pytest.raises(KeyboardInterrupt):
        drivers.uninstall(killed, "local")
    assert guarded()


@pytest.mark.parametrize("char", ["\n", "\r", "\0"])
def test_a_line_break_in_the_path_is_refused_before_anything_is_written(
    repo: Repo, char: str
) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        drivers.install(repo.run_git, "local", [f"/a{char}b"])
    assert "mlver" not in repo.git("config", "--list")


def test_state_tells_missing_ok_differs_and_stale(repo: Repo, program: list[str]) -> None:
    def conditions() -> dict[str, str]:
        return {s.key: s.condition for s in drivers.state(repo.run_git, program)}

    assert set(conditions().values()) == {"missing"}
    drivers.install(repo.run_git, "global", program, skip_smudge=True)
    assert set(conditions().values()) == {"ok"}
    repo.git("config", "filter.mlver.required", "false")
    repo.git("config", "filter.mlver.clean", "/nowhere/python clean -- %f")
    assert conditions()["filter.mlver.required"] == "differs"
    assert conditions()["filter.mlver.clean"] == "stale"
    scopes = {s.key: s.scope for s in drivers.state(repo.run_git, program)}
    assert scopes["filter.mlver.clean"] == "local"
    assert scopes["filter.mlver.smudge"] == "global"


def test_state_sees_past_the_switch_that_our_own_git_commands_carry(
    repo: Repo, program: list[str]
) -> None:
    def run_git(args: Sequence[str]) -> bytes:
        return command.run(args, cwd=os.fsencode(repo.top))

    drivers.install(run_git, "local", program)
    assert {s.condition for s in drivers.state(run_git, program)} == {"ok"}
    drivers.uninstall(run_git, "local")
    assert "mlver" not in repo.git("config", "--list")


def test_the_program_takes_no_code_from_the_worktree_or_pythonpath(repo: Repo) -> None:
    words = drivers.program()
    assert words[:3] == [sys.executable, "-P", "-E"]
    assert words[3].endswith(os.path.join("mlver", "__main__.py"))
    assert Path(words[3]).is_file()
    (repo.top / "json.py").write_text("raise SystemExit('taken from the worktree')")
    env = repo.env | {"PYTHONPATH": str(repo.top)}
    done = subprocess.run([*words[:3], "-c", "import json"], cwd=repo.top, env=env)
    assert done.returncode == 0
