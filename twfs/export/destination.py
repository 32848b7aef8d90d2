"""Where exported media go: a local folder, S3, or anything else that fsspec knows.

What counts as there and equal, and how a file gets its name only when it is whole:

| destination | equal | whole |
|---|---|---|
| local folder | size and modification time (set to the medium's), as rsync judges (*) | temporary name, then renamed |
| S3 | size and the stored object's identity, kept in the copy's metadata (+) | an upload appears when it is completed |
| others | size; the SID in the name says the rest, for finished media do not change | temporary name, then moved |

(*) Where the folder's file system keeps no times: as others.
(+) Copies made before there was one: the ETag beside it, if equal ETags mean equal bytes. Others are made once more.

A destination is made by each thread for itself: not all of fsspec's file systems may be used by several. Access to it
is configured where it is used, by the environment or the files of its own library.
"""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from fsspec.spec import AbstractFileSystem

from twfs.errors import ConfigError, MediaDamaged
from twfs.export.refusals import obstacle_of
from twfs.invocation import pip_remedy
from twfs.ranges import ceil_div
from twfs.transfer.new_file import TOKEN_SIZE
from twfs.transfer.obstacle import DestinationFailed
from twfs.transfer.part_names import part_name
from twfs.transfer.present import is_there
from twfs.transfer.replacing import replacing
from twfs.transfer.shortcomings import Shortcomings

_ONE_REQUEST = 8 * 2**20
"""Objects of up to so many bytes are gathered in memory and put to S3 in one request instead of three."""

_MOST_PARTS = 9_000
"""S3 takes 10,000 (its documented limits of multipart uploads); s3fs may cut them somewhat larger or smaller."""

_LIBRARIES = frozenset(("s3fs", "gcsfs", "adlfs", "paramiko", "aiohttp", "requests"))
"""Packages that bring what fsspec lacks: for S3, Google's and Microsoft's clouds, SFTP, and HTTP."""

_ETAG, _IDENTITY = "twilio-etag", "twilio-object"
"""Names of metadata, in lower case as S3 gives them back."""

Write = Callable[[memoryview], Any]


@dataclass(frozen=True, slots=True)
class Goods:
    """What is to be there."""

    name: str
    """Below the destination, parts joined by `/`."""
    plain_size: int
    changed_at: int
    """Seconds since 1970 UTC."""
    sid: str
    identity: str
    """Of the stored object: printable ASCII, another one for another object."""
    etag: str = ""
    """The stored object's, if equal ETags mean equal bytes."""


class Destination(ABC):
    """One place for files."""

    @staticmethod
    def at(url: str, shortcomings: Shortcomings | None = None) -> "Destination":
        """The destination that a URL or a path names; `shortcomings` are the run's.

        Raises:
            ConfigError: it names none, its library is missing, or a password stands in it.
        """
        try:
            # fsspec chains file systems, each with a URL of its own: `simplecache::s3://…`.
            if any(urlsplit(part).password is not None for part in url.split("::")):
                raise ConfigError("DEST holds a password, which ps shows; give it to the library in another way")
            fs, root = url_to_fs(url)
        except ImportError as error:
            raise ConfigError(f"{url}: its library is missing: {error}{_library_remedy(error)}") from None
        except ValueError as error:
            raise ConfigError(f"{url}: no destination: {error}") from None
        protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
        if "file" in protocols:
            return LocalFolder(Path(root), shortcomings)
        return S3Prefix(fs, root) if "s3" in protocols else AnyFolder(fs, root, shortcomings)

    @abstractmethod
    def has(self, goods: Goods) -> bool:
        """Whether they are there and equal."""

    @abstractmethod
    def writing(self, goods: Goods) -> AbstractContextManager[Write]:
        """A function that takes the bytes in order; they have their name, whole, only if the block ends well.

        Raises:
            MediaDamaged: less or more bytes are there in the end.
            Exception: whatever the destination's library raises.
        """


def _library_remedy(error: ImportError) -> str:
    """How to install what fsspec could not import, where the package is named as the module is."""
    missing = getattr(error.__cause__ or error, "name", None)
    return f"; {pip_remedy(missing)}" if missing in _LIBRARIES else ""


class LocalFolder(Destination):
    """A folder of this machine."""

    def __init__(self, root: Path, shortcomings: Shortcomings | None = None) -> None:
        """`root` is made when it is needed."""
        self.root = root
        self._shortcomings = shortcomings or Shortcomings()

    def has(self, goods: Goods) -> bool:
        """By size and modification time; by name and size where no times are kept."""
        path = self.root / goods.name
        return is_there(path, goods.sid, goods.plain_size, goods.changed_at, self._shortcomings)

    @contextmanager
    def writing(self, goods: Goods) -> Iterator[Write]:
        """To a name of its own in the same folder, which is taken away if the block fails."""
        path = self.root / goods.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, goods.changed_at, self._shortcomings) as file:
            yield file.write
            file.flush()
            _check_size(goods, os.fstat(file.fileno()).st_size)


