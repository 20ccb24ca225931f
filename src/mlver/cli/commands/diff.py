"""`git mlver diff`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mlver.cli.diff_command import Wanted, show
from mlver.cli.options import JSON, opened, pathspecs
from mlver.errors import UsageError
from mlver.git.repo import Repo

if TYPE_CHECKING:
    from mlver.diff.image_folders import FolderDiff, Layout

_PATHS = "mlver.paths"


class _Diff(click.Command):
    """A command in which `--` counts: click would take it away, and what is a path was lost."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_PATHS] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=_Diff)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[A [B]] [--] [PATH…]")
@click.option("--cached", "--staged", is_flag=True, help="From HEAD (or A) to the index.")
@click.option("--no-index", is_flag=True, help="Compare two files, or two folders, A and B.")
@click.option("--stat", is_flag=True, help="One line a file, no samples.")
@click.option("--all", "everything", is_flag=True, help="Show every change, not only samples.")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="At most N changes a file.")
@click.option("--key", multiple=True, metavar="COLUMN", help="Rows are told apart by it (repeat).")
@click.option("--no-key", is_flag=True, help="Rows have no key: they came or went, whole.")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="Do not compare it (repeat).")
@click.option("--tolerance", "--atol", type=float, metavar="X", help="Numbers so near are equal.")
@click.option("--rtol", type=float, metavar="X", help="The same, as a part of the old number.")
@click.option("--by", metavar="COLUMN", help="Count the changes for each value of it.")
@click.option("--layout", metavar="TEMPLATE", help="Of image folders, such as {split}/{class}/.")
@click.option("--exit-code", is_flag=True, help="Exit 1 where there are differences.")
@click.option("--html", type=click.Path(), metavar="FILE", help="Write a page that shows it all.")
@click.option("--patch", type=click.Path(), metavar="FILE", help="Write what apply takes.")
@JSON
def command(
    words: tuple[str, ...],
    cached: bool,
    no_index: bool,
    stat: bool,
    everything: bool,
    limit: int | None,
    key: tuple[str, ...],
    no_key: bool,
    ignore: tuple[str, ...],
    tolerance: float | None,
    rtol: float | None,
    by: str | None,
    layout: str | None,
    exit_code: bool,
    html: str | None,
    patch: str | None,
    as_json: bool,
) -> int:
    """Show what changed in data and models.

    Rows and cells of tables, tensors of models, parameters, notebook cells, classes of image
    folders. Without A: what is not staged yet. With A: from that commit to the worktree; with A and
    B: from one to the other. Files that git itself holds are shown too, where their format is
    known. Content that is not here is fetched, only for files that changed.
    """
    from mlver.diff.options import Options
    from mlver.diff.rows import Tolerance

    if key and no_key:
        raise UsageError("--key and --no-key exclude one another", fix="give one of them")
    bounds = Tolerance(_bound(tolerance), _bound(rtol))
    options = Options(_names(key), "option", no_key, bounds, _names(ignore), everything)
    wanted = Wanted(options, stat, everything, limit, by, exit_code, html, patch, as_json, layout)
    if layout is not None:
        _layout(layout)  # a wrong one is told whatever changed
    if no_index:
        return _two_files(words, wanted)
    with opened() as ctx:
        from mlver.workflows.content_diff import compare_one
        from mlver.workflows.diff import diff, is_image
        from mlver.workflows.diff_keys import options_for
        from mlver.workflows.renamed_files import with_renames

        revisions, paths = _split(ctx.repo, words, click.get_current_context().meta.get(_PATHS))
        old = revisions[0] if revisions else None
        new = revisions[1] if len(revisions) > 1 else None
        specs = pathspecs(ctx.repo, [os.fsencode(path) for path in paths])
        changes = with_renames(ctx, diff(ctx, old, new, specs, cached=cached))
        options_of = options_for(ctx, changes, options)
        folders: list[FolderDiff] = []
        if any(map(is_image, changes)):
            from mlver.workflows.image_folders import between

            since = _tree_of(ctx.repo, old or "HEAD") if old or cached else None
            folders = between(ctx, changes, since, _layout(layout))
        return show(
            ctx, changes, lambda change: compare_one(ctx, change, options_of), wanted, folders
        )


def _layout(template: str | None) -> Layout:
    from mlver.diff.image_folders import by_convention, by_template

    if template is None:
        return by_convention
    try:
        return by_template(template)
    except ValueError as error:
        raise UsageError(
            f"{template!r} is no layout", why=str(error), fix="--layout '{split}/{class}/'"
        ) from error


def _names(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(values)


def _bound(value: float | None) -> float:
    if value is not None and not 0 <= value < float("inf"):
        raise UsageError(f"{value} is no tolerance", fix="give a number that is 0 or more")
    return value or 0.0


def _two_files(words: tuple[str, ...], wanted: Wanted) -> int:
    from mlver.workflows.content_diff import Compared, compare_one
    from mlver.workflows.diff import FileChange, is_image
    from mlver.workflows.no_index import changed_files

    paths = [*words, *click.get_current_context().meta.get(_PATHS, ())]
    if len(paths) != 2:
        raise UsageError("--no-index takes two paths", fix="git mlver diff --no-index OLD NEW")
    changes = changed_files(*map(os.fsencode, paths))
    folders: list[FolderDiff] = []
    if os.path.isdir(paths[0]) and any(map(is_image, changes)):
        from mlver.workflows.image_folders import of_folders

        layout = _layout(wanted.layout)
        folders = of_folders(os.fsencode(paths[0]), os.fsencode(paths[1]), changes, layout)

    def compare(change: FileChange) -> Compared:
        return compare_one(None, change, lambda _: wanted.options)

    return show(None, changes, compare, wanted, folders)


def _split(
    repo: Repo, words: tuple[str, ...], after: list[str] | None
) -> tuple[list[str], list[str]]:
    """Revisions, as trees, come first and end at the first word that is none; what comes `after`
    `--` is a path whether it is there or not."""
    from mlver.git.objects import resolve

    revisions: list[str] = []
    rest = list(words)
    while rest and len(revisions) < 2:
        word = rest[0]
        if ".." in word and not os.path.lexists(word):
            left, _, right = word.partition("...") if "..." in word else word.partition("..")
            if "..." in word:
                left = _merge_base(repo, left or "HEAD", right or "HEAD")
            trees = [resolve(repo, name or "HEAD") for name in (left, right)]
            return trees, [*rest[1:], *(after or ())]
        tree = _tree_of(repo, word)
        if tree is None:
            break
        revisions.append(tree)
        rest.pop(0)
    for path in rest:
        if after is not None or (not revisions and not os.path.lexists(path)):
            raise UsageError(
                f"{path!r} is neither a commit nor a path here",
                fix=f"for a path that is gone: git mlver diff -- {path}",
            )
    return revisions, [*rest, *(after or ())]


def _tree_of(repo: Repo, word: str) -> str | None:
    """The tree that a person names, so that git has to be asked once; None for what is none."""
    from mlver.git.objects import resolve

    try:
        return resolve(repo, word)
    except UsageError:
        return None


def _merge_base(repo: Repo, left: str, right: str) -> str:
    """Where both came from: `A...B` shows what B did since, as git diff does."""
    from mlver.git import command as git

    found = git.attempt(["merge-base", "--", left, right], cwd=repo.worktree or repo.git_dir)
    return os.fsdecode(found.stdout).strip() or left
