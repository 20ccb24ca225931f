"""`git mlver clone`: git clone, then init, trust and pull, with one progress bar.

git checks out pointers only; content then comes in one batch and is written directly. Nothing
that the clone brings is run, and a remote that it names is contacted only when trusted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from mlver.errors import RepositoryError
from mlver.git import command
from mlver.workflows import install, places, remote_settings
from mlver.workflows.context import Context, Progress, open_context
from mlver.workflows.hydrate import Hydrated, hydrate, pending
from mlver.workflows.partial import EXCLUDE, INCLUDE, configured


def clone(
    url: str,
    folder: str | None,
    options: Sequence[str],
    *,
    partial: tuple[Sequence[str], Sequence[str]] = ((), ()),
    ask_trust: Callable[[places.Place], bool],
    warn: Callable[[str], None],
    progress: Progress,
) -> tuple[bytes, Hydrated]:
    """The clone's top folder, and what was checked out. Raises MlverError.

    `partial`: patterns to include and to exclude, which the clone keeps. Where the user wants
    pointers (MLVER_SKIP_SMUDGE), they stay.
    """
    target = folder or _folder_of(url)
    # A clone that exists is never touched: git itself refuses a folder that is not empty.
    env = {**os.environ, "MLVER_SKIP_SMUDGE": "1"}
    kept = [
        f"--config=mlver.{key}={text}"
        for key, texts in zip((INCLUDE, EXCLUDE), partial, strict=True)
        for text in texts
    ]
    args = ["clone", *options, *kept, "--", url, target]
    done = command.attempt(args, env=env, filters=True)
    if done.returncode != 0:
        raise RepositoryError(
            f"git clone of {url} failed",
            why=done.stderr.decode("utf-8", "replace").strip(),
            fix=f"see whether git reaches it: git ls-remote {url}",
        )
    top = os.path.abspath(os.fsencode(target))
    with open_context(top, warn, progress) as ctx:
        if ctx.repo.worktree is None:
            return top, Hydrated()
        result = install.init(ctx, policy_file=False)
        for notice in result.notices:
            warn(notice)
        _ask(ctx, ask_trust)
        _fetch_runs(ctx)
    if os.environ.get("MLVER_SKIP_SMUDGE", "0") not in ("", "0"):
        return top, Hydrated()
    with open_context(top, warn, progress) as ctx:  # settings are read anew
        return top, hydrate(ctx, pending(ctx, chosen=configured(ctx.settings)))


def _ask(ctx: Context, ask_trust: Callable[[places.Place], bool]) -> None:
    for place in places.configured(ctx):
        if not place.trusted and ask_trust(place):
            remote_settings.trust(ctx, place.name)


def _fetch_runs(ctx: Context) -> None:
    """git's own clone was over before it was told of runs. A bundle's remote is none to ask."""
    from mlver.workflows.exchange_runs import fetch_runs

    for name in places.git_remotes(ctx):
        fetch_runs(ctx, name)


def _folder_of(url: str) -> str:
    """The folder that git clone would make of this URL."""
    name = url.rstrip("/").removesuffix("/.git").rstrip("/")
    name = name.rpartition("/")[2].rpartition(":")[2].removesuffix(".git").removesuffix(".bundle")
    return name or "clone"
