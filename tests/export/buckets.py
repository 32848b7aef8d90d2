"""S3 on loopback (moto), as the environment tells of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "archive"


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of an S3 with one empty bucket; processes started meanwhile find it, too."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    environ = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    filesystem = fsspec.get_filesystem_class("s3")
    filesystem.clear_instance_cache()
    fs = filesystem()
    try:
        fs.mkdir(BUCKET)
        yield fs
    finally:
        filesystem.close_session(fs.loop, fs.s3)
        filesystem.clear_instance_cache()
        # moto keeps objects for the whole process.
        with urlopen(Request(f"{url}/moto-api/reset", method="POST")):
            server.stop()
