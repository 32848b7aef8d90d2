"""The file system, whatever protocol serves it: paths and handles in, attributes and bytes out.

Used by `twfs.fuse.operations`, and by nothing of the kernel's: tests run it without a mount. Every method may be
called from several threads at once. Locks guard the tree while it is rebuilt and the table of handles; none is held
while a catalogue or a reader waits for the network. Failures are classes of `twfs.errors`.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from twfs.clock import Clock, Deadline
from twfs.errors import (
    IsADirectory,
    MediaDamaged,
    NoKey,
    NoSuchAttribute,
    NoSuchName,
    NotADirectory,
    ObjectChanged,
    ReadOnly,
)
from twfs.fs.attributes import XATTR_PREFIX, Attributes, KnownSize, Usage, nanoseconds, usage, xattrs
from twfs.fs.handles import HandleTable
from twfs.fs.names import inode
from twfs.fs.options import FsSettings
from twfs.fs.patience import Patience
from twfs.fs.ports import Catalog, MediaLibrary, OpenMedium, Reading, Readings, Remover
from twfs.fs.tree import Folder, Made, MediumFile, MediumLink, Node, Tree, VirtualFile, node_inode
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ByteRange
from twfs.resources import Medium

_USAGE_LIFETIME = 10.0
"""Seconds that a sum over all media is good for: desktops ask statfs every few seconds."""


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    st_mode: int
    """The type of the file only."""
    st_ino: int
    cookie: int
    """Where a listing goes on behind this one: it grows along a folder, and stays the same while the mount stands."""
    node: Node | None = None
    """What it is; None of `.` and `..`."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """How a file was opened."""

    handle: int
    bypasses_cache: bool
    """Its size is another one than was told before, and its content may be this handle's own: nobody may rely on
    attributes or pages kept from earlier."""
    is_unchanged: bool
    """Whether pages kept since it was last open still hold."""
    object_key: tuple[str, str] | None = None
    """SID of the medium and identity of the object; None for what twfs writes itself."""


@dataclass(frozen=True, slots=True)
class _OpenFile:
    path: str
    attributes: Attributes
    source: OpenMedium
    object_key: tuple[str, str] | None
    """SID of the medium and identity of the object that is read; None of what twfs writes itself."""
    reading: Reading | None
    """None where nobody keeps account."""


@dataclass(slots=True)
class _Shown:
    """What callers have been told of a medium, and may have kept."""

    size: int
    is_proven: bool = True
    """Whether that size came from a probe."""
    identity: str | None = None
    """That of the object when it was last opened: an ETag may be missing, or another object's too."""


