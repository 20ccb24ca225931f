"""Stamped entries are clean to git without a filter run, and nothing else in the index changes.

Every case asks real git: `git status` for the promise, `git ls-files --debug` for what it reads.
"""

from __future__ import annotations

import os
import resource
import stat
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlver.errors import BusyError, LocalIOError, RepositoryError
from mlver.git.index_file import stamp

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",  # a status must not mend the index that is under test
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "LC_ALL": "C",
}
POINTER = b"version mlver/1\noid blake3:" + b"0" * 64 + b"\nsize 7\n"
LONG_AGO = 1_600_000_000  # older than any index written here: never racy


class Repo:
    """A repository whose required filter turns every .bin into POINTER, and logs that it ran."""

    def __init__(self, top: Path, *options: str, hash_name: str = "sha1") -> None:
        self.top = top
        self.hash_name = hash_name
        top.mkdir()
        self.git("init", "-q", f"--object-format={hash_name}", *options)
        self.index = os.fsencode(top / ".git" / "index")
        self.log = top / ".git" / "clean.log"
        pointer = top / ".git" / "pointer"
        pointer.write_bytes(POINTER)
        (top / ".git" / "info" / "attributes").write_text("*.bin filter=mlver -text\n")
        self.git("config", "filter.mlver.clean", f"echo %f >>'{self.log}'; cat '{pointer}'")
        self.git("config", "filter.mlver.required", "true")
        self.pointer_id = self.blob(POINTER)

    def git(self, *words: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            ["git", "-C", str(self.top), *words], input=stdin, env=ENVIRONMENT, capture_output=True
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def blob(self, content: bytes) -> str:
        command = ("hash-object", "-w", "--stdin", "--no-filters")
        return self.git(*command, stdin=content).decode().strip()

    def write(self, path: bytes, content: bytes = b"content", mtime: int = LONG_AGO) -> None:
        name = os.path.join(os.fsencode(self.top), path)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)
        os.utime(name, (mtime, mtime))

    def lstat(self, path: bytes) -> os.stat_result:
        return os.lstat(os.path.join(os.fsencode(self.top), path))

    def put(self, paths: Iterable[bytes], stage: int = 0) -> None:
        rows = (b"100644 %s %d\t%s\0" % (self.pointer_id.encode(), stage, p) for p in paths)
        self.git("update-index", "-z", "--index-info", stdin=b"".join(rows))

    def tracked(self, *paths: bytes) -> dict[bytes, os.stat_result]:
        """Files with pointers in the index, committed, and not yet stamped."""
        for path in paths:
            self.write(path)
        self.put(paths)
        self.commit()
        return {path: self.lstat(path) for path in paths}

    def commit(self) -> None:
        """By plumbing: `git commit` refreshes the index, which runs the filter and stamps."""
        tree = self.git("write-tree").decode().strip()
        commit = self.git("commit-tree", "-m", "message", tree).decode().strip()
        self.git("update-ref", "HEAD", commit)

    def stamp(self, stats: dict[bytes, os.stat_result], munge_size: bool = False) -> int:
        return stamp(self.index, stats, hash_name=self.hash_name, munge_size=munge_size)

    def version(self) -> int:
        return int.from_bytes(self.bytes()[4:8], "big")

    def bytes(self) -> bytes:
        return Path(os.fsdecode(self.index)).read_bytes()

    def status(self) -> bytes:
        return self.git("status", "--porcelain", "-uno")

    def filtered(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def assert_clean_without_filter(self) -> None:
        assert (self.status(), self.filtered()) == (b"", [])
        self.git("fsck", "--strict")  # verifies the index's checksum and its cache tree
        assert not os.path.exists(self.index + b".lock")


MakeRepo = Callable[..., Repo]


@pytest.fixture
def make(tmp_path: Path) -> MakeRepo:
    return lambda *options, **more: Repo(tmp_path / "repo", *options, **more)


def git_version() -> tuple[int, ...]:
    words = subprocess.run(["git", "version"], capture_output=True, check=True).stdout.split()
    return tuple(int(number) for number in words[2].split(b".")[:2])


def test_without_a_stamp_status_runs_the_filter(make: MakeRepo) -> None:
    repo = make()
    repo.tracked(b"a.bin")
    assert (repo.status(), repo.filtered()) == (b"", ["a.bin"])


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("version", [2, 4])
def test_status_of_stamped_files_is_clean_without_a_filter(
    make: MakeRepo, hash_name: str, version: int
) -> None:
    repo = make(hash_name=hash_name)
    repo.git("update-index", "--index-version", str(version))
    stats = repo.tracked(b"a.bin", b"dir/b.bin", b"dir/deep/\xff \n.bin", b"dir/deep/c.bin")
    assert repo.version() == version
    assert repo.stamp(stats) == 4
    repo.assert_clean_without_filter()


def test_stamped_fields_are_those_that_git_writes_itself(make: MakeRepo) -> None:
    repo = make()
    paths = [b"plain", b"dir/plain", b"old", b"new"]
    for path in paths:
        repo.write(path)
    os.utime(repo.top / "old", ns=(-1, -1_500_000_000))  # before 1970
    os.utime(repo.top / "new", ns=(1, (2**33 + 5) * 10**9 + 123_456_789))  # after 2106
    repo.git("add", "--", "plain", "dir", "old", "new")
    of_git = repo.git("ls-files", "-s", "--debug")
    repo.git("update-index", "--index-info", stdin=repo.git("ls-files", "-s"))
    assert repo.git("ls-files", "-s", "--debug") != of_git
    assert repo.stamp({path: repo.lstat(path) for path in paths}) == 4
    assert repo.git("ls-files", "-s", "--debug") == of_git


def test_fields_wider_than_32_bits_are_cut_as_git_does(make: MakeRepo) -> None:
    repo = make()
    repo.tracked(b"a.bin")
    wide = 2**32
    fields = (0o100644, wide + 1, wide + 2, 1, 3, 4, wide + 5, 0, 0, 0)
    times = {"st_mtime_ns": (wide + 6) * 10**9 + 7, "st_ctime_ns": 8 * 10**9 + 9}
    assert repo.stamp({b"a.bin": os.stat_result(fields, times)}) == 1
    words = repo.git("ls-files", "--debug").split()
    assert words[1:-2] == (
        b"ctime: 8:9 mtime: 6:7 dev: 2 ino: 1 uid: 3 gid: 4 size: 5".split()  # then the flags
    )


def test_only_what_was_asked_for_changes(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin", b"b.bin", b"c.bin")
    before = repo.bytes()
    assert repo.stamp({b"b.bin": stats[b"b.bin"], b"unknown.bin": stats[b"b.bin"]}) == 1
    after = repo.bytes()
    entry = 12 + 72  # each of the three entries is 62 + 5 + padding
    changed = [i for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y]
    stats_at = set(range(entry, entry + 24)) | set(range(entry + 28, entry + 40))
    assert set(changed) <= stats_at | set(range(len(before) - 20, len(before)))
    assert (repo.status(), repo.filtered()) == (b"", ["a.bin", "c.bin"])


@pytest.mark.parametrize("version", [3, 4])
def test_extended_flags_stay(make: MakeRepo, version: int) -> None:
    repo = make()
    repo.git("update-index", "--index-version", str(version))
    stats = repo.tracked(b"a.bin", b"assumed.bin", b"skipped.bin", b"z.bin")
    repo.write(b"later.bin")
    repo.git("add", "-N", "later.bin")
    repo.git("update-index", "--skip-worktree", "skipped.bin")
    repo.git("update-index", "--assume-unchanged", "assumed.bin")
    listing = repo.git("ls-files", "-v")
    repo.log.unlink(missing_ok=True)
    assert repo.version() == version
    assert repo.stamp(stats) == 4
    assert repo.git("ls-files", "-v") == listing
    assert b"h assumed.bin" in listing and b"S skipped.bin" in listing
    assert (repo.status(), repo.filtered()) == (b" A later.bin\n", [])


def test_a_later_change_is_still_seen(make: MakeRepo) -> None:
    repo = make()
    repo.stamp(repo.tracked(b"a.bin", b"b.bin"))
    (repo.top / ".git" / "pointer").write_bytes(POINTER.replace(b"7", b"8"))
    repo.write(b"a.bin", b"CONTENT", mtime=LONG_AGO + 1)
    assert (repo.status(), repo.filtered()) == (b" M a.bin\n", ["a.bin"])


def test_a_racy_change_of_another_file_is_not_hidden_by_the_younger_index(make: MakeRepo) -> None:
    repo = make()
    repo.git("config", "core.trustCtime", "false")
    stats = repo.tracked(b"a.bin")
    repo.write(b"other", b"before")
    repo.git("add", "other")
    repo.commit()
    os.utime(repo.index, (LONG_AGO, LONG_AGO))  # written in the second of the file's change
    repo.write(b"other", b"behind")
    assert repo.stamp(stats) == 1
    assert (repo.status(), repo.filtered()) == (b" M other\n", [])


def test_another_racy_file_that_did_not_change_stays_clean(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    repo.write(b"other", b"before")
    repo.git("add", "other")
    repo.commit()
    os.utime(repo.index, (LONG_AGO, LONG_AGO))
    assert repo.stamp(stats) == 1
    repo.assert_clean_without_filter()


def test_unmerged_entries_are_not_stamped(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin", b"b.bin")
    repo.git("update-index", "--force-remove", "a.bin")
    for side in (1, 2, 3):
        repo.put([b"a.bin"], stage=side)
    assert repo.stamp(stats) == 1
    debug = repo.git("ls-files", "-s", "--debug").split(b"a.bin\n")
    assert all(b"mtime: 0:0" in entry for entry in debug[1:]) and len(debug) == 4


@pytest.mark.parametrize("version", [2, 4])
def test_paths_of_any_length_are_found(make: MakeRepo, version: int) -> None:
    repo = make()
    repo.git("update-index", "--index-version", str(version))
    repo.write(b"file")
    status = repo.lstat(b"file")
    paths = [c * n for n in (1, 126, 128, 129, 4094, 4095, 4096, 20000) for c in (b"a", b"b", b"~")]
    repo.put(paths)
    assert repo.stamp({path: status for path in paths}) == len(paths)
    assert repo.git("ls-files", "--debug").count(b"mtime: %d:0" % LONG_AGO) == len(paths)
    repo.git("fsck")


def test_version_4_written_in_blocks_is_read_as_one(make: MakeRepo) -> None:
    repo = make()
    repo.git("config", "index.threads", "3")
    repo.git("update-index", "--index-version", "4")
    paths = [b"dir/%03d.bin" % i for i in range(50)]
    stats = repo.tracked(*paths)
    assert b"IEOT" in repo.bytes() and b"EOIE" in repo.bytes()
    assert repo.stamp(stats) == 50
    repo.assert_clean_without_filter()


NAME = st.binary(min_size=1, max_size=200).map(
    lambda raw: b"n" + raw.replace(b"\0", b"0").replace(b"/", b"_").replace(b"\\", b"_")
)


@settings(max_examples=40, deadline=None)
@given(
    names=st.dictionaries(NAME, st.booleans(), min_size=1, max_size=12),
    version=st.sampled_from(["2", "4"]),
    hash_name=st.sampled_from(["sha1", "sha256"]),
)
def test_exactly_the_named_entries_are_stamped(
    tmp_path_factory: pytest.TempPathFactory, names: dict[bytes, bool], version: str, hash_name: str
) -> None:
    repo = _shared(tmp_path_factory, hash_name)
    Path(os.fsdecode(repo.index)).unlink(missing_ok=True)
    repo.git("update-index", "--index-version", version)
    repo.put(names)
    status = repo.lstat(b"file")
    wanted = {name: status for name, chosen in names.items() if chosen}
    assert repo.stamp(wanted) == len(wanted)
    seconds = [
        line.split()[1].split(b":")[0]
        for line in repo.git("ls-files", "-z", "--debug").split(b"\n")
        if line.startswith(b"  mtime: ")
    ]
    assert seconds == [str(LONG_AGO * names[name]).encode() for name in sorted(names)]


_SHARED: dict[str, Repo] = {}


def _shared(factory: pytest.TempPathFactory, hash_name: str) -> Repo:
    if hash_name not in _SHARED:
        _SHARED[hash_name] = Repo(factory.mktemp(hash_name) / "repo", hash_name=hash_name)
        _SHARED[hash_name].write(b"file")
    return _SHARED[hash_name]


def test_a_checksum_that_git_skipped_stays_skipped(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    raw = repo.bytes()
    Path(os.fsdecode(repo.index)).write_bytes(raw[:-20] + bytes(20))
    assert repo.stamp(stats) == 1
    assert repo.bytes()[-20:] == bytes(20)
    assert (repo.status(), repo.filtered()) == (b"", [])


@pytest.mark.skipif(git_version() < (2, 40), reason="index.skipHash came with git 2.40")
def test_an_index_written_with_skip_hash(make: MakeRepo) -> None:
    repo = make()
    repo.git("config", "index.skipHash", "true")
    stats = repo.tracked(b"a.bin")
    assert repo.bytes()[-20:] == bytes(20)
    assert repo.stamp(stats) == 1
    repo.assert_clean_without_filter()


def test_a_split_index_is_left_to_git(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    repo.git("update-index", "--split-index")
    assert_left_alone(repo, stats)


def test_a_sparse_index_is_left_to_git(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin", b"in/b.bin", b"out/c.bin", b"out/deep/d.bin")
    repo.git("config", "filter.mlver.smudge", "cat")
    repo.stamp(stats)  # git keeps the files, and full entries, where their stat is unknown
    repo.git("sparse-checkout", "init", "--cone", "--sparse-index")
    repo.git("sparse-checkout", "set", "in")
    assert b"out/\n" in repo.git("ls-files", "--sparse")
    assert_left_alone(repo, stats)


def test_a_directory_entry_without_the_sparse_mark_is_left_to_git(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin", b"b.bin")
    raw = repo.bytes()
    of_directory = raw[:36] + (0o040000).to_bytes(4, "big") + raw[40:-20] + bytes(20)
    Path(os.fsdecode(repo.index)).write_bytes(of_directory)
    assert_left_alone(repo, {b"b.bin": stats[b"b.bin"]})


def test_an_unknown_extension_is_kept_or_left_to_git(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    raw = repo.bytes()
    for name, expected in ((b"XTRA", 1), (b"xtra", 0)):
        body = raw[:-20] + struct.pack(">4sI", name, 3) + b"abc"
        Path(os.fsdecode(repo.index)).write_bytes(body + bytes(20))
        assert repo.stamp(stats) == expected
        assert repo.bytes()[len(raw) - 20 :] == name + b"\0\0\0\3abc" + bytes(20)


def assert_left_alone(repo: Repo, stats: dict[bytes, os.stat_result]) -> None:
    before = repo.bytes()
    assert repo.stamp(stats) == 0
    assert repo.bytes() == before
    assert not os.path.exists(repo.index + b".lock")


def test_nothing_to_stamp_changes_nothing(make: MakeRepo) -> None:
    repo = make()
    stats = {b"a.bin": repo.lstat(b".git/pointer")}
    assert repo.stamp(stats) == 0  # no index yet
    assert not os.path.exists(repo.index) and not os.path.exists(repo.index + b".lock")
    repo.tracked(b"b.bin")
    assert_left_alone(repo, stats)
    assert_left_alone(repo, {})


def test_a_held_lock_is_reported_and_stays(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    before = repo.bytes()
    lock = Path(os.fsdecode(repo.index + b".lock"))
    lock.write_bytes(b"of another")
    with pytest.raises(BusyError):
        repo.stamp(stats)
    assert (lock.read_bytes(), repo.bytes()) == (b"of another", before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:40],
        lambda raw: raw[:-1],
        lambda raw: b"DIRD" + raw[4:],
        lambda raw: raw[:7] + b"\5" + raw[8:],
        lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:],
        # With a checksum that was skipped, the structure alone has to tell.
        lambda raw: raw[:8] + b"\xff\xff\xff\xff" + raw[12:-20] + bytes(20),
        lambda raw: raw[:11] + b"\1" + raw[12:-20] + bytes(20),
        lambda raw: raw[:-24] + bytes(20),
        lambda raw: raw[:-20] + b"XTRA\xff\xff\xff\xff" + bytes(20),
        lambda raw: raw[:72] + b"\x40\5" + raw[74:-20] + bytes(20),
        lambda raw: raw[:72] + b"\0\1" + raw[74:-20] + bytes(20),
        lambda raw: raw[:72] + b"\0\4" + raw[74:-20] + bytes(20),
    ],
)
def test_a_damaged_index_is_refused_and_untouched(
    make: MakeRepo, damage: Callable[[bytes], bytes]
) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin", b"b.bin")
    damaged = damage(repo.bytes())
    Path(os.fsdecode(repo.index)).write_bytes(damaged)
    with pytest.raises(RepositoryError):
        repo.stamp(stats)
    assert repo.bytes() == damaged
    assert not os.path.exists(repo.index + b".lock")


def test_a_version_4_path_that_cuts_too_much_is_refused(make: MakeRepo) -> None:
    repo = make()
    repo.git("update-index", "--index-version", "4")
    stats = repo.tracked(b"a.bin", b"b.bin")
    raw = repo.bytes()
    second = 12 + 62 + len(b"\0a.bin\0")
    for cut in (b"\x06", b"\x80", b"\xff\xff\xff\xff\x7f"):
        damaged = raw[: second + 62] + cut + raw[second + 62 + len(cut) : -20] + bytes(20)
        Path(os.fsdecode(repo.index)).write_bytes(damaged)
        with pytest.raises(RepositoryError):
            repo.stamp(stats)
        assert repo.bytes() == damaged


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_bytes_whatever_damage_or_hang(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    repo = _shared(tmp_path_factory, "sha1")
    version = data.draw(st.sampled_from([2, 3, 4]))
    body = bytearray(struct.pack(">4sII", b"DIRC", version, data.draw(st.integers(0, 5))))
    body += data.draw(st.binary(max_size=400)) + bytes(20)
    index = repo.index + b".fuzz"
    Path(os.fsdecode(index)).write_bytes(body)
    try:
        count = stamp(index, {b"a": repo.lstat(b"file")})
    except RepositoryError:
        count = 0
    if not count:
        assert Path(os.fsdecode(index)).read_bytes() == body
    assert not os.path.exists(index + b".lock")


def test_another_object_format_is_refused(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(b"a.bin")
    for name in ("sha256", "md5"):
        with pytest.raises(RepositoryError):
            stamp(repo.index, stats, hash_name=name)


def test_a_full_disk_leaves_the_index_and_no_lock(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(*(b"%d.bin" % i for i in range(100)))
    before = repo.bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(LocalIOError):
            repo.stamp(stats)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert repo.bytes() == before
    assert not os.path.exists(repo.index + b".lock")


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LocalIOError, match="gone"):
        stamp(os.fsencode(tmp_path / "gone" / "index"), {b"a": tmp_path.stat()})


def test_mode_and_symlink_of_the_index_are_kept(make: MakeRepo) -> None:
    repo = make("--shared=0664")
    stats = repo.tracked(b"a.bin")
    real = Path(os.fsdecode(repo.index)).rename(repo.top / ".git" / "elsewhere")
    os.symlink("elsewhere", repo.index)
    real.chmod(0o640)
    assert repo.stamp(stats) == 1
    assert os.path.islink(repo.index)
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    repo.assert_clean_without_filter()


def test_ctime_that_is_not_trusted_is_left_out(make: MakeRepo) -> None:
    repo = make()
    repo.git("config", "core.trustCtime", "false")
    stats = repo.tracked(b"a.bin")
    assert stamp(repo.index, stats, trust_ctime=False) == 1
    assert b"ctime: 0:0" in repo.git("ls-files", "--debug")
    repo.assert_clean_without_filter()


def test_a_multiple_of_4_gib_is_never_taken_for_modified(make: MakeRepo) -> None:
    repo = make()
    munges = git_version() >= (2, 43)
    stats = repo.tracked(b"a.bin")
    os.truncate(repo.top / "a.bin", 1 << 32)  # sparse: no disk is used
    os.utime(repo.top / "a.bin", (LONG_AGO, LONG_AGO))
    stats[b"a.bin"] = repo.lstat(b"a.bin")
    assert repo.stamp(stats, munge_size=munges) == 1
    assert (repo.status(), repo.filtered()) == (b"", [] if munges else ["a.bin"])
    os.truncate(repo.top / "a.bin", (1 << 32) + 7)
    os.utime(repo.top / "a.bin", (LONG_AGO, LONG_AGO))
    repo.log.unlink(missing_ok=True)
    assert repo.stamp({b"a.bin": repo.lstat(b"a.bin")}, munge_size=munges) == 1
    repo.assert_clean_without_filter()


def test_ten_thousand_entries_take_a_moment(make: MakeRepo) -> None:
    repo = make()
    stats = repo.tracked(*(b"d%02d/%05d.bin" % (i % 50, i) for i in range(10_000)))
    assert repo.stamp(stats) == 10_000
    repo.assert_clean_without_filter()
