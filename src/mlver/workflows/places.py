"""Which remotes content goes to and comes from.

A remote in git's configuration was set by the user and is used. One that only `.mlver.toml` names
came with a clone and is used once it was trusted (`git mlver remote trust`), and asked about
again when its URL changes. With none, content lies beside a local git remote, in `mlver/remote/`
of its git directory; a plain clone of a path finds there, or in that repository's own store, what
it checks out. How a remote is added, trusted and forgotten: `workflows/remote_settings.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlver.errors import MissingContent, MlverError, RefusedError, UsageError
from mlver.exchange.index_cache import FOLDER, IndexCache
from mlver.exchange.sibling import Sibling
from mlver.exchange.source import Catalog, Source
from mlver.git import command
from mlver.remotes.address import scheme_and_host
from mlver.remotes.registry import open_remote
from mlver.store.files import disk_errors
from mlver.workflows.context import Context

BESIDE = b"mlver/remote"


@dataclass(frozen=True, slots=True)
class Place:
    """A remote by name.

    `origin`: "config"; "tree" (.mlver.toml); "beside" (a git remote); "here" (this repository).
    """

    name: str
    url: str
    origin: str
    trusted: bool = True
    options: Mapping[str, str] = field(default_factory=dict, compare=False)


def configured(ctx: Context) -> list[Place]:
    """Every mlver remote that is named somewhere, the default one first."""
    own = ctx.settings.remotes()
    options = ctx.settings.remote_options
    places = [Place(name, url, "config", options=options(name)) for name, url in own.items()]
    for name, url in ctx.settings.tree_remotes.items():
        if name not in own:
            trusted = ctx.settings.get(f"trust.{name}.url") == url
            places.append(Place(name, url, "tree", trusted, options(name)))
    default = ctx.settings.get("remote") or ctx.settings.tree_default
    places.sort(key=lambda place: (place.name != default, place.name))
    return places


def beside(ctx: Context) -> list[Place]:
    """Places beside git's own remotes that are local paths."""
    found = []
    for name, url in git_remotes(ctx).items():
        folder = git_dir_of(ctx, url)
        if folder is not None:
            found.append(Place(name, os.fsdecode(os.path.join(folder, BESIDE)), "beside"))
    return found


def git_remotes(ctx: Context) -> dict[str, str]:
    """Name → URL of git's own remotes, origin first."""
    done = command.attempt(
        ["config", "-z", "--get-regexp", r"^remote\..*\.url$"],
        cwd=ctx.repo.worktree or ctx.repo.git_dir,
    )
    found = {}
    for item in command.fields(done.stdout):
        key, _, url = item.partition(b"\n")
        found[os.fsdecode(key[len(b"remote.") : -len(b".url")])] = os.fsdecode(url)
    return dict(sorted(found.items(), key=lambda row: (row[0] != "origin", row[0])))


def git_dir_of(ctx: Context, url: str) -> bytes | None:
    """The git directory of a repository on this machine; None for any other URL.

    git is asked, so that safe.directory is honoured: another user's repository is not read.
    """
    path = url.removeprefix("file://")
    base = os.fsdecode(ctx.repo.worktree or ctx.repo.git_dir)
    if "://" in path or (":" in path.split("/")[0] and not os.path.isabs(path)):
        return None
    full = os.path.join(base, path)
    for candidate in (full, full + ".git"):
        if os.path.isdir(candidate):
            env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
            done = command.attempt(
                ["-C", candidate, "rev-parse", "--absolute-git-dir"],
                env=env,
            )
            if done.returncode == 0:
                return _common(done.stdout.removesuffix(b"\n"))
    return None


def _common(git_dir: bytes) -> bytes:
    try:
        with open(os.path.join(git_dir, b"commondir"), "rb") as file:
            return os.path.normpath(os.path.join(git_dir, file.read().strip()))
    except FileNotFoundError:
        return git_dir


def for_push(ctx: Context, name: str | None = None, git_remote: str | None = None) -> Place:
    """The one remote to push to. Raises UsageError, RefusedError."""
    places = configured(ctx)
    if name is not None:
        return _named(ctx, name, [*places, *beside(ctx)])
    if places:
        return _trusted(_preferred(ctx, places, git_remote))
    local = beside(ctx)
    for place in local:
        if git_remote in (None, place.name):
            return place
    if git_remote is not None and not local:
        folder = git_dir_of(ctx, git_remote)
        if folder is not None:
            return Place(git_remote, os.fsdecode(os.path.join(folder, BESIDE)), "beside")
    raise UsageError(
        "there is no remote to keep content in",
        why="none is configured, and git's remote is not a path on this machine",
        fix="git mlver remote add NAME /a/directory",
    )


