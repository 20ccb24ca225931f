"""`git mlver testremote`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, human_size
from mlver.errors import EXIT_DIFFERENT
from mlver.remotes.qualify import Check

_SIGNS = {"ok": "✓", "warning": "!", "failed": "✗"}


@click.command()
@click.argument("url", metavar="URL|NAME")
@click.option("--fast", is_flag=True, help="Leave out the large object and the long listing.")
@JSON
def command(url: str, fast: bool, as_json: bool) -> int:
    """Try whether a remote keeps what git-mlver relies on.

    Objects are created, raced for, read, listed and deleted below testremote/ there, and removed
    again. Nothing else on the remote is touched. Needs no repository where a URL is given.

    Exit 1 where a promise is broken. A warning is what git-mlver can live with.
    """
    from mlver.workflows.testremote import checks

    url, options = _address(url)
    done: list[Check] = []
    for check in checks(url, options, fast=fast):
        done.append(check)
        if not as_json:
            _show(check)
    ok = all(check.verdict != "failed" for check in done)
    if as_json:
        print_json({"version": 1, "url": url, "ok": ok, "checks": [_row(c) for c in done]})
    return 0 if ok else EXIT_DIFFERENT


def _address(word: str) -> tuple[str, dict[str, str]]:
    if "://" in word or word.startswith("/"):
        return word, {}
    from mlver.workflows.testremote import address_of

    with opened() as ctx:
        url, options = address_of(ctx, word)
    return url, dict(options)


def _show(check: Check) -> None:
    speed = "" if check.speed is None else f"  {human_size(int(check.speed))}/s"
    seen = f": {escape(check.seen)}" if check.seen else ""
    click.echo(f"{_SIGNS[check.verdict]} {check.name}{seen}  ({check.seconds:.2f} s){speed}")


def _row(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "verdict": check.verdict,
        "seen": check.seen,
        "seconds": round(check.seconds, 3),
        "bytes_per_second": None if check.speed is None else int(check.speed),
    }
