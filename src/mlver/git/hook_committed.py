"""Our block for hooks that are committed with the project: husky's files, a `.githooks/` folder.

Everyone who clones gets these lines, so they name no path of this machine, do nothing where
git-mlver is not installed, and are few. They follow the order and the way of `hook_text`.
A file here is edited by people who never run the installer, so the block always reckons with lines
below it. Pure, like `hook_text`; must not import anything of mlver but that.

PATH is trusted here, unlike in a private hook: who can plant a program in the worktree can as well
edit this very file.
"""

from __future__ import annotations

_HEAD = """\
# >>> git-mlver >>>
# chain: {chain}
# Runs `git-mlver hook {name}`; written by `git mlver install`. {order}
"""
_BEFORE = """\
if [ "${{MLVER_THEIRS-}}" = {name} ]; then
	unset MLVER_THEIRS
elif command -v git-mlver >/dev/null 2>&1; then
{read}	{feed}MLVER_THEIRS={name} {again} "$@" || exit
	{feed}(unset PYTHONPATH && exec git-mlver hook {name} "$@")
	exit
else
	echo "git-mlver is not on PATH: {loss}" >&2
fi
"""
_AFTER = """\
mlver_wait=${{GIT_DIR:-.git}}
[ -d "$mlver_wait" ] || mlver_wait=$(git rev-parse --git-dir 2>/dev/null) || mlver_wait=.git
{pick}if {{ {condition}; }} && command -v git-mlver >/dev/null 2>&1; then
{read}	{feed}(unset PYTHONPATH && exec git-mlver hook {name} "$@") || :
{restore}fi
"""
_REFUSING = """\
if [ -n "${{GIT_REFLOG_ACTION-}}" ] && command -v git-mlver >/dev/null 2>&1; then
	mlver_wait=${{GIT_DIR:-.git}}
	[ -d "$mlver_wait" ] || mlver_wait=$(git rev-parse --git-dir 2>/dev/null) || mlver_wait=.git
	if [ -e "$mlver_wait/rebase-merge/stopped-sha" ]; then
		(unset PYTHONPATH && exec git-mlver hook {name} "$@") || exit
	fi
fi
"""
_PICK = 'for mlver_wait in "$mlver_wait"/mlver/deferred/*; do break; done\n'
_COMMON = """\
mlver_runs=$mlver_wait
if [ -f "$mlver_wait/commondir" ]; then
	IFS= read -r mlver_runs <"$mlver_wait/commondir"
	case $mlver_runs in /*) ;; *) mlver_runs=$mlver_wait/$mlver_runs ;; esac
fi
"""
_RUNS = '[ -d "$mlver_runs/mlver/runs" ] || [ -d "$mlver_runs/refs/mlver" ]'
_NO_REBASE = '{ [ -z "${GIT_REFLOG_ACTION-}" ] || [ ! -d "$mlver_wait/rebase-merge" ]; }'
_WAITING = {
    "commit-msg": ('[ -e "$mlver_wait/mlver/trailer" ]', False),
    "post-checkout": ('[ -e "$mlver_wait" ]', True),
    "post-commit": (
        f'[ -e "$mlver_wait/mlver/mend" ] || {{ {{ {_RUNS}; }} && {_NO_REBASE}; }}',
        False,
    ),
    "post-merge": (f'[ -e "$mlver_wait" ] || {_RUNS}', True),
    "post-rewrite": (f'[ -e "$mlver_wait" ] || {_RUNS}', True),
}
"""Hook → the condition on which there is work, and whether it looks for deferred files."""
_TAIL = "# <<< git-mlver <<<\n"
_LOSS = {
    "pre-commit": "large files are not looked for",
    "pre-push": "the content of large files is not uploaded",
}


def committed(name: str, chain: str, *, always_sh: bool) -> bytes:
    """The block for one hook. `always_sh`: the file is run as `sh -e FILE` (husky) and need not be
    executable, so it is started again in that way."""
    if name in _LOSS:
        push = name == "pre-push"
        order = "The lines below run first."
        body = _BEFORE.format(
            name=name,
            again='sh -e "$0"' if always_sh else '"$0"',
            read="\tmlver_in=$(cat && echo .)\n" if push else "",
            feed='printf %s "${mlver_in%.}" 2>/dev/null | ' if push else "",
            loss=_LOSS[name],
        )
    else:
        order = "The lines below run afterwards."
        refusing = name == "prepare-commit-msg"
        body = _REFUSING.format(name=name) if refusing else _after(name)
    return (_HEAD.format(chain=chain, name=name, order=order) + body + _TAIL).encode()


def _after(name: str) -> str:
    condition, deferred = _WAITING[name]
    runs = _RUNS in condition
    rewrite = name == "post-rewrite"
    return _AFTER.format(
        name=name,
        pick=(_COMMON if runs else "") + (_PICK if deferred else ""),
        condition=condition,
        read="\tmlver_in=$(cat)\n" if rewrite else "",
        feed="printf '%s\\n' \"$mlver_in\" 2>/dev/null | " if rewrite else "",
        # The lines below read the rewritten commits too.
        restore="\texec <<-MLVER_END\n\t\t$mlver_in\n\tMLVER_END\n" if rewrite else "",
    )
