"""The Python API: a script or notebook tells of itself.

    import mlver

    with mlver.run() as run:
        run.param("lr", 0.1)
        data = load(run.input("data/train.csv"))
        run.metric("loss", 0.3, step=1)
        save(run.output("model.bin"))

Inside `git mlver run` it adds to that run; alone it makes a run of its own. It never breaks the
program: every call is guarded, and the first failure is the only one that is told. Threads may
share a run; a forked child adds to it from a file of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mlver.lineage import opened, series
from mlver.lineage.redact import Redactor

if TYPE_CHECKING:
    from types import TracebackType

    from mlver.workflows.recording import Recording

_Path = TypeVar("_Path", str, "os.PathLike[str]", bytes)

_active: list[Run] = []
"""Runs of this process that have not ended, the innermost last."""
_hook: list[str] = []
"""Where this process's audit hook reports to, if it was put in here."""


class Run:
    """One run that this program is, or is part of. Made by `mlver.run`."""

    def __init__(self, name: str = "", *, nested: bool = False, quiet: bool = False) -> None:
        self.id = ""
        self._quiet = quiet
        self._recording: Recording | None = None
        self._events: series.EventWriter | None = None
        self._redactor = Redactor(os.environ)
        self._told = False
        self._names: dict[str, str] = {}
        self._pid = os.getpid()
        self._before: str | None = None
        self._outer = os.environ.get(opened.VARIABLE)
        try:
            if self._outer and not nested and not _active and os.path.isdir(self._outer):
                self._join(self._outer)
            else:
                self._begin(name)
        except Exception as error:
            self._failed(error)
        _active.append(self)

    def _join(self, folder: str) -> None:
        self.id = os.path.basename(folder.rstrip("/\\"))
        self._events = series.EventWriter(os.fsencode(folder))
        atexit.register(self.finish)

    def _begin(self, name: str) -> None:
        from mlver.workflows.context import open_context
        from mlver.workflows.recording import Wanted, begin

        parent = self._outer
        notebook = _notebook()
        argv = tuple(getattr(sys, "orig_argv", None) or sys.argv)
        wanted = Wanted(
            argv=argv,
            name=name or _name(notebook),
            kind="notebook" if notebook is not None else "python",
            cwd=os.getcwdb(),
            python=sys.executable or None,
            parent_run=os.path.basename(parent) if parent else None,
        )
        ctx = open_context(warn=_warn)
        try:
            self._recording = begin(ctx, wanted, self._redactor, os.environ)
        except BaseException:
            ctx.close()
            raise
        folder = os.fsdecode(self._recording.entry.path)
        self.id = self._recording.run.run_id
        self._events = series.EventWriter(os.fsencode(folder))
        os.environ[opened.VARIABLE] = folder  # what this program starts adds to this run
        _report_opened(folder)
        atexit.register(self.finish)

    # -- telling ---------------------------------------------------------------------------

    def param(self, name: str, value: Any) -> None:
        """A parameter: a number, a text, a truth value, None, or a list of these."""
        try:
            if self._events is not None:
                value = self._redactor.value(name, _plain(value))
                self._events.event("p", self._redactor.text(name), value)
        except Exception as error:
            self._failed(error)

    def params(self, values: Mapping[str, Any]) -> None:
        """Several parameters; nested mappings get dotted names."""
        try:
            from mlver.lineage.config_params import flattened

            pairs = list(flattened(dict(values)))
        except Exception as error:
            self._failed(error)
            return
        for name, value in pairs:
            self.param(name, value)

    def metric(self, name: str, value: Any, step: int | None = None) -> None:
        """A point of a metric: anything that float() takes. Cheap enough for a training loop."""
        try:
            events = self._events
            if events is not None:
                clean = self._names.get(name)
                if clean is None:
                    clean = self._names[name] = self._redactor.text(str(name))
                events.point(clean, step if step is None else int(step), float(value))
                if events.error is not None:
                    self._failed(events.error)
        except Exception as error:
            self._failed(error)

    def metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """A point of several metrics at one step."""
        for name, value in values.items():
            self.metric(name, value, step)

    def tag(self, name: str, value: Any) -> None:
        """A note on this run: a name and a text."""
        try:
            if self._events is not None:
                text = self._redactor.value(name, str(value))
                self._events.event("t", self._redactor.text(name), str(text))
        except Exception as error:
            self._failed(error)

    def input(self, path: _Path, role: str = "") -> _Path:
        """A file or folder that this run reads; returns `path`."""
        self._file("i", path, role)
        return path

    def output(self, path: _Path, role: str = "") -> _Path:
        """A file or folder that this run writes; returns `path`."""
        self._file("o", path, role)
        return path

    def _file(self, kind: str, path: str | bytes | os.PathLike[str], role: str) -> None:
        try:
            if self._events is not None:
                full = os.path.abspath(os.fsdecode(path))
                self._events.event(kind, full, None, 0, str(role))
        except Exception as error:
            self._failed(error)

    # -- ending ----------------------------------------------------------------------------

    def finish(self, status: str = "", exit_code: int | None = None) -> None:
        """End the run; a `with` block and the end of the program do it by themselves."""
        if self._events is None:
            self._leave()
            return
        events, self._events = self._events, None
        try:
            events.close()
        except Exception as error:
            self._failed(error)
        try:
            if self._recording is not None and os.getpid() == self._pid:
                if not status:
                    crashed = getattr(sys, "last_value", None) is not None and not _notebook()
                    status, exit_code = ("failed", 1) if crashed else ("finished", 0)
                self._conclude(self._recording, status, exit_code)
        except Exception as error:
            self._failed(error)
        finally:
            self._leave()

    def _conclude(self, recording: Recording, status: str, exit_code: int | None) -> None:
        from mlver.workflows import record

        try:
            _report_opened("")
            seen = recording.seen()
            run = recording.end(status, exit_code, ["stdout and stderr: of the API alone"])
            run = record.conclude(recording.ctx, recording.entry, run, seen, self._redactor)
            record.finish(recording.ctx, recording.entry, run)
            if not self._quiet:
                _warn(f"run {run.run_id} ({run.name}) {run.status}")
        finally:
            recording.entry.release()
            recording.ctx.close()

    def _leave(self) -> None:
        atexit.unregister(self.finish)
        if self in _active:
            _active.remove(self)
        if self._recording is not None:
            if self._outer is None:
                os.environ.pop(opened.VARIABLE, None)
            else:
                os.environ[opened.VARIABLE] = self._outer
            _report_opened(self._outer or "")
            self._recording = None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish("finished", 0)
        elif isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
            self.finish("failed" if code else "finished", code)
        elif isinstance(error, KeyboardInterrupt):
            self.finish("killed", 130)
        else:
            self.finish("failed", 1)

    def _failed(self, error: BaseException) -> None:
        """Say so, once; the program goes on."""
        if not self._told:
            self._told = True
            with contextlib.suppress(Exception):
                from mlver.workflows.run import not_recorded

                told = error if isinstance(error, Exception) else RuntimeError(str(error))
                _warn(self._redactor.text(not_recorded(told)).replace("command", "program"))


