# Run by the Python of a recorded command as it starts (its folder is on PYTHONPATH), and loaded by
# `import mlver`: tells which files Python opens, by its own audit events. Whatever Python this is,
# nothing here may fail, print, or change what the program does; so it imports little, takes any
# Python from 3.8 on (an older one is left alone), and hands over to the user's own sitecustomize.
#
# A line a file and kind of use, appended at once to opened-<pid>-<n> in the run's journal:
#     <r|w|b> <time> <path, absolute, JSON string>            b: both, in place

import os
import sys

FOLDER = "MLVER_RUN_DIR"
_MOST = 100000


def install(journal, skipped):
    """Report opened files into the folder journal[0] ("": nowhere), none below `skipped`."""
    import json
    import time

    seen = set()
    state = [False, None, None]  # at work; the file's descriptor; whose it is
    skip = tuple(os.path.join(folder, "") for folder in skipped if folder and folder != "/")
    endings = (".py", ".pyc", ".pyo", ".so", ".pyd", ".pth")
    fspath, abspath, getpid, now = os.fspath, os.path.abspath, os.getpid, time.time
    os_close = os.close
    writes = os.O_WRONLY | os.O_RDWR
    append, flags_out = os.O_APPEND, os.O_WRONLY | os.O_CREAT | os.O_APPEND
    flags_out |= getattr(os, "O_CLOEXEC", 0)
    dumps, os_open, os_write, fsdecode, getcwd = (
        json.dumps,
        os.open,
        os.write,
        os.fsdecode,
        os.getcwd,
    )
    truncate = os.O_TRUNC

    def report(kind, path):
        path = abspath(fsdecode(path))
        if path.startswith(skip) or path.endswith(endings):
            return
        line = "%s %.6f %s\n" % (kind, now(), dumps(path))
        if state[2] != (getpid(), journal[0]):
            if state[1] is not None and state[2][0] == getpid():
                os_close(state[1])
            state[2] = (getpid(), journal[0])
            name = "opened-%d-%x" % (getpid(), int(now() * 1000000))
            state[1] = os_open(os.path.join(journal[0], name), flags_out, 0o666)
        os_write(state[1], line.encode("ascii"))

    def hook(event, args):
        if event != "open" and event != "sqlite3.connect" and event != "os.rename":
            return
        if state[0] or not journal[0]:
            return
        state[0] = True
        try:
            if event == "os.rename":
                kind, path = "w", args[1]
            elif event == "sqlite3.connect":
                kind, path = "b", args[0]
            else:
                path, mode, flags = args
                if isinstance(path, int):
                    return
                if not isinstance(flags, int):
                    flags = 0
                if not flags & writes:
                    kind = "r"
                elif flags & truncate or (isinstance(mode, str) and "x" in mode):
                    kind = "w"
                elif flags & os.O_RDWR or flags & append:
                    kind = "b"
                else:
                    kind = "w"
            path = fspath(path)
            key = (kind, path) if path[:1] in ("/", b"/") else (kind, path, getcwd())
            if state[2] is not None and state[2][1] != journal[0]:
                seen.clear()
            if key not in seen and len(seen) < _MOST:
                seen.add(key)
                report(kind, path)
        except BaseException:
            pass
        finally:
            state[0] = False

    sys.addaudithook(hook)


def outside():
    """Folders that hold no data of a run: Python's own, and the system's."""
    return (
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        "/proc",
        "/sys",
        "/dev",
        "/usr",
        "/lib",
        "/lib64",
        "/etc",
    )


def _start():
    journal = os.environ.get(FOLDER)
    if journal and os.path.isdir(journal) and hasattr(sys, "addaudithook"):
        install([journal], (*outside(), journal))


def _hand_over():
    """Import the sitecustomize that Python would have found without us."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]
    mine = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
        if mine is not None:
            sys.modules["sitecustomize"] = mine


if __name__ == "sitecustomize":
    try:
        _start()
    except Exception:
        pass
    _hand_over()
