"""Entry for `python -P -E .../mlver/__main__.py`, the form that git's configuration and the hooks
use: a script's path starts faster than `-m`, and nothing of the worktree can be imported."""

from mlver.cli.main import main

if __name__ == "__main__":
    main()
