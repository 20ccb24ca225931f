"""Which Python a command runs, and what is installed for it.

The command's own Python is asked, not ours: it is started once with a small script while the
command runs, and its answer is kept beside the store until an installation changes the folders
that it looks in. What it prints is data: `answer` takes nothing but what it expects.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from mlver.lineage.argv_params import is_python, program_at
from mlver.lineage.child import found_program
from mlver.lineage.opened import without_hook
from mlver.model.digest import digest_of

_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "make", "just", "snakemake"}
_SECONDS = 20.0

_ASK = r"""
import sys
sys.path[:] = [p for p in sys.path if p]
import json, os, re
found, folders, cuda = {}, {}, ""
for folder in dict.fromkeys(sys.path):
    try:
        names = os.listdir(folder)
        folders[os.path.abspath(folder)] = os.stat(folder).st_mtime_ns
    except Exception:
        continue
    for name in names:
        try:
            base, end = os.path.splitext(name)
            if end not in (".dist-info", ".egg-info"):
                continue
            parts = base.split("-")
            title, version, url = parts[0], parts[1] if len(parts) > 1 else "", ""
            if end == ".egg-info" or not version:
                meta = os.path.join(folder, name, "PKG-INFO")
                if os.path.isfile(os.path.join(folder, name)):
                    meta = os.path.join(folder, name)
                with open(meta, encoding="utf-8", errors="replace") as file:
                    for line in file:
                        if line.startswith("Name: "):
                            title = line[6:].strip()
                        elif line.startswith("Version: "):
                            version = line[9:].strip()
                        elif not line.strip():
                            break
            direct = os.path.join(folder, name, "direct_url.json")
            if os.path.exists(direct):
                with open(direct, encoding="utf-8") as file:
                    told = json.load(file)
                url = told.get("url", "")
                vcs = told.get("vcs_info")
                if vcs:
                    url = "%s+%s@%s" % (vcs["vcs"], url, vcs.get("commit_id", ""))
                if told.get("subdirectory"):
                    url += "#subdirectory=" + told["subdirectory"]
            title = re.sub(r"[-_.]+", "-", title).lower()
            found.setdefault(title, [version, url])
            if title == "torch":
                with open(os.path.join(folder, "torch", "version.py"), encoding="utf-8") as file:
                    match = re.search(r"cuda[^=\n]*= *['\"]([0-9.]+)", file.read())
                    cuda = match.group(1) if match else ""
        except Exception:
            pass
print(json.dumps({"version": sys.version.split()[0], "implementation": sys.implementation.name,
    "executable": sys.executable, "packages": found, "folders": folders, "cuda": cuda}))
"""


def python_of(argv: Sequence[str], env: Mapping[str, str]) -> str | None:
    """The Python that a command runs, as a path; None where it seems to run none.

    The program itself, or the interpreter that a script's first line names; for shells and make
    the `python3` that they would find.
    """
    path = env.get("PATH")
    at = program_at(argv)
    words = argv[at:]
    if not words:
        return None
    if is_python(words[0]):
        return _which(words[0], path)
    if os.path.basename(argv[0]) == "uv" and os.path.exists(".venv/bin/python"):
        return os.path.abspath(".venv/bin/python")
    found = _which(words[0], path)
    name = os.path.basename(words[0])
    if name in _SHELLS or name.endswith(".sh") or found is None:
        return _default(path) if found or name.endswith(".sh") else None
    interpreter = _shebang(found)
    if not interpreter:
        return None
    if is_python(interpreter[-1]):
        return _which(interpreter[-1], path)
    return _default(path) if os.path.basename(interpreter[-1]) in _SHELLS else None


def _default(path: str | None) -> str | None:
    return _which("python3", path) or _which("python", path)


def _which(name: str, path: str | None) -> str | None:
    try:
        return found_program(name, {} if path is None else {"PATH": path})
    except OSError:
        return None


def _shebang(path: str) -> list[str]:
    """The words of a script's first line that name its interpreter, options left out."""
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError:
        return []
    line = head.split(b"\n", 1)[0]
    if not line.startswith(b"#!"):
        return []
    words = [word for word in os.fsdecode(line[2:]).split() if not word.startswith("-")]
    if words and os.path.basename(words[0]) == "sh" and b"\nexec" in head.replace(b"'''", b"\n"):
        # pip's form for a long path: #!/bin/sh, then '''exec' "/long/path/python" "$0" "$@"
        quoted = head.split(b'"')
        return [os.fsdecode(quoted[1])] if len(quoted) > 2 else words
    return words[:2] if words and os.path.basename(words[0]) == "env" else words[:1]


class Question:
    """Asks one Python, at once or from what is kept; `answer` waits."""

    def __init__(self, python: str, env: Mapping[str, str], cache: bytes) -> None:
        self._file = os.path.join(cache, _key(python, env) + b".json")
        self._process: subprocess.Popen[bytes] | None = None
        self._known = self._kept()
        if self._known is None:
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    [python, "-c", _ASK],
                    env=without_hook(dict(env)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )

    def _kept(self) -> dict[str, Any] | None:
        """What is kept, while every folder is as it was."""
        try:
            with open(self._file, "rb") as file:
                known = _checked(json.load(file))
            if all(os.stat(f).st_mtime_ns == when for f, when in known["folders"].items()):
                return known
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def answer(self) -> dict[str, Any] | None:
        """{version, implementation, executable, packages: name → [version, url], cuda}; None
        where it does not answer."""
        if self._known is None and self._process is not None:
            try:
                output, _ = self._process.communicate(timeout=_SECONDS)
                self._known = _checked(json.loads(output))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
            except (OSError, ValueError, KeyError, TypeError):
                pass
            self._process = None
            if self._known is not None:
                self._keep()
        return self._known

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            fresh = self._file + b".%d" % os.getpid()
            with open(fresh, "w", encoding="utf-8") as file:
                json.dump(self._known, file)
            os.replace(fresh, self._file)


def _key(python: str, env: Mapping[str, str]) -> bytes:
    """What an answer depends on: the file, and the variables that move its folders."""
    with contextlib.suppress(OSError):
        info = os.stat(python)
        parts = [os.path.abspath(python), str(info.st_mtime_ns), str(info.st_size)]
        clean = without_hook(dict(env))
        parts += [clean.get(name, "") for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE")]
        return digest_of("\0".join(parts).encode("utf-8", "surrogateescape")).hex()[:32].encode()
    return b"none"


def _checked(told: Any) -> dict[str, Any]:
    names = ("version", "implementation", "executable", "cuda")
    known: dict[str, Any] = {name: str(told[name])[:500] for name in names}
    known["packages"] = {
        str(name): [str(row[0]), str(row[1])] for name, row in told["packages"].items()
    }
    known["folders"] = {str(name): int(when) for name, when in told["folders"].items()}
    return known


def lock_of(packages: Mapping[str, Sequence[str]]) -> bytes:
    """The packages as pip takes them, a requirement a line, sorted."""
    lines = [
        f"{name} @ {url}\n" if url else f"{name}=={version}\n"
        for name, (version, url) in packages.items()
    ]
    return "".join(sorted(lines)).encode("utf-8", "replace")