class S3Prefix(Destination):
    """Objects under a prefix of a bucket (s3fs)."""

    def __init__(self, fs: Any, root: str) -> None:
        """`root` is `BUCKET/PREFIX`."""
        self._fs = fs
        self._root = root.rstrip("/")

    def has(self, goods: Goods) -> bool:
        """By size and what the metadata say of the object it is a copy of."""
        path = f"{self._root}/{goods.name}"
        return _size_at(self._fs, path) == goods.plain_size and _is_of(goods, self._fs.metadata(path))

    @contextmanager
    def writing(self, goods: Goods) -> Iterator[Write]:
        """In one request if it is small, else as a multipart upload, given up if the block fails."""
        path = f"{self._root}/{goods.name}"
        metadata = {"twilio-sid": goods.sid, _ETAG: _mark(goods), _IDENTITY: goods.identity}
        if goods.plain_size <= _ONE_REQUEST:
            gathered = bytearray()
            yield gathered.extend
            _check_size(goods, len(gathered))
            self._fs.pipe_file(path, bytes(gathered), Metadata=metadata)
        else:
            # Not `open`: that also puts the file into a transaction which all threads share.
            file = self._fs._open(  # noqa: SLF001
                path, "wb", block_size=_part_size(goods.plain_size), autocommit=False, Metadata=metadata
            )
            try:
                yield file.write
                _check_size(goods, file.tell())
                file.close()
            except BaseException:
                file.discard()
                # So that its finalizer does not upload what is left.
                file.closed = True
                raise
            file.commit()
        _check_size(goods, _size_at(self._fs, path))


class AnyFolder(Destination):
    """Any other of fsspec's file systems."""

    def __init__(self, fs: Any, root: str, shortcomings: Shortcomings | None = None) -> None:
        """`root` is as `fs` names it."""
        self._fs = fs
        self._leftovers = (shortcomings or Shortcomings()).leftovers
        self._root = root.rstrip("/")

    def has(self, goods: Goods) -> bool:
        """By size."""
        return _size_at(self._fs, f"{self._root}/{goods.name}") == goods.plain_size

    @contextmanager
    def writing(self, goods: Goods) -> Iterator[Write]:
        """To a name of its own in the same folder, which is taken away if the block fails.

        There are no locks here to tell what a killed run left from what another run is writing. So all that was there
        when this run came goes in the end: a run whose own has gone finds the medium there instead.
        """
        path = f"{self._root}/{goods.name}"
        folder, _, name = path.rpartition("/")
        part = f"{folder}/{part_name(name, secrets.token_hex(TOKEN_SIZE // 2))}"
        self._fs.makedirs(folder, exist_ok=True)
        leftovers = self._leftovers.take(folder, lambda: self._names(folder), name, TOKEN_SIZE)
        try:
            with self._fs.open(part, "wb") as file:
                yield file.write
            size = _size_at(self._fs, part)
            if size is None and self.has(goods):
                return
            _check_size(goods, size)
            self._move(part, path)
        except BaseException:
            with suppress(FileNotFoundError):
                self._fs.rm_file(part)
            raise
        for leftover in leftovers:
            # The medium is there: what stays, or went by itself meanwhile, is no reason to fail.
            with suppress(Exception):
                self._fs.rm_file(f"{folder}/{leftover}")

    def _names(self, folder: str) -> list[str]:
        try:
            return [path.rpartition("/")[2] for path in self._fs.ls(folder, detail=False)]
        except FileNotFoundError:
            # Where folders are but prefixes of names.
            return []

    def _move(self, part: str, path: str) -> None:
        if self._fs.exists(path):
            # Not all file systems move over what is there.
            self._fs.rm_file(path)
        if type(self._fs).mv is AbstractFileSystem.mv:
            # This one would take brackets in a name for a pattern.
            self._fs.cp_file(part, path)
            self._fs.rm_file(part)
        else:
            self._fs.mv(part, path)


def settled(url: str) -> str:
    """The same destination for every process, whatever its working directory.

    Raises:
        ConfigError: as `Destination.at`.
        DestinationFailed: its library finds that nothing can be put there.
    """
    try:
        destination = Destination.at(url)
    except ConfigError:
        raise
    except Exception as error:  # the library raises what it likes
        obstacle = obstacle_of(url, None, error)
        raise DestinationFailed(obstacle.reason if obstacle else f"{url}: {type(error).__name__}: {error}") from error
    return str(destination.root) if isinstance(destination, LocalFolder) else url


def _size_at(fs: Any, path: str) -> int | None:
    """None if nothing is there, or a folder."""
    try:
        info = fs.info(path)
    except FileNotFoundError:
        return None
    size: int | None = info["size"] if info["type"] == "file" else None
    return size


def _part_size(size: int) -> int:
    """Bytes of an upload's parts, which are held in memory: as few as S3's number of parts allows."""
    return max(_ONE_REQUEST, ceil_div(size, _MOST_PARTS))


def _check_size(goods: Goods, size: int | None) -> None:
    if size != goods.plain_size:
        raise MediaDamaged(f"{size} bytes came to the destination where there must be {goods.plain_size}")


def _is_of(goods: Goods, metadata: Mapping[str, str]) -> bool:
    """Whether a copy with these metadata was made of that very stored object."""
    if _IDENTITY in metadata:
        return metadata[_IDENTITY] == goods.identity
    return goods.etag != "" and metadata.get(_ETAG) == _mark(goods)


def _mark(goods: Goods) -> str:
    """The ETag as metadata can hold it: printable ASCII, without its quotes."""
    return "".join(character for character in goods.etag.strip('"') if "!" <= character <= "~")
