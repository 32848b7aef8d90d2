import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from tests.export.buckets import BUCKET, bucket
from twfs.errors import ConfigError, MediaDamaged
from twfs.export.destination import AnyFolder, Destination, Goods, LocalFolder, S3Prefix, _part_size, settled
from twfs.ranges import ceil_div

CONTENT = b"plaintext" * 100
LARGE = os.urandom(2**20) * 9
GOODS = Goods("2017/11/23/a [b] ü_RT1.mkv", len(CONTENT), 1511455637, "RT1", "89ab", '"0123-2"')


class Interrupted(Exception):
    """Whatever ends a transfer early."""


@pytest.fixture
def memory() -> Iterator[Any]:
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/", recursive=True)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    with bucket(monkeypatch) as fs:
        yield fs


def write(destination: Destination, goods: Goods, content: bytes) -> None:
    with destination.writing(goods) as pour:
        for start in range(0, len(content), 2**20):
            pour(memoryview(content)[start : start + 2**20])


def write_half(destination: Destination, goods: Goods, content: bytes) -> None:
    with destination.writing(goods) as pour:
        pour(memoryview(content)[: len(content) // 2])
        raise Interrupted


def test_each_url_has_its_destination(tmp_path: Path, memory: Any, s3: Any) -> None:
    assert memory.protocol == "memory"
    assert "s3" in s3.protocol
    assert isinstance(Destination.at(str(tmp_path)), LocalFolder)
    assert isinstance(Destination.at(f"file://{tmp_path}"), LocalFolder)
    assert isinstance(Destination.at("memory://x"), AnyFolder)
    assert isinstance(Destination.at(f"s3://{BUCKET}/x"), S3Prefix)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nonsense://x", "nonsense://x: no destination: Protocol not known"),
        ("ftp://me:hunter2@host/x", "DEST holds a password"),
        ("simplecache::s3://me:hunter2@bucket/x", "DEST holds a password"),
        ("zip://x::simplecache::ftp://me:hunter2@host/x.zip", "DEST holds a password"),
        ("file://[x", "no destination"),
    ],
)
def test_what_is_no_destination(url: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Destination.at(url)
    assert complaint in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_relative_folders_are_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settled("there") == str(tmp_path / "there")
    assert settled("memory://x") == "memory://x"


def test_local_file_has_its_name_and_time_and_is_the_users_alone(tmp_path: Path) -> None:
    destination = LocalFolder(tmp_path / "new")
    assert not destination.has(GOODS)
    before = os.umask(0o027)
    try:
        write(destination, GOODS, CONTENT)
    finally:
        os.umask(before)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path == tmp_path / "new" / GOODS.name
    assert path.read_bytes() == CONTENT
    status = path.stat()
    assert (status.st_mtime, status.st_mode & 0o777) == (GOODS.changed_at, 0o600)
    assert destination.has(GOODS)


@pytest.mark.parametrize(
    "other", [replace(GOODS, plain_size=1), replace(GOODS, changed_at=1), replace(GOODS, name="2017/11/23/x")]
)
def test_local_file_of_other_size_or_time_is_another(other: Goods, tmp_path: Path) -> None:
    destination = LocalFolder(tmp_path)
    write(destination, GOODS, CONTENT)
    assert not destination.has(other)


def test_local_link_or_folder_is_no_file(tmp_path: Path) -> None:
    destination = LocalFolder(tmp_path)
    write(destination, GOODS, CONTENT)
    (tmp_path / "link").symlink_to(tmp_path / GOODS.name)
    (tmp_path / "folder").mkdir()
    assert not destination.has(replace(GOODS, name="link"))
    assert not destination.has(replace(GOODS, name="folder"))


def test_local_failure_keeps_what_was_there(tmp_path: Path) -> None:
    destination = LocalFolder(tmp_path)
    write(destination, GOODS, CONTENT)
    with pytest.raises(Interrupted):
        write_half(destination, GOODS, CONTENT[::-1])
    with pytest.raises(MediaDamaged, match="450 bytes came to the destination where there must be 900"):
        write(destination, GOODS, CONTENT[:450])
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.read_bytes() == CONTENT


def test_local_leavings_of_killed_writers_go(tmp_path: Path) -> None:
    folder = (tmp_path / GOODS.name).parent
    folder.mkdir(parents=True)
    own, others = folder / f".{Path(GOODS.name).name}.0123abcd.part", folder / ".b.0123abcd.part"
    own.write_bytes(b"half")
    others.write_bytes(b"half")
    write(LocalFolder(tmp_path), GOODS, CONTENT)
    assert sorted(folder.iterdir()) == sorted([others, tmp_path / GOODS.name])


def test_local_writers_of_the_same_do_not_meet(tmp_path: Path) -> None:
    destination = LocalFolder(tmp_path)
    with destination.writing(GOODS) as pour:
        pour(memoryview(CONTENT)[:450])
        write(destination, GOODS, CONTENT)
        pour(memoryview(CONTENT)[450:])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / GOODS.name]
    assert (tmp_path / GOODS.name).read_bytes() == CONTENT


def test_any_file_system(memory: Any) -> None:
    destination = Destination.at("memory://archive")
    assert not destination.has(GOODS)
    write(destination, GOODS, CONTENT)
    write(destination, GOODS, CONTENT)
    assert memory.cat_file(f"/archive/{GOODS.name}") == CONTENT
    assert destination.has(GOODS)
    assert not destination.has(replace(GOODS, plain_size=1))
    assert not destination.has(replace(GOODS, name="2017/11"))


