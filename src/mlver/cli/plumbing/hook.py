"""`git mlver hook NAME [ARGS]`: the logic behind the shims of hooks/."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from mlver.cli.output import human_size, show_path, warn
from mlver.errors import MlverError
from mlver.git import run_presence
from mlver.workflows.context import Context, open_context
from mlver.workflows.staged import Captured


def run(args: list[str]) -> int:
    """Run one hook. Only pre-commit, prepare-commit-msg and pre-push can stop git."""
    name = args[0] if args else ""
    if name not in _HOOKS:
        print(f"usage: git mlver hook {{{','.join(sorted(_HOOKS))}}}", file=sys.stderr)
        return 2
    if name == "prepare-commit-msg" and not os.environ.get("GIT_REFLOG_ACTION"):
        return 0  # a person's own commit: pre-commit has run, or was told not to
    from mlver.cli.progress import for_terminal

    with open_context(warn=warn, progress=for_terminal()) as ctx:
        return _HOOKS[name](ctx, args[1:])


def _pre_commit(ctx: Context, _args: list[str]) -> int:
    from mlver.workflows.precommit import before_commit

    _tell(before_commit(ctx))
    return 0


def _prepare_commit_msg(ctx: Context, _args: list[str]) -> int:
    from mlver.workflows.precommit import before_rebased_commit, stopped

    captured = before_rebased_commit(ctx)
    _tell(captured)
    if captured:
        raise stopped(captured)
    return 0


def _tell(captured: Sequence[Captured]) -> None:
    for item in captured:
        added = "" if item.tracked else ", added to .gitattributes"
        warn(f"captured {show_path(item.path)} ({human_size(item.size)}){added}")


def _commit_msg(ctx: Context, args: list[str]) -> int:
    from mlver.workflows.staged_runs import add_trailer

    if args:
        _told(lambda: add_trailer(ctx, os.path.abspath(os.fsencode(args[0]))))
    return 0


def _post_commit(ctx: Context, _args: list[str]) -> int:
    if os.path.exists(os.path.join(ctx.repo.state_dir, b"mend")):
        from mlver.workflows.capture import mend

        mend(ctx)
    if run_presence.has_runs(ctx.repo):
        from mlver.workflows.attach_runs import after_commit

        _told(lambda: after_commit(ctx))
    return 0


def _post_merge(ctx: Context, args: list[str]) -> int:
    code = _after_checkout(ctx, args)
    if args[:1] != ["1"] and run_presence.has_runs(ctx.repo):  # 1: a squash, not committed yet
        from mlver.workflows.attach_runs import after_merge

        _told(lambda: after_merge(ctx))
    return code


def _post_rewrite(ctx: Context, args: list[str]) -> int:
    lines = (os.fsdecode(line).split() for line in sys.stdin.buffer.read().splitlines())
    pairs = [(words[0], words[1]) for words in lines if len(words) >= 2]
    code = _after_checkout(ctx, args)
    if pairs and run_presence.has_runs(ctx.repo):
        from mlver.workflows.attach_runs import after_rewrite

        _told(lambda: after_rewrite(ctx, pairs))
    return code


def _told(work: Callable[[], object]) -> None:
    """Do what git does not wait for: where it fails, a warning is all that comes of it."""
    try:
        work()
    except MlverError as error:
        warn(str(error))


def _post_checkout(ctx: Context, args: list[str]) -> int:
    """In a rebase, the git that runs this hook goes on with its own copy of the index: a stat that
    is written now would be lost. The filter that it holds open writes the files at the end."""
    states = (b"rebase-merge", b"rebase-apply")
    if any(os.path.isdir(os.path.join(ctx.repo.git_dir, name)) for name in states):
        return 0
    return _after_checkout(ctx, args)


def _after_checkout(ctx: Context, _args: list[str]) -> int:
    from mlver.workflows.deferred import serve
    from mlver.workflows.hydrate import explain

    try:
        failed = serve(ctx).failed
    except MlverError as error:  # the checkout is done; it must not look as if it had failed
        warn(str(error))
        return 0
    if failed:
        warn(explain(failed))
    return 0


def _pre_push(ctx: Context, args: list[str]) -> int:
    from mlver.workflows import unresolved, verify
    from mlver.workflows.push import before_push

    remote, url, updates = _updates(args)
    unresolved.before_push(ctx, [local for local, _ in updates])
    verify.before_push(ctx, updates)
    result = before_push(ctx, remote, url, updates)
    if result is not None and result.sent:
        warn(f"pushed {len(result.sent)} file(s), {human_size(result.bytes)} sent")
    from mlver.git.run_remotes import adopt_remotes
    from mlver.workflows.exchange_runs import push_runs

    adopt_remotes(ctx.repo)
    push_runs(ctx, remote, url)
    return 0


def _updates(args: list[str]) -> tuple[str, str, list[tuple[str, str]]]:
    """Remote, URL and the (local, remote) object ids of each ref that git is about to push.

    git gives them on standard input; the pre-commit framework eats that and sets variables, for
    one ref only: what it leaves out is pushed by `git mlver push`.
    """
    env = os.environ
    if not args and env.get("PRE_COMMIT_TO_REF"):
        remote = env.get("PRE_COMMIT_REMOTE_NAME", "")
        update = (env["PRE_COMMIT_TO_REF"], env.get("PRE_COMMIT_FROM_REF", ""))
        return remote, env.get("PRE_COMMIT_REMOTE_URL", remote), [update]
    remote = args[0] if args else ""
    lines = (os.fsdecode(line).split(" ") for line in sys.stdin.buffer.read().split(b"\n"))
    updates = [(words[1], words[3]) for words in lines if len(words) == 4]
    return remote, args[1] if len(args) > 1 else remote, updates


_HOOKS: dict[str, Callable[[Context, list[str]], int]] = {
    "commit-msg": _commit_msg,
    "post-checkout": _post_checkout,
    "post-commit": _post_commit,
    "post-merge": _post_merge,
    "post-rewrite": _post_rewrite,
    "pre-commit": _pre_commit,
    "pre-push": _pre_push,
    "prepare-commit-msg": _prepare_commit_msg,
}
