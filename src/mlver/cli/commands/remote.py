"""`git mlver remote`."""

from __future__ import annotations

import os

import click

from mlver.cli.commands.remote_compact import compact
from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape

_KEYS = {
    key.lower(): key for key in ("profile", "expectedBucketOwner", "retentionDays", "retentionMode")
}


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
@click.option(
    "--set",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set mlver.remote.NAME.KEY too: profile, expectedBucketOwner, retentionDays,"
    " retentionMode.",
)
def add(name: str, url: str, share: bool, options: tuple[str, ...]) -> None:
    """Keep content in /a/directory, or in s3://bucket/prefix.

    Another server than AWS is named by AWS_ENDPOINT_URL_S3, by the profile, or in the address:
    s3://bucket/prefix?endpoint=https://host:9000. What the server can do is tried with small
    objects, and kept in git's configuration.
    """
    from mlver.workflows.remote_settings import add_remote

    if "://" not in url and not url.startswith(("/", "~")) and os.path.isdir(url):
        url = os.path.abspath(url)
    with opened() as ctx:
        add_remote(ctx, name, os.path.expanduser(url), share=share, options=_options(options))


def _options(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key.lower() not in _KEYS:
            raise click.BadParameter(
                f"KEY is one of {', '.join(_KEYS.values())}", param_hint="--set"
            )
        found[_KEYS[key.lower()]] = value
    return found


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
    from mlver.workflows.remote_settings import remove_remote

    with opened() as ctx:
        remove_remote(ctx, name)


@command.command("trust")
@click.argument("name", metavar="NAME")
def trust(name: str) -> None:
    """Use a remote that .mlver.toml names, at its present URL.

    What its server can do is tried, as by `git mlver remote add`, where nothing is kept of it.
    Who may only read there is told so; the remote is trusted all the same.
    """
    from mlver.workflows.remote_settings import trust

    with opened() as ctx:
        place = trust(ctx, name)
    click.echo(f"{escape(place.name)} is trusted at {escape(place.url)}", err=True)


command.add_command(compact)