def run(name: str = "", *, nested: bool = False, quiet: bool = False) -> Run:
    """Begin a run, or join the one that this program was started in.

    `nested`: a run of its own even inside `git mlver run`, with that one as its parent. A second
    `mlver.run()` while the first has not ended is nested too. Use it in a `with`, or call `finish`.
    """
    return Run(name, nested=nested, quiet=quiet)


def _plain(value: Any) -> Any:
    """A value as JSON holds it; NumPy's and others' numbers by their `item`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else series.not_finite(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:100]]
    if hasattr(value, "item"):
        return _plain(value.item())
    return str(value)[:1000]


def _notebook() -> str | None:
    """The notebook that this is a kernel of: its path, "" where that is not known; else None."""
    shell = sys.modules.get("IPython")
    if shell is None or "ipykernel" not in sys.modules:
        return None
    main = sys.modules.get("__main__")
    path = getattr(main, "__vsc_ipynb_file__", "") or os.environ.get("JPY_SESSION_NAME", "")
    return path if path.endswith(".ipynb") else ""


def _name(notebook: str | None) -> str:
    path = notebook or (sys.argv[0] if sys.argv else "")
    return os.path.splitext(os.path.basename(path))[0] or (
        "notebook" if notebook == "" else "python"
    )


def _report_opened(folder: str) -> None:
    """Have the files that this process opens reported into `folder` ("" for nowhere). A hook of
    Python's cannot be taken out again, so it is put in once and told where."""
    if not _hook:
        if not folder:
            return
        path = os.path.join(opened.HOOK_FOLDER, "sitecustomize.py")
        spec = importlib.util.spec_from_file_location("mlver_audit_hook", path)
        if spec is None or spec.loader is None:
            return
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _hook.append(folder)
        module.install(_hook, module.outside())
    _hook[0] = folder


def _warn(message: str) -> None:
    from mlver.cli.output import warn

    warn(message)
