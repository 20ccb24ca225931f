"""`git mlver remote`."""

from __future__ import annotations

import os

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape


@click.group()
def command() -> None:
    """Places that keep content for many clones.

    With none, content lies beside a local git remote. A remote that .mlver.toml names came with
    the repository, and is used only after `git mlver remote trust`.
    """


@command.command("add")
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@click.option("--share", is_flag=True, help="Also name it in .mlver.toml, for the team.")
def add(name: str, url: str, share: bool) -> None:
    """Keep content in a directory: /a/path or file:///a/path."""
    from mlver.workflows.places import add_remote

    if "://" not in url and not url.startswith(("/", "~")) and os.path.isdir(url):
        url = os.path.abspath(url)
    with opened() as ctx:
        add_remote(ctx, name, os.path.expanduser(url), share=share)


@command.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List the remotes, the default one first."""
    from mlver.workflows.places import beside, configured

    with opened() as ctx:
        places = configured(ctx) or beside(ctx)
    if as_json:
        rows = [
            {"name": p.name, "url": p.url, "origin": p.origin, "trusted": p.trusted} for p in places
        ]
        print_json({"version": 1, "remotes": rows})
        return
    for place in places:
        notes = {"tree": " (named in .mlver.toml)", "beside": " (beside git's remote)"}
        state = "" if place.trusted else ", not trusted yet"
        click.echo(f"{escape(place.name)}\t{escape(place.url)}{notes.get(place.origin, '')}{state}")


@command.command("remove")
@click.argument("name", metavar="NAME")
def remove(name: str) -> None:
    """Forget a remote here. Nothing on it is deleted."""
    from mlver.workflows.places import remove_remote

    with opened() as ctx:
        remove_remote(ctx, name)


@command.command("trust")
@click.argument("name", metavar="NAME")
def trust(name: str) -> None:
    """Use a remote that .mlver.toml names, at its present URL."""
    from mlver.workflows.places import trust

    with opened() as ctx:
        place = trust(ctx, name)
    click.echo(f"{escape(place.name)} is trusted at {escape(place.url)}", err=True)
