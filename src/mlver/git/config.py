"""Settings: git's configuration (`mlver.*`) and `.mlver.toml`, read once a process.

`.mlver.toml` comes with a clone, so it is not trusted: it may set tracking rules, keys, policy and
threshold, and may *name* a remote, which is used only after `git mlver remote trust`. It never
sets a program, a credential or a proxy. Git's own configuration is written by git only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from mlver.errors import RepositoryError, UsageError
from mlver.git import command
from mlver.git.repo import Repo

FILE = b".mlver.toml"
DEFAULT_THRESHOLD = 10 * 1024 * 1024
DEFAULT_SMUDGE_LIMIT = 64 * 1024 * 1024
POLICIES = ("capture", "reject", "off")
RUN_POLICIES = ("off", "warn", "reject")
MODELS = (
    "*.safetensors", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.pkl", "*.pickle", "*.joblib",
    "*.skops", "*.h5", "*.hdf5", "*.keras", "*.tflite", "*.gguf", "*.npz",
)  # fmt: skip
"""What the policy of runs looks at, unless `.mlver.toml` says otherwise."""

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LONGEST_SIZE = 64  # a float of hundreds of digits is infinite
_SIZE = re.compile(r"\A\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?\s*\Z", re.IGNORECASE)


class RunSettings(NamedTuple):
    """`[runs]` of `.mlver.toml`. `policy`: "" where nothing is set."""

    policy: str = ""
    models: tuple[str, ...] = MODELS
    sidecar: bool = False

    def mode(self, has_runs: bool) -> str:
        """The policy in force: unless it is set, a repository that has runs is warned, and one
        that has none is left in peace."""
        return self.policy or ("warn" if has_runs else "off")


class Settings(NamedTuple):
    """What the user and the repository have set. Sizes in bytes.

    `git` asks git, once, and only when a setting of the user's is needed.
    """

    git: Callable[[], dict[str, list[str]]]
    policy: str
    threshold: int
    patterns: tuple[str, ...]
    tree_remotes: dict[str, str]
    tree_default: str | None
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Patterns of paths, and the columns by which their rows are told apart."""
    runs: RunSettings = RunSettings()

    def get(self, key: str) -> str | None:
        """The last value of `mlver.<key>` in git's configuration; a subsection keeps its case."""
        subsection, dot, name = key.rpartition(".")
        values = self.git().get(subsection + dot + name.lower())
        return values[-1] if values else None

    def get_all(self, key: str) -> list[str]:
        """Every value of `mlver.<key>`, in git's order; an empty one takes back those before it."""
        values = self.git().get(key.lower(), [])
        last = max((place for place, value in enumerate(values) if not value.strip()), default=-1)
        return values[last + 1 :]

    def remotes(self) -> dict[str, str]:
        """Name → URL of the remotes in git's configuration, which the user has set."""
        found = {}
        for key, values in self.git().items():
            if key.startswith("remote.") and key.endswith(".url"):
                found[key[len("remote.") : -len(".url")]] = values[-1]
        return found

    def remote_options(self, name: str) -> dict[str, str]:
        """What else is set of a remote (`mlver.remote.NAME.*`), by names in lower case."""
        start = f"remote.{name}."
        return {
            key[len(start) :]: values[-1]
            for key, values in self.git().items()
            if key.startswith(start) and key != f"{start}url"
        }

    @property
    def file_mode(self) -> bool:
        """core.fileMode: False where the file system keeps no executable bit."""
        value = (self.git().get("core.filemode") or ["true"])[-1]
        return value.lower() not in ("false", "no", "off", "0", "")

    @property
    def smudge_limit(self) -> int:
        """Larger files are written directly after the checkout: git would hold them in memory."""
        value = self.get("smudgeLimit")
        return DEFAULT_SMUDGE_LIMIT if value is None else parse_size(value)

    @property
    def cache_size(self) -> int | None:
        """Bytes that the store is kept to, where remotes hold the rest; None: without a bound."""
        value = self.get("cacheSize")
        return None if value is None or value.strip() in ("", "unlimited") else parse_size(value)


def read(repo: Repo) -> Settings:
    """Settings of this repository. Raises RepositoryError for a file that cannot be understood."""
    return _with_toml(cache(partial(_git_values, repo)), _toml(repo))


