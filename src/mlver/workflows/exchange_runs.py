"""Runs travel with the branch: what is new of ours goes to git's remote before its refs do.

The order is that of every push: content (logs, and the data that kept code names), then
`refs/mlver/kept` and `refs/notes/mlver`, then the branch. Theirs is merged first where it differs,
so the push is a fast-forward; who was too late fetches, merges, and pushes again. What cannot be
pushed is told in one warning, and never holds up the branch: the next push tries again.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from mlver.errors import MlverError, UsageError
from mlver.git import command, history, run_merge, run_refs, run_remotes
from mlver.git.run_refs import KEPT
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from mlver.workflows.places import Place

_TRIES = 30
_OFF = "git config mlver.pushRuns false, to keep runs here without this warning"


def push_runs(ctx: Context, remote: str, url: str, *, look: bool = False) -> int:
    """Bring our runs to a git remote; how many refs were moved there. Never raises for the remote.

    `remote`: its name, or its URL where it has none. `look`: ask the remote even if, as last seen,
    it has all of ours. Without that and without anything new nothing is asked of the network.
    """
    if (ctx.settings.get("pushRuns") or "true").lower() == "false":
        return 0
    if not run_refs.tips(ctx.repo):
        return 0
    exchange = _Exchange(ctx, remote, url)
    if not look and not exchange.news():
        return 0
    try:
        return exchange.run(look=look)
    except MlverError as error:
        _warn(ctx, remote, "; ".join(part for part in (error.what, error.why) if part), error.fix)
        return 0


def push_own_runs(ctx: Context, *, look: bool = False) -> None:
    """As `push_runs`, to the git remote that the branch goes to; nothing where there is none."""
    if run_refs.tips(ctx.repo):
        run_remotes.adopt_remotes(ctx.repo)
        target = push_target(ctx)
        if target is not None:
            push_runs(ctx, *target, look=look)


def push_target(ctx: Context) -> tuple[str, str] | None:
    """The git remote, and its URL, that `git push` would push the branch to; None without any."""
    from mlver.workflows import places

    urls = places.git_remotes(ctx)
    branch = ctx.repo.git("symbolic-ref", "-q", "--short", "HEAD") if _on_branch(ctx) else b""
    name = branch.decode("utf-8", "surrogateescape").strip()
    keys = [f"branch.{name}.pushRemote", "remote.pushDefault", f"branch.{name}.remote"]
    for key in keys:
        done = command.attempt(["config", "--get", key], cwd=ctx.repo.worktree or ctx.repo.git_dir)
        value = done.stdout.decode("utf-8", "surrogateescape").strip()
        if value in urls:
            return value, (run_remotes.push_urls(ctx.repo, value) or [urls[value]])[0]
    for value in urls:
        if value == "origin" or len(urls) == 1:
            return value, (run_remotes.push_urls(ctx.repo, value) or [urls[value]])[0]
    return None


def _on_branch(ctx: Context) -> bool:
    done = command.attempt(
        ["symbolic-ref", "-q", "HEAD"], cwd=ctx.repo.worktree or ctx.repo.git_dir
    )
    return done.returncode == 0


def fetch_runs(ctx: Context, remote: str) -> None:
    """Bring the runs of one git remote; a word where that failed."""
    why = run_remotes.fetch(ctx.repo, remote, remote)
    if why:
        ctx.warn(f"the runs of {remote} were not fetched ({why}); next: git fetch {remote}")


def _warn(ctx: Context, remote: str, why: str, fix: str = "") -> None:
    ctx.warn(
        f"the records of runs were not pushed to {remote}; the push of the branch goes on\n"
        f"  why:  {why}\n  next: {fix or 'git mlver push, to try again; or ' + _OFF}"
    )


class _Exchange:
    """One push of runs to one git remote."""

    def __init__(self, ctx: Context, remote: str, url: str) -> None:
        self._ctx, self._repo, self._remote, self._url = ctx, ctx.repo, remote, url
        urls = run_remotes.push_urls(self._repo, remote) if remote != url else []
        # A name with several URLs is several servers, and a mirror pushes every ref by force: those
        # are spoken to by URL.
        plain = len(urls) == 1 and not run_remotes.is_mirror(self._repo, remote)
        self._target = remote if plain else url
        self._name = remote if len(urls) == 1 else _name_of(url)
        self._sent: list[str] = []  # kept commits whose content is on the remote of content

    def news(self) -> dict[str, str]:
        """Our refs that hold what the remote, as last seen, has not."""
        theirs = run_remotes.tracked(self._repo, self._name)
        return {
            ref: commit
            for ref, commit in run_refs.tips(self._repo).items()
            if ref not in theirs or not _is_ancestor(self._ctx, commit, theirs[ref])
        }

    def run(self, *, look: bool) -> int:
        who = run_refs.identity(self._repo)
        why = ""
        for attempt in range(_TRIES):
            if attempt or look:
                why = run_remotes.fetch(self._repo, self._target, self._name)
                if why:
                    break
            theirs = run_remotes.tracked(self._repo, self._name)
            commits = self.news()
            for ref in commits:
                if ref in theirs:
                    commits[ref] = run_merge.merge(self._repo, ref, theirs[ref], who)
            if not commits:
                return 0
            self._send_content(commits, theirs)
            answer = run_remotes.push(self._repo, self._target, commits)
            if answer.done:
                run_remotes.remember(self._repo, self._name, commits)
                return len(commits)
            why = answer.why
            if not answer.raced:
                break
            time.sleep(random.uniform(0.0, 0.05 * (attempt + 1)))
        _warn(self._ctx, self._remote, why)
        return 0

    def _send_content(self, commits: Mapping[str, str], theirs: Mapping[str, str]) -> None:
        """Push the content that our kept things name. Raises MlverError where the remote of content
        fails: then the refs must not go."""
        if KEPT not in commits:
            return
        known = [*self._sent, *([theirs[KEPT]] if KEPT in theirs else [])]
        wanted = history.pointers_between(self._repo, [commits[KEPT]], known)
        self._sent.append(commits[KEPT])
        if not wanted:
            return
        place = self._place()
        if place is None:
            return
        from mlver.workflows import places, push

        with closing(places.open_place(self._ctx, place, create=True)) as catalog:
            result = push.push_available(self._ctx, catalog, wanted)
        if result.absent:
            self._ctx.warn(push.absent_of_runs(result, place.name) + "; the records are pushed")

    def _place(self) -> Place | None:
        """Where content goes; None, with a word, where there is no such place."""
        from mlver.workflows import places

        try:
            return places.for_push(
                self._ctx, git_remote=self._remote if self._remote != self._url else self._url
            )
        except UsageError as error:
            self._ctx.warn(
                f"the logs of runs stay on this machine, their records are pushed: {error.what};"
                f" next: {error.fix}, then git mlver push"
            )
            return None


def _name_of(url: str) -> str:
    """What stands for the name of a remote that is a URL alone."""
    return f"url-{hashlib.sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _is_ancestor(ctx: Context, commit: str, other: str) -> bool:
    done = command.attempt(
        ["merge-base", "--is-ancestor", commit, other], cwd=ctx.repo.worktree or ctx.repo.git_dir
    )
    return done.returncode == 0
