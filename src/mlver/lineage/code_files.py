"""Which files a command's code is, told from the code itself, without running it.

Of a Python script or module: that file, and the modules beside it that it imports, and that those
import. A program that loads code in a way that cannot be read off (exec, importlib, another
program started) may depend on any source file, and so may a command of another language: then the
answer is None, and every source file counts.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Iterator, Sequence

from mlver.lineage.argv_params import is_python, program_at

Read = Callable[[str], bytes | None]
"""A file of the recorded tree by its path; None where there is none."""

_DYNAMIC = (
    b"importlib", b"__import__", b"runpy", b"exec(", b"eval(", b"subprocess", b"os.system",
    b"os.exec", b"os.spawn", b"multiprocessing", b"pkgutil",
)  # fmt: skip
_MOST = 5000


def code_files(argv: Sequence[str], cwd: str, read: Read) -> set[str] | None:
    """Paths, from the top, of what the command runs; None where that cannot be told."""
    start = _start(argv, cwd, read)
    if start is None:
        return None
    first, roots = start
    found: set[str] = set()
    todo = [first]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        data = read(path)
        if data is None or len(found) > _MOST or any(word in data for word in _DYNAMIC):
            return None
        found.add(path)
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for folder, name in _imports(tree, path, roots):
            todo += _module(folder, name, read)
    return found


def _start(argv: Sequence[str], cwd: str, read: Read) -> tuple[str, list[str]] | None:
    """The file that runs first, and the folders that modules are looked for in."""
    words = list(argv[program_at(argv) :])
    if not words:
        return None
    if is_python(words[0]):
        words = words[1:]
        while words and words[0].startswith("-"):
            if words[0] == "-m" and len(words) > 1:
                found = _module(cwd, words[1], read) + _module(cwd, f"{words[1]}.__main__", read)
                return (found[-1], [cwd, "", "src"]) if found else None
            if words[0] in ("-c", "-"):
                return None
            words = words[2 if words[0] in ("-W", "-X") else 1 :]
    if not words or not words[0].endswith(".py"):
        return None
    path = posixpath.normpath(posixpath.join(cwd, words[0]))
    if read(path) is None:
        return None
    return path, [posixpath.dirname(path), cwd, "", "src"]


def _imports(tree: ast.AST, path: str, roots: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(folder to look in, dotted name) of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from ((root, alias.name) for root in roots)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [base] if base else []
            names += [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            folders = list(roots)
            if node.level:
                folder = posixpath.dirname(path)
                for _ in range(node.level - 1):
                    folder = posixpath.dirname(folder)
                folders = [folder]
            yield from ((folder, name) for folder in folders for name in names)


def _module(folder: str, name: str, read: Read) -> list[str]:
    """The files that importing a dotted name runs, of those that are there."""
    found = []
    at = folder
    for part in name.split("."):
        at = posixpath.join(at, part)
        for candidate in (f"{at}.py", posixpath.join(at, "__init__.py")):
            if read(candidate) is not None:
                found.append(candidate)
                break
    return found