def _preferred(ctx: Context, places: list[Place], git_remote: str | None) -> Place:
    if git_remote is not None:
        for place in places:
            if place.name == git_remote:
                return place
    return places[0]


def _named(ctx: Context, name: str, places: list[Place]) -> Place:
    for place in places:
        if place.name == name:
            return _trusted(place)
    known = ", ".join(sorted({place.name for place in places})) or "none"
    raise UsageError(
        f"no remote is called {name!r}",
        why=f"known: {known}",
        fix="git mlver remote list; files are named by --include, or by git mlver checkout PATH",
    )


def check_name(ctx: Context, name: str | None) -> None:
    """Raise UsageError for a remote that is none, RefusedError for one that is not trusted.

    Before it is known whether anything is missing: a name that was mistyped must not look as if
    all had come.
    """
    if name is not None:
        _named(ctx, name, [*configured(ctx), *beside(ctx)])


def _trusted(place: Place) -> Place:
    if place.trusted:
        return place
    raise RefusedError(
        f"the remote {place.name!r} ({place.url}) is not trusted yet",
        why="it is named in .mlver.toml, which comes with the repository",
        fix=f"git mlver remote trust {place.name}",
    )


def open_place(
    ctx: Context, place: Place, *, create: bool = False, fresh: bool = False, wary: bool = True
) -> Catalog:
    """The remote of a place. Raises UsageError, RemoteError.

    `create`: make the folder beside a git remote, which no person has made. `fresh`: whatever is
    known of it here is not used, since it is to be checked. `wary`: see `Catalog`.
    """
    if create and place.origin == "beside":
        with disk_errors("making the store beside git's remote", place.url):
            os.makedirs(place.url, exist_ok=True)
    remote = open_remote(place.url, place.options)
    if scheme_and_host(remote.url)[0] in ("", "file"):
        # A folder of this machine: its disk is not asked twice, and a mount that is gone does
        # not come back in seconds; what it holds is as near as a copy would be.
        return Catalog(remote, place.name, wary=wary)
    from mlver.remotes.retry import RetryRemote  # random: 5 ms that every filter would pay

    cache = index_cache(ctx, scratch=fresh)
    return Catalog(RetryRemote(remote), place.name, cache, wary=wary)


def index_cache(ctx: Context, *, scratch: bool = False) -> IndexCache:
    """Where index objects of remotes are kept. `scratch`: see `IndexCache`."""
    return IndexCache(os.path.join(ctx.store.root, FOLDER), scratch=scratch)


def sources(ctx: Context, name: str | None = None, *, wary: bool = False) -> Iterator[Source]:
    """Places to fetch from, best first; those that cannot be opened are passed over with a word.

    A remote that is not trusted is never contacted: see `untrusted`. `wary`: see `Catalog`.
    """
    places = configured(ctx) + beside(ctx)
    own = os.path.join(ctx.repo.common_dir, BESIDE)
    if name is not None:
        places = [_named(ctx, name, places)]
    elif os.path.isdir(own):  # others have pushed to this very repository
        places.insert(0, Place("this repository", os.fsdecode(own), "here"))
    for place in places:
        if not place.trusted:
            continue
        if place.origin == "beside" and not os.path.isdir(place.url):
            yield from _sibling(place)
            continue
        try:
            yield open_place(ctx, place, wary=wary)
        except MlverError as error:
            ctx.warn(error.told)
        if place.origin == "beside":
            yield from _sibling(place)


def untrusted(ctx: Context, error: MlverError) -> MlverError:
    """`error`, or for content that is missing where a remote was not asked since nobody trusts it:
    that as the reason, and the command that changes it."""
    if not isinstance(error, MissingContent):
        return error
    for place in configured(ctx):
        if not place.trusted:
            trusting = f"git mlver remote trust {place.name}"
            return MissingContent(
                error.what,
                why=f"the remote {place.name!r} ({place.url}) was not asked, since it is not"
                f" trusted yet; if it should be: {trusting}",
                fix=f"{trusting} && git mlver pull",
            )
    return error


def _sibling(place: Place) -> Iterator[Source]:
    root = os.path.dirname(os.fsencode(place.url))
    if os.path.isdir(os.path.join(root, b"packs")):
        yield Sibling(root)
