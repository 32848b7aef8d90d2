"""The tree of names: every question is put to the catalogue, and nothing but its latest answers is kept.

A file or a link is found by the SID in its name, a folder by its path. What a folder holds comes page by page, in the
order of the cookies that the catalogue gave to folders and media.
"""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cachetools import LRUCache, cached

from twfs.errors import NoSuchName, NotADirectory
from twfs.folders import FIRST_COOKIE, KIND_FOLDERS, ROOT, KnownFolder, PlacedMedium, homes
from twfs.fs.names import SID_LENGTH, inode, sid_in, view_name
from twfs.fs.ports import MediaIndex
from twfs.resources import Kind, Medium

HIDDEN = "/.twfs"
"""Not listed in the root, so that no copy and no search takes it along; can be looked up, listed and read."""

PAGE = 1024
"""Names that are asked for at once: a query costs the catalogue as much as some dozens of them."""

_KEPT_ANSWERS = 2**14
"""Media, and folders, whose last answer is kept: about 1 KiB each. A file that is opened is looked up several times."""

_SID_PREFIXES = tuple(kind.sid_prefix for kind in Kind)


class MediumFile(NamedTuple):
    """The regular file of a medium."""

    cookie: int
    medium: Medium


class MediumLink(NamedTuple):
    """A symbolic link to the file of a medium."""

    cookie: int
    medium: Medium
    path: str

    @property
    def target(self) -> str:
        """Relative, so that it holds wherever the mount is."""
        depth = self.path.count("/") - 1
        return f"{'../' * depth}{self.medium.kind}/{self.medium.file_name}"


class VirtualFile(NamedTuple):
    """A file that twfs itself writes, as it is read."""

    cookie: int
    path: str
    name: str


Node = KnownFolder | MediumFile | MediumLink | VirtualFile


class Tree:
    """All names of the mount. Safe for use by several threads; neither waits nor asks the network."""

    def __init__(self, index: MediaIndex, virtual_names: tuple[str, ...]) -> None:
        """`virtual_names` are the files of `.twfs`."""
        self._index = index
        self._virtual_files = {
            name: VirtualFile(cookie, f"{HIDDEN}/{name}", name)
            for cookie, name in enumerate(virtual_names, FIRST_COOKIE)
        }
        self._answers = _Answers(index)

    def lookup(self, path: str) -> Node:
        """The node at `path` (absolute, as the kernel gives it).

        Raises:
            NoSuchName: there is none.
            NotADirectory: the way leads through a file.
        """
        path = path.rstrip("/")
        parent, _, name = path.rpartition("/")
        node = self._leaf(parent, name) or self._folder(path)
        if node is not None:
            return node
        if not isinstance(self.lookup(parent), KnownFolder):
            raise NotADirectory(f"{parent} is no folder")
        raise NoSuchName(f"there is no {path}")

    def folder(self, path: str) -> KnownFolder:
        """The folder at `path`.

        Raises:
            NoSuchName, NotADirectory: there is no such folder.
        """
        node = self.lookup(path)
        if not isinstance(node, KnownFolder):
            raise NotADirectory(f"{path} is no folder")
        return node

    def children(self, folder: KnownFolder, after: int = 0, limit: int = PAGE) -> Sequence[tuple[str, Node]]:
        """At most `limit` names listed in `folder` whose cookies are above `after`, in that order, and their nodes.

        Fewer than `limit` only at the end. A name that stays in the folder comes once, whatever else comes and goes
        between two pages.
        """
        if folder.path == HIDDEN:
            return [(name, file) for name, file in self._virtual_files.items() if file.cookie > after][:limit]
        children: list[tuple[str, Node]] = []
        if folder.folders:
            found = self._index.subfolders(folder.path, after, limit)
            children += [(each.path.rpartition("/")[2], each) for each in found]
        if folder.media:
            node_of = _node_maker(folder.path)
            children += map(node_of, self._index.page(folder.path, after, limit))
        if folder.folders and folder.media:
            children.sort(key=lambda child: child[1].cookie)
        return children[:limit]

    def _folder(self, path: str) -> KnownFolder | None:
        if path == HIDDEN:
            root = self._latest().folder(ROOT)
            changed_at = 0 if root is None else root.changed_at
            return KnownFolder(HIDDEN, 0, changed_at, 0, len(self._virtual_files), 0)
        return self._latest().folder(path)

    def _leaf(self, parent: str, name: str) -> Node | None:
        if parent == HIDDEN:
            return self._virtual_files.get(name)
        sid = sid_in(name)
        # Of most names that are no medium's, the catalogue need not be asked: those of folders, "Thumbs.db".
        placed = self._latest().find(sid) if len(sid) == SID_LENGTH and sid.startswith(_SID_PREFIXES) else None
        if placed is None or parent not in homes(placed.medium):
            return None
        right_name, node = _node_maker(parent)(placed)
        return node if name == right_name else None

    def _latest(self) -> "_Answers":
        answers = self._answers
        if answers.version != self._index.version:
            answers = self._answers = _Answers(self._index)
        return answers


class _Answers:
    """What the catalogue answered at one version."""

    def __init__(self, index: MediaIndex) -> None:
        # The version is read before any answer: should it grow in between, the next lookup asks anew.
        self.version = index.version
        self.find = cached(LRUCache[str, PlacedMedium | None](_KEPT_ANSWERS), lock=threading.Lock())(index.find)
        self.folder = cached(LRUCache[str, KnownFolder | None](_KEPT_ANSWERS), lock=threading.Lock())(index.folder)


def node_inode(node: Node) -> int:
    """The inode number: a file's from its SID, all others' from their path."""
    if isinstance(node, MediumFile):
        return inode(node.medium.sid)
    return inode(node.path or "/")


def _node_maker(folder_path: str) -> Callable[[PlacedMedium], tuple[str, Node]]:
    """What makes name and node of a medium in that folder."""
    if folder_path in KIND_FOLDERS:
        return lambda placed: (placed.medium.file_name, MediumFile(*placed))

    def link(placed: PlacedMedium) -> tuple[str, Node]:
        name = view_name(placed.medium)
        return name, MediumLink(*placed, f"{folder_path}/{name}")

    return link
