"""The two refs of runs (run_refs) on git's remotes: what fetches them, what was fetched, pushing.

What a remote has is kept under `refs/mlver/remotes/<remote>/`, so that a fetch never touches our
own refs; a push is a plain fast-forward. The refspecs in git's configuration end in `*`: of a ref
that is named in full git demands that it is there, and a remote without runs would fail every
fetch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlver.git import command
from mlver.git.repo import Repo
from mlver.git.run_refs import KEPT, NOTES, tips

SPACE = "refs/mlver/remotes/"
_MEMBERS = {NOTES: "notes", KEPT: "kept"}
_EVERYTHING = ":refs/*"


def tracking_ref(remote: str, ref: str) -> str:
    """Where a remote's `ref` is kept here, as last fetched."""
    return f"{SPACE}{remote}/{_MEMBERS[ref]}"


def tracked(repo: Repo, remote: str) -> dict[str, str]:
    """NOTES and KEPT → the commit that this remote had, when it was last seen."""
    names = {tracking_ref(remote, ref): ref for ref in _MEMBERS}
    return {names[name]: commit for name, commit in tips(repo, names).items() if name in names}


def remember(repo: Repo, remote: str, commits: Mapping[str, str]) -> None:
    """Note what a remote has by now."""
    lines = [f"update {tracking_ref(remote, ref)} {commit}\n" for ref, commit in commits.items()]
    repo.git("update-ref", "--stdin", input="".join(lines).encode())


def refspecs(remote: str) -> list[str]:
    """What git is to fetch from a remote for us."""
    return [f"+{ref}*:{tracking_ref(remote, ref)}*" for ref in (NOTES, KEPT)]


def adopt_remotes(repo: Repo) -> list[str]:
    """Have `git fetch` bring runs from every remote; the names of those where that is new.

    Left alone: a mirror (it fetches everything over our own refs already), and a remote that has no
    refspec at all, of which `git fetch NAME` is meant to take HEAD alone. Where git's configuration
    cannot be written now, the next hook or command tries again.
    """
    settings = _settings(repo)
    if settings.get("mlver.autohooks", [""])[-1].lower() == "false":
        return []
    added = []
    for key, values in settings.items():
        name = _remote_of(key)
        if name is None or any(value.endswith(_EVERYTHING) for value in values):
            continue
        missing = [spec for spec in refspecs(name) if spec not in values]
        if missing and all(_write(repo, "--replace-all", key, spec, spec) for spec in missing):
            added.append(name)
    return added


def forget_remotes(repo: Repo) -> list[str]:
    """Take our refspecs out again; the names of the remotes that had them."""
    removed = []
    for key, values in _settings(repo).items():
        name = _remote_of(key)
        ours = [spec for spec in refspecs(name or "") if spec in values]
        if ours and all(_write(repo, "--unset-all", key, spec) for spec in ours):
            removed.append(name or "")
    return removed


def _remote_of(key: str) -> str | None:
    """The remote that a `remote.NAME.fetch` is of; None for other keys, and a name with `*`."""
    if not key.startswith("remote.") or not key.endswith(".fetch"):
        return None
    name = key[len("remote.") : -len(".fetch")]
    return name if name and "*" not in name else None


def _settings(repo: Repo) -> dict[str, list[str]]:
    done = command.attempt(
        ["config", "--local", "-z", "--get-regexp", r"^(remote\..*\.fetch|mlver\.autohooks)$"],
        cwd=repo.worktree or repo.git_dir,
    )
    values: dict[str, list[str]] = {}
    for item in command.fields(done.stdout):
        key, _, value = item.decode("utf-8", "surrogateescape").partition("\n")
        values.setdefault(key, []).append(value)
    return values


def _write(repo: Repo, action: str, *words: str) -> bool:
    done = command.attempt(
        ["config", "--local", "--fixed-value", action, *words], cwd=repo.worktree or repo.git_dir
    )
    return done.returncode == 0


def is_mirror(repo: Repo, remote: str) -> bool:
    """True for a remote to which git pushes all refs as they are."""
    done = command.attempt(
        ["config", "--type=bool", "--get", f"remote.{remote}.mirror"],
        cwd=repo.worktree or repo.git_dir,
    )
    return done.stdout.strip() == b"true"


def push_urls(repo: Repo, remote: str) -> list[str]:
    """Every URL that git pushes to for this remote; none for a name that is none."""
    done = command.attempt(
        ["remote", "get-url", "--push", "--all", remote], cwd=repo.worktree or repo.git_dir
    )
    return os.fsdecode(done.stdout).splitlines() if done.returncode == 0 else []


def fetch(repo: Repo, target: str, remote: str) -> str:
    """Bring what `target` (a URL or a remote's name) has; "", or why it could not be had."""
    done = command.attempt(
        ["fetch", "-q", *_ASIDE, "--prune", "--", target, *refspecs(remote)],
        cwd=repo.worktree or repo.git_dir,
    )
    return "" if done.returncode == 0 else _said(done.stderr)


_ASIDE = (
    "--refmap=", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
    "--no-auto-maintenance",
)  # fmt: skip


class Answer(NamedTuple):
    """What became of a push. `raced`: another was faster, or held a lock: worth another try."""

    done: bool
    raced: bool = False
    why: str = ""


def push(repo: Repo, target: str, commits: Mapping[str, str]) -> Answer:
    """Move refs of the remote forward, all or none where its server can do that."""
    specs = [f"{commits[ref]}:{ref}" for ref in (KEPT, NOTES) if ref in commits]
    answer = _push(repo, target, ["--atomic"], specs)
    if answer.why and "atomic" in answer.why and not answer.raced and not answer.done:
        return _push(
            repo, target, [], specs
        )  # kept first: a note without it names what is not there
    return answer


def _push(repo: Repo, target: str, options: Sequence[str], specs: Sequence[str]) -> Answer:
    done = command.attempt(
        [*_PLAINLY, "push", "--no-verify", "--porcelain", *options, "--", target, *specs],
        cwd=repo.worktree or repo.git_dir,
        env={**os.environ, "LC_ALL": "C"},  # reasons are read below
    )
    if done.returncode == 0:
        return Answer(True)
    rows = os.fsdecode(done.stdout).splitlines()
    reasons = [row.split("\t")[2] for row in rows if row.startswith("!") and row.count("\t") >= 2]
    own = [reason for reason in reasons if "atomic push f" not in reason]
    why = "; ".join(dict.fromkeys(own)) or _said(done.stderr)
    return Answer(False, any(_is_race(reason) for reason in own), why)


_PLAINLY = ("-c", "push.followTags=false", "-c", "push.recurseSubmodules=no")
_RACES = (
    "fetch first", "non-fast-forward", "stale info", "failed to update ref", "cannot lock ref",
    "incorrect old value", "reference already exists", "failed to lock",
)  # fmt: skip


def _is_race(reason: str) -> bool:
    return any(words in reason for words in _RACES)


def _said(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    kept = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR"))]
    return "; ".join(kept or [line for line in lines if line])[:500]
