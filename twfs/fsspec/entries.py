"""What is said of names: fsspec's dictionaries, made of what a mount would answer to stat(2) and getxattr(2)."""

import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from twfs.errors import CredentialsRefused, NoSuchName, NotADirectory, NotFound, RemoteError, TwfsError
from twfs.fs.attributes import XATTR_PREFIX
from twfs.fs.directory import Entry
from twfs.fs.vfs import Vfs
from twfs.threads import starting

Info = dict[str, Any]

_VALUES: dict[str, Callable[[str], Any]] = {"duration": int, "offset": int, "encrypted": lambda text: text == "true"}
"""Attributes that are no text: seconds, milliseconds, a truth value."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def type_of(vfs: Vfs, path: str) -> str:
    """`directory` or `file`; asks nobody.

    Raises:
        NoSuchName, NotADirectory: there is no such name.
    """
    try:
        vfs.readdir(f"/{path}")
    except NotADirectory:
        vfs.listxattr(f"/{path}")
        return "file"
    return "directory"


def brief_info(folder: str, entry: Entry) -> Info:
    """Name and type; asks nobody."""
    return _brief(joined(folder, entry.name), entry.st_mode)


def listed_info(vfs: Vfs, folder: str, entry: Entry) -> Info | None:
    """What `full_info` says, None if the name has vanished since it was listed, `size` None if that is in trouble.

    Raises:
        TwfsError: trouble that would keep other sizes from being told, too: network, credentials, time.
    """
    path = joined(folder, entry.name)
    try:
        return full_info(vfs, path)
    except NoSuchName:
        return None
    except TwfsError as trouble:
        concerns_all = isinstance(trouble, RemoteError | CredentialsRefused) and not isinstance(trouble, NotFound)
        if concerns_all:
            raise
        return {**brief_info(folder, entry), "size": None}


def full_info(vfs: Vfs, path: str) -> Info:
    """All that is known of a name, a view's link as what it leads to; a size not yet known is asked for.

    Raises:
        TwfsError: as `Vfs.getattr`.
    """
    target = f"/{path}"
    attributes = vfs.getattr(target)
    if stat.S_ISLNK(attributes.st_mode):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(target), vfs.readlink(target)))
        attributes = vfs.getattr(target)
    return {
        **_details(vfs, target),
        **_brief(path, attributes.st_mode),
        "size": attributes.st_size,
        "mtime": attributes.time_ns / 10**9,
    }


def at_once(do: Callable[[_Item], _Result], items: Sequence[_Item], most: int) -> list[_Result]:
    """What `do` makes of each, in order, `most` at a time.

    Raises:
        Exception: the first that `do` raised; what has not begun then is left out.
    """
    if len(items) <= 1:
        return [do(item) for item in items]
    with ThreadPoolExecutor(min(most, len(items)), thread_name_prefix="twfs-fsspec") as pool:
        with starting():
            results = pool.map(do, items)
        return list(results)


def joined(folder: str, name: str) -> str:
    """The name of what is in a folder; the root's is empty."""
    return f"{folder}/{name}" if folder else name


def _details(vfs: Vfs, path: str) -> Info:
    """The extended attributes as Python's values, and `created` in seconds since 1970 UTC, as fsspec's own have it."""
    details = {name: _VALUES.get(name, str)(text) for name, text in _xattrs(vfs, path)}
    if "date_created" in details:
        details["created"] = datetime.fromisoformat(details["date_created"]).timestamp()
    return details


def _xattrs(vfs: Vfs, path: str) -> Iterator[tuple[str, str]]:
    for name in vfs.listxattr(path):
        yield name.removeprefix(XATTR_PREFIX), vfs.getxattr(path, name).decode()


def _brief(path: str, st_mode: int) -> Info:
    if stat.S_ISDIR(st_mode):
        return {"name": path, "type": "directory", "size": 0}
    return {"name": path, "type": "file"}
