"""A sandbox for the tests that run commands."""

from __future__ import annotations

from tests.cli.conftest import box, sandbox_template, work

__all__ = ["box", "sandbox_template", "work"]
