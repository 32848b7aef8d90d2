"""What a listing needs of the file system: names page by page, and the attributes that can be told with them."""

import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from twfs.folders import KnownFolder
from twfs.fs.attributes import Attributes, KnownSize
from twfs.fs.names import inode
from twfs.fs.node_stat import NodeStat, file_type
from twfs.fs.ports import MediaIndex
from twfs.fs.shown import Shown
from twfs.fs.tree import PAGE, MediumFile, MediumLink, Node, Tree, node_inode


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    st_mode: int
    """The type of the file only."""
    st_ino: int
    cookie: int
    """Where a listing goes on behind this one: it grows along a folder, and stays the same across remounts."""
    node: Node | None = None
    """None of `.` and `..`."""


class Directory:
    """All folders of the mount, as listings read them. Neither waits nor asks the network."""

    def __init__(self, index: MediaIndex, tree: Tree, stats: NodeStat, shown: Shown) -> None:
        """`tree` is of the same `index`; `shown` learns which sizes are told."""
        self._index = index
        self._tree = tree
        self._stats = stats
        self._shown = shown

    def folder(self, path: str) -> KnownFolder:
        """As it is now; while its `version` stays the same, so do its entries and all of their attributes but sizes.

        Raises:
            NoSuchName, NotADirectory: there is no such folder.
        """
        return self._tree.folder(path)

    def page(self, folder: KnownFolder, after: int = 0, limit: int = PAGE) -> list[Entry]:
        """At most `limit` entries of `folder`, at least 3, with cookies above `after`, `.` and `..` first.

        Fewer than `limit` only at the end.
        """
        entries = [entry for entry in _dots(folder.path) if entry.cookie > after]
        for name, node in self._tree.children(folder, after, limit - len(entries)):
            entries.append(Entry(name, file_type(node), node_inode(node), node.cookie, node))
        return entries

    def entries(self, folder: KnownFolder) -> Iterator[Entry]:
        """All of them, asked for as they are taken."""
        page = self.page(folder)
        yield from page
        while len(page) == PAGE:
            page = self.page(folder, page[-1].cookie)
            yield from page

    def known_sizes(self, sids: Sequence[str]) -> list[KnownSize | None]:
        """The size known of each medium."""
        return self._index.known_sizes(sids)

    def tell(self, cookie: int, size: KnownSize) -> None:
        """The medium of this cookie was told to have this size."""
        self._shown.tell(cookie, size[0], is_proven=size[1])

    @property
    def proofs(self) -> object:
        """As long as this is equal to what it was, proven sizes that were asked for are still the right ones."""
        return self._index.size_version, self._shown.surprise

    def attributes_of(self, entry: Entry) -> Attributes | None:
        """What `getattr` tells of it, but for a medium's size, which is 0 here; None of what has to be asked for."""
        match entry.node:
            case MediumFile() as file:
                return self._stats.medium(file, 0, entry.st_ino)
            case MediumLink() as link:
                return self._stats.link(link, entry.st_ino)
            case KnownFolder() as folder:
                return self._stats.folder(folder, entry.st_ino)
            case _:
                # twfs' own files are written anew to know their size.
                return None


def _dots(path: str) -> tuple[Entry, Entry]:
    parent = path.rpartition("/")[0]
    return (
        Entry(".", stat.S_IFDIR, inode(path or "/"), 1),
        Entry("..", stat.S_IFDIR, inode(parent or "/"), 2),
    )
