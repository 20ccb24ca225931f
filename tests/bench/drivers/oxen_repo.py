"""Oxen without its command line, which PyPI does not carry: `python oxen_repo.py init|add PATH…`.

Works on the repository in the current folder.
"""

from __future__ import annotations

import os
import sys

from oxen import Repo  # type: ignore[import-untyped,import-not-found,unused-ignore]


def main() -> None:
    """Do what the arguments say."""
    verb, paths = sys.argv[1], sys.argv[2:]
    repo = Repo(os.getcwd())
    if verb == "init":
        repo.init()
    for path in paths:
        repo.add(path)


if __name__ == "__main__":
    main()
