"""The file system, whatever protocol serves it: paths and handles in, attributes and bytes out.

Used by `twfs.fuse.operations`, and by nothing of the kernel's: tests run it without a mount. Every method may be
called from several threads at once; no lock is held while a catalogue or a reader waits for the network. Failures are
classes of `twfs.errors`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from twfs.clock import Clock, Deadline
from twfs.errors import IsADirectory, NoSuchAttribute, NoSuchName, ReadOnly
from twfs.folders import KnownFolder
from twfs.fs.attributes import XATTR_PREFIX, Attributes, Usage, usage, xattrs
from twfs.fs.directory import Directory, Entry
from twfs.fs.node_stat import NodeStat
from twfs.fs.open_table import OpenedFile, OpenTable
from twfs.fs.options import FsSettings
from twfs.fs.ports import Catalog, MediaLibrary, Readings, Remover
from twfs.fs.shown import Shown
from twfs.fs.tree import MediumFile, MediumLink, Tree, VirtualFile


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
        self._settings = settings
        self._clock = clock
        self._virtual_files = dict(virtual_files)
        self._remover = remover
        self._shown = Shown()
        self._stats = NodeStat(settings, clock, allows_delete=remover is not None)
        self._tree = Tree(catalog, tuple(virtual_files))
        self._open = OpenTable(
            catalog, library, clock, settings.timeout, self._stats, self._shown, readings, keeps_pages=keeps_pages
        )
        self.directory = Directory(catalog, self._tree, self._stats, self._shown)
        """The folders, for whoever tells attributes together with names."""

    @property
    def open_files(self) -> int:
        """How many files are open."""
        return len(self._open)

    def getattr(self, path: str, handle: int | None = None) -> Attributes:
        """The attributes of `path`; with a handle those that were fixed when it was opened, asking nobody.

        A handle's attributes never fail: the kernel asks for them at the end of a long read, too.

        Raises:
            NoSuchName, NotADirectory: no such path.
            BadHandle: no such handle.
            RemoteError, CredentialsRefused: the size of a medium could not be found out.
        """
        if handle is not None:
            return self._open.attributes(handle)
        match self._tree.lookup(path):
            case KnownFolder() as folder:
                return self._stats.folder(folder)
            case MediumLink() as link:
                return self._stats.link(link)
            case VirtualFile() as file:
                return self._stats.virtual(file, self._virtual_files[file.name]())
            case MediumFile(cookie, medium) as file:
                size, is_proven = self._catalog.size(medium.sid, self._deadline())
                self._shown.tell(cookie, size, is_proven=is_proven)
                return self._stats.medium(file, size)

    def readdir(self, path: str) -> Iterator[Entry]:
        """What is in a folder, `.` and `..` first. Neither waits nor asks anybody.

        Raises:
            NoSuchName, NotADirectory: no such folder.
        """
        return self.directory.entries(self.directory.folder(path))

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads.

        Raises:
            NoSuchName: there is no such link.
        """
        node = self._tree.lookup(path)
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
        match self._tree.lookup(path):
            case KnownFolder():
                raise IsADirectory(f"{path} is a folder")
            case VirtualFile() as file:
                return self._open.open_virtual(file, self._virtual_files[file.name]())
            case MediumFile(cookie, medium) | MediumLink(cookie, medium):
                return self._open.open_medium(path, MediumFile(cookie, medium))

    def read(self, handle: int, view: memoryview, plain_offset: int) -> int:
        """Fill `view` with the file's bytes from `plain_offset` on.

        Returns:
            Bytes written: fewer than `len(view)` only at the end of the file.

        Raises:
            BadHandle: no such handle.
            RemoteError, CredentialsRefused, MediaDamaged: the bytes could not be had.
            ObjectChanged: nor will they be: there is another object, which may have been opened since.
        """
        return self._open.read(handle, view, plain_offset)

    def release(self, handle: int) -> None:
        """The file is not read any more.

        Raises:
            BadHandle: no such handle.
        """
        self._open.release(handle)

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
        """How much there is, as far as known. Asks nobody."""
        return usage(self._catalog.totals())

    def unlink(self, path: str, caller: str) -> None:
        """Delete the medium whose file this is, for good; `caller` says for the log who wants it.

        The links of by-date and by-room are made of what there is: they go with the medium, and by themselves not.

        Raises:
            ReadOnly: deleting is not allowed, or `path` is anything else.
            NotVerified: not every byte of it is proven; `ProofPending`: not yet.
            NoSuchName, NotADirectory: no such path.
            RemoteError, CredentialsRefused, MediaDamaged: it was not confirmed that it is gone; it stays.
        """
        node = self._tree.lookup(path)
        if self._remover is None or not isinstance(node, MediumFile):
            self.refuse_change(path)
        self._remover.remove(node.medium, self._deadline(), caller, self._shown.was_read(node.cookie))

    def refuse_change(self, path: str) -> NoReturn:
        """What every call that would change something comes to.

        Raises:
            ReadOnly: always.
        """
        raise ReadOnly(f"{path} cannot be changed: the media at Twilio never change")

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._settings.timeout)

    def _xattrs(self, path: str) -> dict[str, bytes]:
        node = self._tree.lookup(path)
        if not isinstance(node, MediumFile):
            return {}
        return xattrs(node.medium, self._catalog.known_info(node.medium.sid))
