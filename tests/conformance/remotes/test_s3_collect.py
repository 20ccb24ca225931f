"""Collection on a real bucket: marks, roles, a listing that fails, Object Lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conformance.remotes.s3_tools import admin_client, behind_proxy, make_bucket, opened
from tests.conformance.remotes.test_s3_policies import PREFIX, as_role, policy_bucket
from tests.support.s3_server import Endpoint
from tests.unit.store_material import add, content, open_store, scratch_folder

from mlver.errors import RemoteError
from mlver.exchange import collect, condemned, gc_lock, layout, registered
from mlver.exchange.collect import Plan
from mlver.exchange.fetch import Fetcher
from mlver.exchange.push import Pusher
from mlver.exchange.source import Catalog
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.remotes.base import Remote
from mlver.remotes.s3 import S3Remote
from mlver.remotes.s3_settings import parse
from mlver.store.local import LocalStore

__all__ = ["as_role", "policy_bucket"]
KEPT, DEAD = content("kept", 40_000), content("dead", 90_000)


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with scratch_folder(tmp_path) as folder, open_store(folder / "store") as made:
        for data in (KEPT, DEAD):
            add(made, data)
        yield made


def push(store: LocalStore, remote: Remote, *datas: bytes) -> None:
    for data in datas:  # a pack each
        Pusher(store, Catalog(remote, "remote"), lambda _: None).push([pointer_of(data)])


def gc(remote: Remote, *roots: bytes) -> Plan:
    """One run without a grace: each mark sees what the one before it has done."""
    catalog = Catalog(remote, "remote")
    with gc_lock.held(remote) as lock:
        lists = condemned.read_all(remote)
        held = registered.holds(remote)
        named = {*map(pointer_of, roots), *held}
        todo = collect.plan(catalog, lists, named, now=lock.now, grace=0)
        collect.carry_out(catalog, todo, lock)
    return todo


def names(remote: Remote, prefix: str = "") -> set[str]:
    return {row.name for row in remote.list(prefix)}


def assert_restores(remote: Remote, folder: Path, *datas: bytes) -> None:
    with open_store(folder / "fresh") as store, ThreadPoolExecutor(2) as pool:
        fetcher = Fetcher(store, [Catalog(remote, "remote")], pool, lambda _: None)
        assert not fetcher.fetch(map(pointer_of, datas)).failed


def test_two_marks_delete_what_is_dead_and_a_push_between_them_keeps_its_content(
    s3: Endpoint, store: LocalStore, tmp_path: Path
) -> None:
    remote = opened(s3.url, make_bucket(s3))
    push(store, remote, KEPT, DEAD)
    before = names(remote)
    todo = collect.plan(Catalog(remote, "remote"), [], [pointer_of(KEPT)], now=2e9)
    assert todo.condemn is not None and names(remote) == before, "a plan writes nothing"
    assert gc(remote, KEPT).condemn is not None
    assert len(names(remote, layout.PACKS)) == 2
    push(store, remote, DEAD)  # sent anew: nothing may rely on what is condemned
    assert len(names(remote, layout.PACKS)) == 3
    assert not gc(remote, KEPT, DEAD).doomed, "of two copies both stay"
    assert not names(remote, "gc/")
    assert_restores(remote, tmp_path, KEPT, DEAD)
    assert gc(remote, KEPT).condemn is not None
    assert len(gc(remote, KEPT).doomed) == 2
    assert len(names(remote, layout.PACKS)) == 1 and not names(remote, "gc/")


def test_a_listing_that_fails_at_its_second_page_condemns_nothing(
    s3: Endpoint, store: LocalStore
) -> None:
    with behind_proxy(s3, make_bucket(s3)) as (remote, proxy):
        push(store, remote, KEPT, DEAD)
        before = names(remote)
        for prefix in ("index", "packs", "gc%2Fcondemned", "gc%2Flocks"):
            proxy.fault("500", rf"GET \S*prefix=\S*{prefix}")
            with pytest.raises(RemoteError):
                gc(remote, KEPT)
            proxy.clear()
            assert names(remote) == before, prefix
        assert proxy.hits() == 4


def test_with_the_roles_of_the_guide_the_collector_alone_collects(
    needs_ceph: Endpoint,
    policy_bucket: str,
    as_role: Callable[[str], S3Remote],
    store: LocalStore,
    tmp_path: Path,
) -> None:
    client = admin_client(needs_ceph)
    for key in (f"{PREFIX}/packs/aa/here", f"{PREFIX}/index/0/here"):
        client.delete_object(Bucket=policy_bucket, Key=key)
    push(store, as_role("writer"), KEPT, DEAD)
    for role in ("reader", "writer"):
        remote = as_role(role)
        before = names(remote)
        with pytest.raises(RemoteError, match="cannot delete") as caught:
            gc(remote, KEPT)
        assert "s3:DeleteObject" in caught.value.why and caught.value.fix
        assert names(remote) == before, "no lock stays behind"
    remote = as_role("gc")
    assert gc(remote, KEPT).condemn is not None
    assert len(gc(remote, KEPT).doomed) == 1
    assert len(names(remote, layout.PACKS)) == 1 and not names(remote, "gc/")
    assert_restores(remote, tmp_path, KEPT)


def test_what_object_lock_keeps_is_hidden_and_can_be_brought_back(
    needs_ceph: Endpoint, store: LocalStore, tmp_path: Path
) -> None:
    bucket = make_bucket(needs_ceph, ObjectLockEnabledForBucket=True)
    url = f"s3://{bucket}/team?endpoint={needs_ceph.url}"
    remote = S3Remote(parse(url, {"retentiondays": "1"}))
    push(store, remote, KEPT, DEAD)
    gc(remote, KEPT)
    doomed = {layout.pack_object(pack) for pack in gc(remote, KEPT).doomed}
    assert len(doomed) == 1 and not doomed & names(remote)
    assert remote.hidden >= len(doomed)
    assert_restores(remote, tmp_path, KEPT)
    client = admin_client(needs_ceph)
    for name in doomed:
        rows = client.list_object_versions(Bucket=bucket, Prefix=f"team/{name}")
        (version,) = rows["Versions"]
        with pytest.raises(Exception, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        kept = client.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        assert digest_of(kept["Body"].read()) == layout.digest_in_name(name)
    remote.close()
