"""Names of a remote's objects (docs/format/remote.md). Every object but mlver.json is immutable
and named by its content.

    mlver.json               version and chunker parameters
    packs/<aa>/<id>          at most about 32 MiB of records, footer at the end; id: BLAKE3 of it
    index/<epoch>/<id>       one a push (exchange/index_object.py); id: BLAKE3 of it
    index/compacted/<id>     many pushes, or a large one (exchange/paged_layout.py); id: digest of
                             its root
    gc/condemned/<id>        what collection will delete (exchange/condemned.py)
    gc/holds/<id>            pointers that only a clone names (exchange/registered.py)
    gc/repositories/<id>     git repositories whose content lies here (exchange/registered.py)
    gc/locks/<nonce>         a collection that is at work (exchange/gc_lock.py)
"""

from __future__ import annotations

import json
import os

from mlver.errors import RemoteError
from mlver.model.digest import Digest, from_hex
from mlver.remotes.base import NotFound, Remote
from mlver.store.chunker import PARAMETERS

META = "mlver.json"
PACKS, INDEX = "packs/", "index/"
COMPACTED = "index/compacted/"
CONDEMNED, HOLDS = "gc/condemned/", "gc/holds/"
REPOSITORIES, LOCKS = "gc/repositories/", "gc/locks/"
VERSION = 1
_EPOCH = "0"


def pack_object(pack: Digest) -> str:
    """Name of a pack's object."""
    name = pack.hex()
    return f"{PACKS}{name[:2]}/{name}"


def index_object(digest: Digest) -> str:
    """Name of an index object."""
    return f"{INDEX}{_EPOCH}/{digest.hex()}"


def compacted_object(digest: Digest) -> str:
    """Name of a paged index object."""
    return f"{COMPACTED}{digest.hex()}"


def digest_in_name(name: str) -> Digest | None:
    """The digest that ends an object's name; None for a name of another kind."""
    try:
        return from_hex(name.rpartition("/")[2])
    except ValueError:
        return None


def read_meta(remote: Remote) -> dict[str, object] | None:
    """mlver.json; None where the remote has none (nothing was ever pushed there).

    Raises RemoteError for one that this version cannot use.
    """
    try:
        meta = json.loads(remote.read(META))
        version = meta["version"]
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RemoteError(
            f"{remote.url}: mlver.json cannot be read", why=str(error), fix="git mlver doctor"
        ) from error
    if version != VERSION:
        raise RemoteError(
            f"{remote.url} is of format {version}",
            why=f"this version knows format {VERSION}",
            fix="upgrade git-mlver",
        )
    return dict(meta)


def ensure_meta(remote: Remote) -> dict[str, object]:
    """mlver.json, created if absent: before anything else is written there.

    Raises RemoteError as `read_meta`, and where content there is cut in another way: it can be
    read, since a recipe states its chunks, but whatever this version added would share nothing
    with it, and be stored all over again.
    """
    meta = read_meta(remote)
    if meta is None:
        text = json.dumps(
            {"version": VERSION, "id": os.urandom(16).hex(), "chunker": PARAMETERS}, sort_keys=True
        )
        remote.create(META, [text.encode() + b"\n"])
        meta = read_meta(remote)
        if meta is None:
            raise RemoteError(f"{remote.url} did not keep mlver.json", fix="git mlver doctor")
    if meta.get("chunker") != PARAMETERS:
        raise RemoteError(
            f"{remote.url} cuts content in another way than this version",
            why=f"mlver.json names the chunker {json.dumps(meta.get('chunker'))},"
            f" this version uses {json.dumps(PARAMETERS)}",
            fix="push with the git-mlver that made it, or to another remote: git mlver remote add",
        )
    return meta
