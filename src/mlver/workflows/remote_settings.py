"""Remotes in git's configuration: added, trusted, forgotten.

What a remote's server can do is tried when it becomes one of this clone's, and kept beside it
(`workflows/capabilities.py`). Trying never decides: a server that does not answer, or lets this
user only read, is told of, and the remote is there all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing

from mlver.errors import MlverError, RemoteError, UsageError
from mlver.git.config import check_value, set_value, unset_section
from mlver.remotes.registry import open_remote
from mlver.store.files import disk_errors
from mlver.workflows import capabilities
from mlver.workflows.context import Context
from mlver.workflows.places import Place


def add_remote(
    ctx: Context, name: str, url: str, *, share: bool, options: Mapping[str, str] | None = None
) -> None:
    """Set a remote in git's configuration; `share` also names it in .mlver.toml.

    `options` are set beside its URL. What its server can do is tried, and recorded there too.
    """
    _check_name(name)
    if name in ctx.settings.remotes():
        raise UsageError(
            f"a remote {name!r} is there already", fix=f"git mlver remote remove {name}"
        )
    options = options or {}
    lowered = {key.lower(): check_value(value) for key, value in options.items()}
    remote = open_remote(check_value(url), lowered)
    if os.path.isabs(url) and os.path.isdir(os.path.dirname(url.rstrip("/"))):
        with disk_errors("making the remote's folder", url):
            os.makedirs(url, exist_ok=True)
    try:
        remote.size("mlver.json")  # it answers: better to learn that now than at the first push
        options = {**options, **capabilities.tried(ctx, name, remote)}
    except RemoteError as error:
        ctx.warn(f"{error.what}: {error.why}" if error.why else error.what)
    finally:
        remote.close()
    for key, value in {"url": url, **options}.items():
        set_value(ctx.repo, f"mlver.remote.{name}.{key}", value)
    if share:
        _share(ctx, name, url)


def _share(ctx: Context, name: str, url: str) -> None:
    path = os.path.join(ctx.repo.top, b".mlver.toml")
    text = b""
    if os.path.exists(path):
        with open(path, "rb") as file:
            text = file.read()
    if name in ctx.settings.tree_remotes:
        ctx.warn(f".mlver.toml names {name!r} already; it was left as it is")
        return
    addition = f'\n[remotes.{name}]\nurl = "{_toml(url)}"\n'.encode()
    with open(path, "ab") as file:
        file.write((b"" if not text or text.endswith(b"\n") else b"\n") + addition)


def _toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _check_name(name: str) -> None:
    if not name or not all(char.isalnum() or char in "-_" for char in name):
        raise UsageError(f"{name!r} is no name for a remote", fix="use letters, digits, - and _")


def remove_remote(ctx: Context, name: str) -> None:
    """Forget a remote in git's configuration, and its trust. Nothing there is deleted."""
    _check_name(name)
    if name not in ctx.settings.remotes() and ctx.settings.get(f"trust.{name}.url") is None:
        raise UsageError(f"no remote of this clone is called {name!r}", fix="git mlver remote list")
    unset_section(ctx.repo, f"mlver.remote.{name}")
    unset_section(ctx.repo, f"mlver.trust.{name}")


def trust(ctx: Context, name: str) -> Place:
    """Trust the remote that .mlver.toml names, at the URL that it has now.

    Where nothing is kept of its server yet, or it was trusted at another URL, that is tried.
    """
    url = ctx.settings.tree_remotes.get(name)
    if url is None:
        raise UsageError(f".mlver.toml names no remote {name!r}", fix="git mlver remote list")
    before = ctx.settings.get(f"trust.{name}.url")
    set_value(ctx.repo, f"mlver.trust.{name}.url", url)
    if before != url or capabilities.kept(ctx.settings.remote_options(name)) is None:
        for key, value in _tried(ctx, name, url).items():
            set_value(ctx.repo, f"mlver.remote.{name}.{key}", value)
    return Place(name, url, "tree")


def _tried(ctx: Context, name: str, url: str) -> dict[str, str]:
    """What a probe finds; nothing where it cannot be made, which is told."""
    try:
        with closing(open_remote(url, ctx.settings.remote_options(name))) as remote:
            return capabilities.tried(ctx, name, remote)
    except MlverError as error:
        ctx.warn(f"{error.what}: {error.why}" if error.why else error.what)
        return {}
