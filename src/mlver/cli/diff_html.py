"""A diff as one page that needs nothing else: no script, no picture, no address of any other host.

Every text of a file is escaped, and the page forbids scripts and loads by its own policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from mlver.cli.diff_text import summary_words, totals
from mlver.cli.output import escape as escape_control
from mlver.cli.output import show_path
from mlver.diff.image_folders import FolderDiff
from mlver.model.change import Change, FileDiff, Tensors, Value
from mlver.workflows.content_diff import Compared

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>git mlver diff</title>
<style>
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1f2328; background: #fff; }
h1 { font-size: 1.2rem } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; font-family: monospace }
p { margin: .2rem 0; color: #57606a } .note { color: #9a6700 }
div.scroll { overflow-x: auto } table { border-collapse: collapse; margin: .4rem 0; }
th, td { border: 1px solid #d0d7de; padding: .15rem .5rem; text-align: left;
  font-family: monospace; white-space: pre-wrap; vertical-align: top; max-width: 32rem }
th { background: #f6f8fa; position: sticky; top: 0 }
tr.added td { background: #e6ffec } tr.removed td { background: #ffebe9 }
td.old { background: #ffd7d5 } td.new { background: #abf2bc } td.none { background: #f6f8fa }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } th, td.none { background: #161b22 }
  th, td { border-color: #30363d } p { color: #8b949e } .note { color: #d29922 }
  tr.added td { background: #12261e } tr.removed td { background: #25171c }
  td.old { background: #67221f } td.new { background: #1a4f2a } }
</style>
</head>
<body>
<h1>git mlver diff</h1>
"""


def page(
    items: Iterable[Compared], limit: int | None, folders: Sequence[FolderDiff] = ()
) -> Iterator[str]:
    """The page in parts; of each file at most `limit` changes (None: all)."""
    yield _HEAD
    for folder in folders:
        from mlver.cli.diff_images import folder_html

        yield from folder_html(folder)
    count = 0
    for item in items:
        count += 1
        yield from _file(item, limit)
    if not count:
        yield "<p>No differences.</p>\n"
    yield "</body>\n</html>\n"


def _file(item: Compared, limit: int | None) -> Iterator[str]:
    change, content = item.file, item.content
    name = show_path(change.path)
    if change.old_path != change.path:
        name = f"{show_path(change.old_path)} → {name}"
    yield f"<section>\n<h2>{_text(name)}</h2>\n"
    words = ", ".join(filter(None, (change.status, summary_words(item), totals(content))))
    yield f"<p>{_text(words)}</p>\n"
    if content.key:
        source = f" ({content.key_source})" if content.key_source else ""
        yield f"<p>key: {_text(', '.join(content.key) + source)}</p>\n"
    for note in content.notes:
        yield f'<p class="note">{_text(note)}</p>\n'
    yield from _columns(content)
    yield from _tensors(content.tensors)
    told = [c for c in content.changes if "tensor" not in c.key or not content.tensors]
    changes = told if limit is None else told[:limit]
    if changes:
        yield from _table(changes)
        if len(changes) < len(told):
            left = len(told) - len(changes)
            yield f"<p>… {left:,} more changes; --all writes them too</p>\n"
    yield "</section>\n"


def _columns(content: FileDiff) -> Iterator[str]:
    columns = content.columns
    rows = [("added", "", name) for name in columns.added]
    rows += [("removed", name, "") for name in columns.removed]
    rows += [("renamed", old, new) for old, new in columns.renamed]
    rows += [("retyped", f"{n}: {old}", f"{n}: {new}") for n, old, new in columns.retyped]
    if rows:
        yield "<table><tr><th>column</th><th>old</th><th>new</th></tr>\n"
        for kind, old, new in rows:
            yield f"<tr><td>{kind}</td>{_cell(old, 'old')}{_cell(new, 'new')}</tr>\n"
        yield "</table>\n"


def _cell(text: str, kind: str) -> str:
    return f'<td class="{kind}">{_text(text)}</td>' if text else '<td class="none"></td>'


def _tensors(tensors: Tensors) -> Iterator[str]:
    if not tensors:
        return
    yield '<div class="scroll"><table><tr><th></th><th>tensor</th><th>type</th><th>shape</th>'
    yield "<th>max |Δ|</th><th>‖Δ‖/‖old‖</th></tr>\n"
    for kind in ("removed", "modified", "added"):
        for item in getattr(tensors, kind):
            cells = (kind, item.name, item.dtype, " x ".join(map(str, item.shape)))
            figures = ("" if x is None else f"{x:.4g}" for x in (item.max_abs, item.rel_l2))
            row = "".join(f"<td>{_text(cell)}</td>" for cell in (*cells, *figures))
            yield f'<tr class="{kind}">{row}</tr>\n'
    yield "</table></div>\n"


def _table(changes: Iterable[Change]) -> Iterator[str]:
    """Old and new side by side, a row for each cell that changed; whole rows where one is alone."""
    yield '<div class="scroll"><table><tr><th></th><th>key</th><th>column</th><th>old</th>'
    yield "<th>new</th></tr>\n"
    for change in changes:
        key = _text(_words(change.key.items())) if change.key else ""
        if change.kind == "modified":
            for number, cell in enumerate(change.cells):
                first = f'<td rowspan="{len(change.cells)}">~</td>' if not number else ""
                first += f'<td rowspan="{len(change.cells)}">{key}</td>' if not number else ""
                yield f"<tr>{first}<td>{_text(cell.column)}</td>"
                yield f'<td class="old">{_value(cell.old)}</td>'
                yield f'<td class="new">{_value(cell.new)}</td></tr>\n'
            continue
        sign = "+" if change.kind == "added" else "-"
        whole = f"<td>{_text(_words(change.row.items()))}</td>"
        empty = '<td class="none"></td>'
        sides = empty + whole if change.kind == "added" else whole + empty
        yield f'<tr class="{change.kind}"><td>{sign}</td><td>{key}</td><td></td>{sides}</tr>\n'
    yield "</table></div>\n"


def _words(pairs: Iterable[tuple[str, Value]]) -> str:
    return "\n".join(f"{name}={_plain(item)}" for name, item in pairs)


def _plain(item: Value) -> str:
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)


def _value(item: Value) -> str:
    return _text(_plain(item))


def _text(text: str) -> str:
    """As text of the page: markup is escaped, and control characters are shown."""
    return escape(escape_control(text, keep_newlines=True))