class Vfs:
    """The mount's content."""

    def __init__(
        self,
        catalog: Catalog,
        library: MediaLibrary,
        settings: FsSettings,
        clock: Clock,
        virtual_files: Mapping[str, Callable[[], bytes]],
        *,
        remover: Remover | None = None,
        readings: Readings | None = None,
        keeps_pages: bool = True,
    ) -> None:
        """Everything is read-only, unless there is a `remover`, which deletes media.

        `virtual_files`: names in `.twfs`, and what writes their content anew at each call. `readings` are told of
        each medium that is opened; unless it `keeps_pages`, reads of a file opened again come here again.
        """
        self._catalog = catalog
        self._library = library
        self._settings = settings
        self._clock = clock
        self._virtual_files = dict(virtual_files)
        self._remover = remover
        self._readings = readings
        self._keeps_pages = keeps_pages
        self._patience = Patience(clock, settings.timeout)
        self._handles: HandleTable[_OpenFile] = HandleTable()
        self._tree_lock = threading.Lock()
        self._tree_version: int | None = None
        self._tree = Tree({}, ())
        self._usage: tuple[float, Usage] | None = None
        # By inode number: attributes of an open file count, too.
        self._shown: dict[int, _Shown] = {}
        # Another object each time that a size is not what was told before.
        self._surprise = object()

    @property
    def open_files(self) -> int:
        """How many files are open."""
        return len(self._handles)

    def getattr(self, path: str, handle: int | None = None) -> Attributes:
        """The attributes of `path`; with a handle those that were fixed when it was opened, asking nobody.

        A handle's attributes never fail: the kernel asks for them at the end of a long read, too.

        Raises:
            NoSuchName, NotADirectory: no such path.
            BadHandle: no such handle.
            RemoteError, CredentialsRefused: the size of a medium could not be found out.
        """
        if handle is not None:
            return self._show(self._handles.get(handle).attributes)
        match self._lookup(path):
            case Folder() as folder:
                return self._folder_attributes(folder)
            case MediumLink() as link:
                return self._link_attributes(link)
            case VirtualFile() as file:
                return self._virtual_attributes(file, self._virtual_files[file.name]())
            case MediumFile(medium):
                size, is_proven = self._catalog.size(medium.sid, self._deadline())
                return self._show(self._medium_attributes(medium, size), is_proven=is_proven)

    def readdir(self, path: str) -> Iterator[Entry]:
        """What is in a folder, `.` and `..` first. Neither waits nor asks anybody.

        Raises:
            NoSuchName, NotADirectory: no such folder.
        """
        return self._entries(*self._folder(path))

    def remembered(self, path: str, make: Callable[[list[Entry]], Made]) -> Made:
        """What `make` makes of what is in a folder: once, as long as nothing in the mount changes but sizes.

        Raises:
            As `readdir`.
        """
        tree, folder = self._folder(path)
        return tree.remembered(folder, lambda: make(list(self._entries(tree, folder))))

    def known_sizes(self, entries: Iterable[Entry]) -> list[KnownSize | None]:
        """What is known of each one's size; None of what is no medium, too. Neither waits nor asks anybody."""
        known_size = self._catalog.known_size
        return [known_size(entry.node.medium.sid) if isinstance(entry.node, MediumFile) else None for entry in entries]

    def told(self, entry: Entry, size: KnownSize) -> None:
        """This medium was told to have this size."""
        self._note_shown(entry.st_ino, size[0], is_proven=size[1])

    @property
    def proofs(self) -> object:
        """As long as this is equal to what it was, proven sizes that were told are still the right ones."""
        return self._catalog.version, self._surprise

    def attributes_of(self, entry: Entry, size: KnownSize | None) -> Attributes | None:
        """What `getattr` tells of it if a medium's size is that; None of what has to be asked for."""
        match entry.node:
            case MediumFile(medium):
                return None if size is None else self._medium_attributes(medium, size[0])
            case MediumLink() as link:
                return self._link_attributes(link)
            case Folder() as folder:
                return self._folder_attributes(folder)
            case _:
                # twfs' own files are written anew to know their size.
                return None

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads.

        Raises:
            NoSuchName: there is no such link.
        """
        node = self._lookup(path)
        if not isinstance(node, MediumLink):
            raise NoSuchName(f"{path} is no symbolic link")
        return node.target

    def open(self, path: str, flags: int) -> OpenedFile:
        """A handle to read a file by; `flags` is `O_RDONLY` and the like. Attributes are fixed until `release`.

        Raises:
            ReadOnly: to write or to truncate it.
            IsADirectory, NoSuchName, NotADirectory: it is no file.
            NoKey: no private key fits.
            MediaDamaged: it cannot be decrypted.
            ObjectChanged: the size that was told of it was wrong, for it was told on trust; the right one is known now.
                Linux then asks for the attributes and opens once more (LOOKUP_REVAL after ESTALE, in fs/namei.c).
            RemoteError, CredentialsRefused: what it holds could not be found out.
        """
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self.refuse_change(path)
        match self._lookup(path):
            case Folder():
                raise IsADirectory(f"{path} is a folder")
            case VirtualFile() as file:
                return self._open_virtual(file)
            case MediumFile(medium) | MediumLink(_, medium):
                return self._open_medium(path, medium)

    def read(self, handle: int, view: memoryview, plain_offset: int) -> int:
        """Fill `view` with the file's bytes from `plain_offset` on.

        Returns:
            Bytes written: fewer than `len(view)` only at the end of the file.

        Raises:
            BadHandle: no such handle.
            RemoteError, CredentialsRefused, MediaDamaged: the bytes could not be had.
            ObjectChanged: nor will they be: there is another object, which may have been opened since.
        """
        file = self._handles.get(handle)
        self._check_current(file)
        wanted = ByteRange(plain_offset, plain_offset + len(view)).clipped(file.attributes.st_size)
        if not wanted.size:
            return 0
        part = view[: wanted.size]
        got = self._patience.read(
            file.attributes.st_ino, wanted, lambda deadline: file.source.read_into(part, wanted.start, deadline)
        )
        if got != wanted.size:
            raise MediaDamaged(f"{file.path}: {got} bytes at {wanted.start} where there must be {wanted.size}")
        if file.reading is not None:
            file.reading.delivered(wanted)
        return got

    def release(self, handle: int) -> None:
        """The file is not read any more.

        Raises:
            BadHandle: no such handle.
        """
        file = self._handles.remove(handle)
        file.source.close()
        if file.reading is not None:
            file.reading.closed()

    def listxattr(self, path: str) -> list[str]:
        """Names of the extended attributes, as far as known.

        Raises:
            NoSuchName, NotADirectory: no such path.
        """
        return list(self._xattrs(path))

    def getxattr(self, path: str, name: str) -> bytes:
        """The value of an extended attribute.

        Raises:
            NoSuchAttribute: it is not set, or not known.
            NoSuchName, NotADirectory: no such path.
        """
        # `ls -l` asks each file for security labels and access lists, which are never here.
        value = self._xattrs(path).get(name) if name.startswith(XATTR_PREFIX) else None
        if value is None:
            raise NoSuchAttribute(f"{path} has no attribute {name}")
        return value

    def statfs(self) -> Usage:
        """How much there is, as far as known; at most `_USAGE_LIFETIME` old. Asks nobody."""
        now = self._clock.monotonic()
        known = self._usage
        if known is None or now >= known[0]:
            known = self._usage = (now + _USAGE_LIFETIME, usage(self._catalog, self._current_tree().media))
        return known[1]

    def unlink(self, path: str, caller: str) -> None:
        """Delete the medium whose file this is, for good; `caller` says for the log who wants it.

        The links of by-date and by-room are made of what there is: they go with the medium, and by themselves not.

        Raises:
            ReadOnly: deleting is not allowed, or `path` is anything else.
            NotVerified: not every byte of it is proven; `ProofPending`: not yet.
            NoSuchName, NotADirectory: no such path.
            RemoteError, CredentialsRefused, MediaDamaged: it was not confirmed that it is gone; it stays.
        """
        node = self._lookup(path)
        if self._remover is None or not isinstance(node, MediumFile):
            self.refuse_change(path)
        shown = self._shown.get(node_inode(node))
        self._remover.remove(node.medium, self._deadline(), caller, None if shown is None else shown.identity)

    def refuse_change(self, path: str) -> NoReturn:
        """What every call that would change something comes to.

        Raises:
            ReadOnly: always.
        """
        raise ReadOnly(f"{path} cannot be changed: the media at Twilio never change")

    def _current_tree(self) -> Tree:
        if self._catalog.version == self._tree_version:
            return self._tree
        with self._tree_lock:
            # The version is read before the media: should they change in between, the next call builds once more.
            version = self._catalog.version
            if version != self._tree_version:
                self._tree = Tree(self._catalog.media(), tuple(self._virtual_files), self._tree)
                self._tree_version = version
            return self._tree

    def _folder(self, path: str) -> tuple[Tree, Folder]:
        tree = self._current_tree()
        folder = tree.lookup(path)
        if not isinstance(folder, Folder):
            raise NotADirectory(f"{path} is no folder")
        return tree, folder

    def _lookup(self, path: str) -> Node:
        return self._current_tree().lookup(path)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._settings.timeout)

    def _xattrs(self, path: str) -> dict[str, bytes]:
        node = self._lookup(path)
        if not isinstance(node, MediumFile):
            return {}
        return xattrs(node.medium, self._catalog.known_info(node.medium.sid))

    def _entries(self, tree: Tree, folder: Folder) -> Iterator[Entry]:
        parent = folder.path.rpartition("/")[0]
        yield Entry(".", stat.S_IFDIR, inode(folder.path or "/"), 1)
        yield Entry("..", stat.S_IFDIR, inode(parent or "/"), 2)
        for name, node in tree.children(folder):
            yield Entry(name, _file_type(node), node_inode(node), tree.cookie(node), node)

    def _open_virtual(self, file: VirtualFile) -> OpenedFile:
        content = self._virtual_files[file.name]()
        attributes = self._virtual_attributes(file, content)
        handle = self._handles.add(_OpenFile(file.path, attributes, _Content(content), None, None))
        return OpenedFile(handle, bypasses_cache=True, is_unchanged=False)

    def _open_medium(self, path: str, medium: Medium) -> OpenedFile:
        info = self._catalog.info(medium.sid, self._deadline())
        attributes = self._medium_attributes(medium, info.plain_size)
        shown = self._shown.setdefault(attributes.st_ino, _Shown(info.plain_size))
        if shown.size != info.plain_size and not shown.is_proven:
            # Once: who goes on without asking for the attributes again passes the cache by instead.
            shown.is_proven = True
            raise ObjectChanged(f"{medium.sid} has {info.plain_size} bytes, not {shown.size} as Twilio says")
        source = self._source(medium, info)
        is_unchanged = self._keeps_pages and shown.identity in (None, info.identity)
        shown.identity = info.identity
        reading = self._readings.opened(medium, path, info.plain_size) if self._readings is not None else None
        object_key = (medium.sid, info.identity)
        handle = self._handles.add(_OpenFile(path, attributes, source, object_key, reading))
        differs = shown.size != info.plain_size
        if differs:
            self._surprise = object()
        return OpenedFile(handle, bypasses_cache=differs, is_unchanged=is_unchanged, object_key=object_key)

    def _check_current(self, file: _OpenFile) -> None:
        """One inode has one set of pages: once they are another object's, this one's bytes must not get among them.

        Raises:
            ObjectChanged: the file was opened again since, and was another object.
        """
        if file.object_key is None:
            return
        sid, identity = file.object_key
        if identity != self._shown[file.attributes.st_ino].identity:
            raise ObjectChanged(f"{sid} was replaced since it was opened")

    def _show(self, attributes: Attributes, *, is_proven: bool = True) -> Attributes:
        self._note_shown(attributes.st_ino, attributes.st_size, is_proven=is_proven)
        return attributes

    def _note_shown(self, st_ino: int, size: int, *, is_proven: bool) -> None:
        shown = self._shown.get(st_ino) or self._shown.setdefault(st_ino, _Shown(size))
        differs = shown.size != size
        shown.size, shown.is_proven = size, is_proven
        if differs:
            self._surprise = object()

    def _source(self, medium: Medium, info: MediaInfo) -> OpenMedium:
        match info.state:
            case MediaState.ABSENT:
                return _Content(b"")
            case MediaState.LOCKED:
                raise NoKey(f"{medium.sid}: {info.reason or 'no private key at hand fits'}")
            case MediaState.DAMAGED:
                raise MediaDamaged(f"{medium.sid}: {info.reason or 'it contradicts itself'}")
            case MediaState.READABLE:
                return self._library.open(medium, info)

    def _folder_attributes(self, folder: Folder) -> Attributes:
        # Without the owner's right to write the kernel would refuse rm before it comes here.
        bits = self._settings.dir_mode | (0 if self._remover is None else stat.S_IWUSR)
        mode = stat.S_IFDIR | self._settings.masked(bits)
        return self._attributes(folder, mode, 0, nanoseconds(folder.changed_at), links=2 + len(folder.folder_names))

    def _link_attributes(self, link: MediumLink) -> Attributes:
        return self._attributes(link, stat.S_IFLNK | 0o777, len(link.target), nanoseconds(link.medium.changed_at))

    def _virtual_attributes(self, file: VirtualFile, content: bytes) -> Attributes:
        return self._attributes(file, self._file_mode, len(content), nanoseconds(self._clock.wall()))

    def _medium_attributes(self, medium: Medium, plain_size: int) -> Attributes:
        node = MediumFile(medium)
        return self._attributes(node, self._file_mode, plain_size, nanoseconds(medium.changed_at))

    @property
    def _file_mode(self) -> int:
        return stat.S_IFREG | self._settings.masked(self._settings.file_mode)

    def _attributes(self, node: Node, mode: int, size: int, time_ns: int, links: int = 1) -> Attributes:
        return Attributes(
            st_mode=mode,
            st_ino=node_inode(node),
            st_nlink=links,
            st_uid=self._settings.uid,
            st_gid=self._settings.gid,
            st_size=size,
            time_ns=time_ns,
        )


class _Content:
    """Bytes at hand, open for reading."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_into(self, view: memoryview, plain_offset: int, _deadline: Deadline) -> int:
        part = self._content[plain_offset : plain_offset + len(view)]
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Nothing to give back."""


def _file_type(node: Node) -> int:
    match node:
        case Folder():
            return stat.S_IFDIR
        case MediumLink():
            return stat.S_IFLNK
        case _:
            return stat.S_IFREG
