"""Addresses: what opens which remote, and what is refused before anything looks at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlver.errors import UsageError
from mlver.remotes.directory import DirectoryRemote, from_url
from mlver.remotes.registry import SCHEMES, open_remote


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "FILE://{}"])
def test_a_directory_opens_by_path_and_by_url(tmp_path: Path, form: str) -> None:
    remote = open_remote(form.format(tmp_path / "r"))
    assert remote.create("a/b", [b"x"])
    assert (tmp_path / "r" / "a" / "b").read_bytes() == b"x"
    assert remote.url == form.format(tmp_path / "r")


def test_a_url_is_decoded_once_and_a_path_never(tmp_path: Path) -> None:
    open_remote(f"file://{tmp_path}/a%20b%2520%C3%A9%FF").create("x", [b"url"])
    open_remote(f"{tmp_path}/c%20d").create("x", [b"path"])
    names = sorted(bytes(path.relative_to(tmp_path)) for path in tmp_path.iterdir())
    assert names == [b"a b%20\xc3\xa9\xff", b"c%20d"]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "/a\nb",
            "/a\rb",
            "/a\0b",
            "file:///a\n",
            "file:///a%0ab",
            "file:///a%0Db",
            "file:///a%00",
        ),
        *("/a%0Ab", "s3://bucket%0d%0a/x", "s3://b\r\nHost: evil/x", "ftp://a\0"),
    ],
)
def test_line_breaks_and_nul_are_refused_raw_and_encoded(url: str) -> None:
    with pytest.raises(UsageError, match="line break or a NUL"):
        open_remote(url)


@pytest.mark.parametrize("url", ["/a\nb", "file:///a%0ab", "file:///a%00"])
def test_the_directory_itself_refuses_them_too(url: str) -> None:
    with pytest.raises(UsageError):
        from_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://key:SECRET@bucket/p", "file://SECRET@localhost/a", "https://u:SECRET%40host/x"),
        *("x://u:SECRET%40h/y", "s3://SECRET@b"),
    ],
)
def test_credentials_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="user name or a password") as caught:
        open_remote(url)
    assert "SECRET" not in str(caught.value)


def test_an_at_sign_in_a_path_is_no_credential(tmp_path: Path) -> None:
    assert open_remote(f"{tmp_path}/me@home").create("x", [b""])
    assert open_remote(f"file://{tmp_path}/you@home").create("x", [b""])


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "a",
            "a/b",
            "./a",
            "../a",
            "~",
            "~/a",
            "~root/a",
            "file:a",
            "file:/a",
            "u:SECRET@host:/a",
        ),
        *(
            "file://host/a",
            "file://",
            "file://host",
            "file:////host%zz",
            "file:///a%",
            "file:///a%2",
        ),
        *("file:///a?b", "file:///a#b", "file://127.0.0.1/a", "file://../a"),
    ],
)
def test_what_is_no_absolute_directory_of_this_machine_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_remote(url)
    assert caught.value.fix
    assert "SECRET" not in str(caught.value)


def test_an_unknown_scheme_lists_those_known() -> None:
    with pytest.raises(UsageError) as caught:
        open_remote("gopher://host/a?token=SECRET")
    assert "gopher://" in caught.value.what
    assert all(scheme in caught.value.why for scheme in ("/a/path", *SCHEMES))
    assert "SECRET" not in str(caught.value)


def test_every_line_of_the_registry_can_be_imported_and_is_in_order() -> None:
    assert list(SCHEMES) == sorted(SCHEMES)
    for target in SCHEMES.values():
        module, _, function = target.partition(":")
        assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_a_backend_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, mlver.remotes.registry as r\n"
        "assert 'mlver.remotes.directory' not in sys.modules\n"
        "r.open_remote('/a')\n"
        "assert 'mlver.remotes.directory' in sys.modules and 'boto3' not in sys.modules\n"
        "assert 'ctypes' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_relative_root_is_a_programming_error() -> None:
    with pytest.raises(ValueError):
        DirectoryRemote(Path("a"))