def test_any_file_system_after_a_failure(memory: Any) -> None:
    destination = Destination.at("memory://archive")
    with pytest.raises(Interrupted):
        write_half(destination, GOODS, CONTENT)
    with pytest.raises(MediaDamaged, match="450 bytes"):
        write(destination, GOODS, CONTENT[:450])
    assert memory.find("/archive") == []


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_any_file_systems_writers_of_the_same_do_not_meet(protocol: str, tmp_path: Path, memory: Any) -> None:
    fs = fsspec.filesystem(protocol)
    root = str(tmp_path)
    # Of two runs, the second of which takes the first one's for a leftover.
    with AnyFolder(fs, root).writing(GOODS) as pour:
        pour(memoryview(CONTENT)[:450])
        write(AnyFolder(fs, root), GOODS, CONTENT)
        pour(memoryview(CONTENT)[450:])
    assert fs.find(root) == [f"{root}/{GOODS.name}"]
    assert fs.cat_file(f"{root}/{GOODS.name}") == CONTENT
    assert memory.find("/") == (fs.find(root) if fs is memory else [])


def test_any_file_systems_leavings_of_killed_writers_go(memory: Any) -> None:
    destination = Destination.at("memory://archive")
    path = f"/archive/{GOODS.name}"
    with destination.writing(GOODS) as pour:
        pour(memoryview(CONTENT))
        (left,) = memory.find("/archive")
    others = f"{memory._parent(path)}/.b.0123abcd.part"
    for name in (left, others):
        memory.pipe_file(name, b"half")
    write(Destination.at("memory://archive"), GOODS, CONTENT)
    assert memory.find("/archive") == sorted([others, path])


def test_any_file_system_whose_leavings_cannot_go(memory: Any) -> None:
    class Keeping(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
        """Lists what it cannot take away."""

        cachable = False

        def ls(self, path: str, **_kwargs: Any) -> list[str]:
            return [f"{path}/.{Path(GOODS.name).name}.0123abcd.part"]

    write(AnyFolder(Keeping(), "/archive"), GOODS, CONTENT)
    assert memory.cat_file(f"/archive/{GOODS.name}") == CONTENT


@pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "one request", "multipart"])
def test_s3(content: bytes, s3: Any) -> None:
    goods = replace(GOODS, plain_size=len(content))
    destination = Destination.at(f"s3://{BUCKET}/prefix/")
    assert not destination.has(goods)
    write(destination, goods, content)
    path = f"{BUCKET}/prefix/{goods.name}"
    assert s3.find(BUCKET) == [path]
    assert s3.cat_file(path) == content
    assert s3.metadata(path) == {"twilio-sid": "RT1", "twilio-etag": "0123-2", "twilio-object": "89ab"}
    assert s3.info(path)["ETag"].endswith('-2"') == (content is LARGE)  # parts
    assert destination.has(goods)
    assert not destination.has(replace(goods, identity="other"))
    assert not destination.has(replace(goods, plain_size=len(content) + 1))


@pytest.mark.parametrize(("etag", "is_there"), [('"0123-2"', True), ('"other"', False), ("", False)])
def test_s3_copy_made_before_the_object_was_noted(etag: str, is_there: bool, s3: Any) -> None:
    metadata = {"twilio-sid": "RT1", "twilio-etag": etag.strip('"')}
    s3.pipe_file(f"{BUCKET}/{GOODS.name}", CONTENT, Metadata=metadata)
    goods = replace(GOODS, etag=etag if is_there or not etag else GOODS.etag)
    assert Destination.at(f"s3://{BUCKET}").has(goods) == is_there


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["one request", "multipart"])
def test_s3_after_a_failure_there_is_nothing(content: bytes, s3: Any) -> None:
    goods = replace(GOODS, plain_size=len(content))
    destination = Destination.at(f"s3://{BUCKET}/prefix")
    with pytest.raises(Interrupted):
        write_half(destination, goods, content)
    with pytest.raises(MediaDamaged, match=f"{len(content) - 1} bytes came"):
        write(destination, goods, content[:-1])
    assert s3.find(BUCKET) == []
    assert s3.list_multipart_uploads(BUCKET) == []


@given(st.integers(0, 5 * 2**40))
def test_parts_are_as_many_and_as_large_as_s3_allows(size: int) -> None:
    part_size = _part_size(size)
    assert part_size >= 5 * 2**20
    assert ceil_div(size, part_size) <= 9_000
    assert part_size == 8 * 2**20 or ceil_div(size, part_size - 1) > 9_000


def test_s3_bucket_that_is_not_there(s3: Any) -> None:
    assert s3.exists(BUCKET)
    destination = Destination.at("s3://elsewhere/prefix")
    assert not destination.has(GOODS)
    with pytest.raises(FileNotFoundError):
        write(destination, GOODS, CONTENT)


def test_etag_that_no_header_can_hold() -> None:
    hostile = replace(GOODS, etag='"a\r\nX: ü\x00b"')
    metadata: dict[str, str] = {}

    class Recording:
        def pipe_file(self, _path: str, content: bytes, Metadata: dict[str, str]) -> None:  # noqa: N803 - as boto's
            self.size = len(content)
            metadata.update(Metadata)

        def info(self, _path: str) -> dict[str, Any]:
            return {"type": "file", "size": self.size}

    write(S3Prefix(Recording(), "b"), hostile, CONTENT)
    assert metadata["twilio-etag"] == "aX:b"
