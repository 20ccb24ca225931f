"""The sandboxes of tests/cli."""

from tests.cli.conftest import box, sandbox_template, work

__all__ = ["box", "sandbox_template", "work"]
