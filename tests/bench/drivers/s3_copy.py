"""A bare copy with boto3's own transfer manager: `python s3_copy.py push|pull BUCKET PATH`.

Multipart, 32 threads; everything else as boto3 has it.
"""

from __future__ import annotations

import os
import sys

import boto3  # type: ignore[import-untyped,unused-ignore]
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped,unused-ignore]

THREADS = 32


def main() -> None:
    """Copy one file to the bucket, or from it."""
    verb, bucket, path = sys.argv[1:]
    client = boto3.client("s3")
    config = TransferConfig(max_concurrency=THREADS)
    if verb == "push":
        client.upload_file(path, bucket, path, Config=config)
    else:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        client.download_file(bucket, path, path, Config=config)


if __name__ == "__main__":
    main()
