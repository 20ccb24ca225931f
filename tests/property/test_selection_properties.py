"""Patterns mean what they mean to git in .gitignore: git itself is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlver.errors import UsageError
from mlver.git.selection import select

PARTS = ("a", "b", "ab", "data", "x.bin", "a-b", "[", "a]", "B1", ".h", "é")
PATHS = tuple(
    sorted(
        {
            "/".join(parts)
            for first in PARTS
            for parts in [(first,), ("data", first), ("data", "a", first), (first, "b", "x.bin")]
        }
    )
)
WORDS = (*PARTS, "*", "**", "?", "*.bin", "[ab]", "[!a]", "[a-c]*", "[]a]", "[[:upper:]]*", "\\[",
         "a*", "*b", "d?ta", "[", "[a", "[z-a]")  # fmt: skip


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("ignore")
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


def ignored(repo: Path, pattern: str) -> set[str]:
    """The paths that git would ignore, were `pattern` in .gitignore."""
    (repo / ".git" / "info" / "exclude").write_text(pattern + "\n")
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=repo, input="\0".join(PATHS).encode() + b"\0", capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return {name.decode() for name in done.stdout.split(b"\0") if name}


def patterns() -> st.SearchStrategy[str]:
    body = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("/".join)
    return st.tuples(st.sampled_from(("", "/")), body, st.sampled_from(("", "/"))).map("".join)


@given(pattern=patterns())
@example(pattern="a/b/**/")
@example(pattern="data/**/")
@example(pattern="**/**/a")
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_pattern_takes_what_git_would_ignore(repo: Path, pattern: str) -> None:
    chosen = select([pattern.replace(",", "\\,")])
    assert {path for path in PATHS if chosen.takes(path.encode())} == ignored(repo, pattern)


def test_several_patterns_stand_in_one_word_or_in_several() -> None:
    for include in (["*.bin,models/"], ["*.bin", "models/"], [" *.bin , models/ ", ""]):
        chosen = select(include, ["secret.bin,/top"])
        assert chosen.takes(b"deep/a.bin") and chosen.takes(b"x/models/readme")
        assert not chosen.takes(b"deep/secret.bin") and not chosen.takes(b"a.txt")
        assert not chosen.takes(b"top/a.bin") and chosen.takes(b"not/top/a.bin")
    assert select([r"a\,b.bin"]).takes(b"a,b.bin")
    assert select(["\udcff*"]).takes(b"\xff.bin")


def test_what_is_excluded_is_so_whatever_is_included() -> None:
    chosen = select(["data/a.bin"], ["data"])
    assert not chosen.takes(b"data/a.bin") and select().takes(b"anything")


@pytest.mark.parametrize("pattern", ["!a", "/", "//", "a\0b"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        select([pattern])
