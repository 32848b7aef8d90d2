"""The attributes of each kind of node, with the owners and permission bits that the mount was given."""

import stat

from twfs.clock import Clock
from twfs.folders import KnownFolder
from twfs.fs.attributes import Attributes, nanoseconds
from twfs.fs.options import FsSettings
from twfs.fs.tree import MediumFile, MediumLink, Node, VirtualFile, node_inode


class NodeStat:
    """Makes the attributes of nodes. Asks nobody. An inode number that is at hand need not be worked out again."""

    def __init__(self, settings: FsSettings, clock: Clock, *, allows_delete: bool) -> None:
        """If the mount `allows_delete`, folders are writable to their owner."""
        self._settings = settings
        self._clock = clock
        # Without the owner's right to write the kernel would refuse rm before it comes here.
        folder_bits = settings.dir_mode | (stat.S_IWUSR if allows_delete else 0)
        self._folder_mode = stat.S_IFDIR | settings.masked(folder_bits)
        self._file_mode = stat.S_IFREG | settings.masked(settings.file_mode)

    def folder(self, folder: KnownFolder, st_ino: int | None = None) -> Attributes:
        return self._attributes(folder, self._folder_mode, 0, folder.changed_at, st_ino, links=2 + folder.folders)

    def link(self, link: MediumLink, st_ino: int | None = None) -> Attributes:
        return self._attributes(link, stat.S_IFLNK | 0o777, len(link.target), link.medium.changed_at, st_ino)

    def virtual(self, file: VirtualFile, content: bytes) -> Attributes:
        return self._attributes(file, self._file_mode, len(content), self._clock.wall())

    def medium(self, file: MediumFile, plain_size: int, st_ino: int | None = None) -> Attributes:
        return self._attributes(file, self._file_mode, plain_size, file.medium.changed_at, st_ino)

    def _attributes(  # noqa: PLR0917 - the fields of a stat
        self, node: Node, mode: int, size: int, changed_at: float, st_ino: int | None = None, links: int = 1
    ) -> Attributes:
        return Attributes(
            st_mode=mode,
            st_ino=st_ino or node_inode(node),
            st_nlink=links,
            st_uid=self._settings.uid,
            st_gid=self._settings.gid,
            st_size=size,
            time_ns=nanoseconds(changed_at),
        )


def file_type(node: Node) -> int:
    """The bits of `st_mode` that say what kind of file it is."""
    match node:
        case KnownFolder():
            return stat.S_IFDIR
        case MediumLink():
            return stat.S_IFLNK
        case _:
            return stat.S_IFREG
