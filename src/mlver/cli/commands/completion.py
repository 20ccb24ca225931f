"""`git mlver completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mlver.cli.group import COMPLETE_VARIABLE, group

_GIT_BASH = """
# `git mlver <TAB>`, through git's own completion.
_git_mlver() {
    local saved=("${COMP_WORDS[@]}") at=$COMP_CWORD before=${__git_cmd_idx:-1}
    COMP_WORDS=(git-mlver "${COMP_WORDS[@]:before+1}"); COMP_CWORD=$((COMP_CWORD - before))
    _git_mlver_completion git-mlver
    COMP_WORDS=("${saved[@]}"); COMP_CWORD=$at
}
"""


@click.command()
@click.argument("shell", metavar="{bash|fish|zsh}", type=click.Choice(["bash", "fish", "zsh"]))
def command(shell: str) -> None:
    """Print a shell's completion script.

    \b
    bash:  eval "$(git-mlver completion bash)"
    zsh:   eval "$(git-mlver completion zsh)"
    fish:  git-mlver completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(group, {}, "git-mlver", COMPLETE_VARIABLE).source()
    click.echo(script + (_GIT_BASH if shell == "bash" else ""))