def _git_values(repo: Repo) -> dict[str, list[str]]:
    done = command.attempt(
        ["config", "-z", "--get-regexp", r"^(mlver\.|core\.filemode$)"],
        cwd=repo.worktree or repo.git_dir,
    )
    values: dict[str, list[str]] = {}
    for item in command.fields(done.stdout):
        key, newline, value = item.decode("utf-8", "surrogateescape").partition("\n")
        # git lowers the first and last part of a key and keeps the subsection's case. A key
        # without `= value` is how a configuration file says true.
        values.setdefault(key.removeprefix("mlver."), []).append(value if newline else "true")
    return values


def _toml(repo: Repo) -> dict[str, Any]:
    if repo.worktree is None:
        return {}
    try:
        with open(os.path.join(repo.worktree, FILE), "rb") as file:
            import tomllib  # 4 ms, for those who have the file

            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:  # a clone's file may nest without end
        raise RepositoryError(
            ".mlver.toml cannot be read", why=str(error), fix="mend the file, then run this again"
        ) from error


def _with_toml(git: Callable[[], dict[str, list[str]]], toml: dict[str, Any]) -> Settings:
    policy = _typed(toml, "policy", str, "capture")
    if policy not in POLICIES:
        raise _invalid("policy", f"one of {', '.join(POLICIES)}")
    remotes = _typed(toml, "remotes", dict, {})
    urls = {
        name: table["url"]
        for name, table in remotes.items()
        if isinstance(table, dict) and isinstance(table.get("url"), str)
    }
    return Settings(
        git,
        policy,
        _size_of(toml.get("threshold", DEFAULT_THRESHOLD)),
        tuple(_strings(toml, "patterns")),
        urls,
        _typed(toml, "remote", str, "") or None,
        tuple(_keys(toml)),
        _run_settings(_typed(toml, "runs", dict, {})),
    )


def _run_settings(table: dict[str, Any]) -> RunSettings:
    policy = _typed(table, "policy", str, "", "runs.")
    if policy and policy not in RUN_POLICIES:
        raise _invalid("runs.policy", f"one of {', '.join(RUN_POLICIES)}")
    models = tuple(_strings(table, "models", "runs.")) if "models" in table else MODELS
    return RunSettings(policy, models, _typed(table, "sidecar", bool, False, "runs."))


def _keys(toml: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for pattern, value in _typed(toml, "keys", dict, {}).items():
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _invalid("keys", "a table of patterns with a column, or a list of columns")
        yield pattern, tuple(names)


def _typed(toml: dict[str, Any], key: str, kind: type, default: Any, within: str = "") -> Any:
    value = toml.get(key, default)
    if not isinstance(value, kind):
        raise _invalid(within + key, f"a {kind.__name__}")
    return value


def _strings(toml: dict[str, Any], key: str, within: str = "") -> list[str]:
    values = _typed(toml, key, list, [], within)
    if not all(isinstance(value, str) and "\n" not in value for value in values):
        raise _invalid(within + key, "a list of strings")
    return list(values)


def _size_of(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _invalid("threshold", 'a size such as "10MiB"')
    try:
        return parse_size(str(value))
    except UsageError as error:
        raise _invalid("threshold", 'a size such as "10MiB"') from error


def _invalid(key: str, wanted: str) -> RepositoryError:
    return RepositoryError(
        f".mlver.toml: `{key}` is not valid", why=f"it must be {wanted}", fix="mend the file"
    )


def parse_size(text: str) -> int:
    """Bytes that `10MiB`, `10m`, `1.5 GB` or `4096` name (powers of 1024). Raises UsageError."""
    match = _SIZE.match(text)
    if match is None or len(text) > _LONGEST_SIZE:
        raise UsageError(f"{text!r} is not a size", fix="write it as 4096, 10MiB or 1.5G")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def check_value(value: str) -> str:
    """`value` unchanged; RepositoryError for line ends and NUL, which never enter git's files."""
    if any(char in value for char in "\r\n\0"):
        raise UsageError("a setting may not hold line ends or NUL")
    return value


def set_value(repo: Repo, key: str, value: str) -> None:
    """Write one setting of this repository, by git."""
    repo.git("config", "--local", "--", check_value(key), check_value(value))


def unset_value(repo: Repo, key: str) -> None:
    """Remove one setting of this repository; no error where there is none."""
    command.attempt(
        ["config", "--local", "--unset-all", check_value(key)], cwd=repo.worktree or repo.git_dir
    )


def unset_section(repo: Repo, section: str) -> None:
    """Remove a section of this repository's configuration; no error where there is none."""
    command.attempt(
        ["config", "--local", "--remove-section", check_value(section)],
        cwd=repo.worktree or repo.git_dir,
    )
