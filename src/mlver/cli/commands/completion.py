"""`git mlver completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_GIT_BASH = """
# `git mlver <TAB>`, through git's own completion.
_git_mlver() {
    local saved=("${COMP_WORDS[@]}") at=$COMP_CWORD
    COMP_WORDS=(git-mlver "${COMP_WORDS[@]:2}"); COMP_CWORD=$((COMP_CWORD - 1))
    _git_mlver_completion
    COMP_WORDS=("${saved[@]}"); COMP_CWORD=$at
}
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def command(shell: str) -> None:
    """Print a shell's completion script.

    \b
    bash:  eval "$(git-mlver completion bash)"
    zsh:   eval "$(git-mlver completion zsh)"
    fish:  git-mlver completion fish | source
    """
    from mlver.cli.group import group

    found = get_completion_class(shell)
    assert found is not None
    script = found(group, {}, "git-mlver", "_GIT_MLVER_COMPLETE").source()
    click.echo(script + (_GIT_BASH if shell == "bash" else ""))
