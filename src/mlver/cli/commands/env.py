"""`git mlver env`."""

from __future__ import annotations

import os
import platform
import sys

import click

from mlver import __version__
from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape


@click.command()
@JSON
def command(as_json: bool) -> None:
    """Print versions, paths and settings, as for a bug report."""
    from mlver.git import command as git
    from mlver.store import chunker
    from mlver.workflows import cache, places

    with opened() as ctx:
        repo, settings = ctx.repo, ctx.settings
        values: dict[str, object] = {
            "git_mlver": __version__,
            "git": git.run(["version"]).decode("utf-8", "replace").split()[2],
            "git_program": git.git_program(),
            "python": f"{sys.version.split()[0]} ({sys.executable})",
            "platform": platform.platform(),
            "fastcdc": "compiled" if chunker.is_compiled() else "pure Python (slow)",
            "worktree": None if repo.worktree is None else os.fsdecode(repo.worktree),
            "git_directory": os.fsdecode(repo.git_dir),
            "store": os.fsdecode(repo.store_dir),
            "object_format": repo.hash_name,
            "policy": settings.policy,
            "threshold": settings.threshold,
            "patterns": list(settings.patterns),
            "smudge_limit": settings.smudge_limit,
            "cache_size": settings.cache_size,
            "store_bytes": cache.used(ctx),
        }
        remotes = {
            place.name: {"url": place.url, "origin": place.origin, "trusted": place.trusted}
            for place in [*places.configured(ctx), *places.beside(ctx)]
        }
    if as_json:
        print_json({"version": 1, "env": {**values, "remotes": remotes}})
        return
    for key, value in values.items():
        click.echo(f"{key.replace('_', ' ')}: {escape(_shown(value))}")
    for name, place in remotes.items():
        trust = "" if place["trusted"] else ", not trusted yet"
        click.echo(escape(f"remote {name}: {place['url']} ({place['origin']}{trust})"))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
