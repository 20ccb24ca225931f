"""The word that names a run, with its completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

_MOST = 50


class RunName(click.types.StringParamType):
    """A run's id, its beginning or end, its name, or `latest`."""

    name = "run"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from mlver.errors import MlverError
        from mlver.workflows import known_runs
        from mlver.workflows.context import open_context

        try:
            with open_context() as surroundings, known_runs.known(surroundings) as runs:
                return [CompletionItem(word) for word in runs.words(incomplete, _MOST)]
        except MlverError:
            return []  # outside a repository there is nothing to complete


RUN: Callable[[Any], Any] = click.argument("run", metavar="RUN", type=RunName())
