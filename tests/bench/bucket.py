"""The S3 server of the benchmark: Ceph's gateway, as in the tests, started when first asked for.

Each peer's turn has a bucket of its own, which is removed with all its content afterwards: the
server keeps everything in memory, and no peer meets what another left.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scratch import CommandError

sys.path.append(str(Path(__file__).parents[2]))
from tests.support import ceph


class Server:
    """A gateway below `home`. Raises CommandError where its programs are missing."""

    def __init__(self, home: Path) -> None:
        missing = ceph.missing_programs()
        if missing:
            raise CommandError(f"no S3 server: {', '.join(missing)} not found (README.md)")
        import botocore.session

        self._home = home
        self._ceph = ceph.Ceph(home)
        self.url = self._ceph.url
        self._client: Any = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self._ceph.access_key,
            aws_secret_access_key=self._ceph.secret_key,
        )

    def environment(self) -> dict[str, str]:
        """Variables by which every peer finds the server's keys; its home has no AWS settings."""
        return {
            "AWS_ACCESS_KEY_ID": self._ceph.access_key,
            "AWS_SECRET_ACCESS_KEY": self._ceph.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": self.url,
        }

    def new_bucket(self, name: str) -> None:
        """Make it, empty also where an earlier turn broke off."""
        self.remove(name)
        self._client.create_bucket(Bucket=name)

    def bytes_in(self, name: str) -> int:
        """The sizes of all its objects."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=name)
        return sum(row["Size"] for page in pages for row in page.get("Contents", ()))

    def remove(self, name: str) -> None:
        """The bucket and its content, whose memory is free at once."""
        if name in {row["Name"] for row in self._client.list_buckets()["Buckets"]}:
            words = ("bucket", "rm", f"--bucket={name}", "--purge-objects", "--bypass-gc")
            ceph.admin(self._home, *words)

    def stop(self) -> None:
        """End the processes; their folder is the benchmark's."""
        self._ceph.stop()
