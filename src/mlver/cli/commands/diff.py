"""`git mlver diff`."""

from __future__ import annotations

import os

import click

from mlver.cli.options import JSON, opened, pathspecs, print_json
from mlver.cli.output import human_size, json_path, show_path
from mlver.errors import EXIT_DIFFERENT, UsageError
from mlver.git.repo import Repo
from mlver.workflows.diff import FileChange

_SIGNS = {"added": "A", "modified": "M", "removed": "D", "renamed": "R"}


@click.command()
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[A [B]] [--] [PATH…]")
@click.option("--exit-code", is_flag=True, help="Exit 1 where there are differences.")
@JSON
def command(words: tuple[str, ...], exit_code: bool, as_json: bool) -> int:
    """Name the tracked files that changed, with their sizes.

    Without A: what is not staged yet. With A: from that commit to the worktree; with A and B:
    from one to the other. Pointers are compared; no content is read or fetched for it.
    """
    from mlver.workflows.diff import diff

    with opened() as ctx:
        revisions, paths = _split(ctx.repo, words)
        old = revisions[0] if revisions else None
        new = revisions[1] if len(revisions) > 1 else None
        changes = diff(ctx, old, new, pathspecs(ctx.repo, [os.fsencode(path) for path in paths]))
    if as_json:
        print_json({"version": 1, "files": [_row(change) for change in changes]})
    else:
        for change in changes:
            click.echo(_line(change))
    return EXIT_DIFFERENT if exit_code and changes else 0


def _split(repo: Repo, words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Revisions come first and end at the first word that is none, or at `--`."""
    from mlver.git import command as git

    revisions: list[str] = []
    rest = list(words)
    while rest and len(revisions) < 2:
        word = rest[0]
        if ".." in word and not os.path.lexists(word):
            left, _, right = word.partition("...") if "..." in word else word.partition("..")
            return [left or "HEAD", right or "HEAD"], [item for item in rest[1:] if item != "--"]
        found = git.attempt(
            ["rev-parse", "--verify", "--quiet", "--end-of-options", word + "^{tree}"],
            cwd=repo.worktree or repo.git_dir,
        )
        if found.returncode != 0:
            break
        revisions.append(rest.pop(0))
    paths = [item for item in rest if item != "--"]
    for path in paths:
        if not revisions and not os.path.lexists(path) and "--" not in words:
            raise UsageError(
                f"{path!r} is neither a commit nor a path here",
                fix=f"for a path that is gone: git mlver diff -- {path}",
            )
    return revisions, paths


def _line(change: FileChange) -> str:
    old = "none" if change.old is None else human_size(change.old.size)
    new = "none" if change.new is None else human_size(change.new.size)
    name = show_path(change.path)
    if change.status == "renamed":
        name = f"{show_path(change.old_path)} → {name}"
    sizes = old if change.old == change.new else f"{old} → {new}"
    return f"{_SIGNS[change.status]}  {name}  {sizes}"


def _row(change: FileChange) -> dict[str, object]:
    """The shape that docs/schema/diff.json fixes; what is inside a file comes with the formats."""
    return {
        "path": json_path(change.path),
        "old_path": json_path(change.old_path),
        "status": change.status,
        "format": "opaque",
        "key": [],
        "key_source": None,
        "columns": {"added": [], "removed": [], "renamed": [], "retyped": []},
        "rows": None,
        "changes": [],
        "tensors": {"added": [], "removed": [], "modified": []},
        "truncated": False,
        "method": "full",
        "certificate": "unavailable",
        "old_size": None if change.old is None else change.old.size,
        "new_size": None if change.new is None else change.new.size,
        "old_oid": None if change.old is None else change.old.oid.hex(),
        "new_oid": None if change.new is None else change.new.oid.hex(),
    }
