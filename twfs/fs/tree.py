"""The tree of names, built from one snapshot of the catalogue and never changed afterwards.

Only folders are kept; a file or a link is found by the SID in its name, so 100,000 media cost a few lists and no
node each. Building is one pass over the media; each says itself which folders it is in (`homes`).

Each folder and each medium has a number, its cookie, which it keeps from one tree to the next. A folder is listed in
the order of these numbers, so that who has come to one of them can go on behind it whatever has come or gone meanwhile:
an NFS server, say, which opens the folder anew for each part of a listing.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twfs.errors import NoSuchName, NotADirectory
from twfs.folders import FIRST_COOKIE, FIXED_FOLDERS, KIND_FOLDERS, ROOT, homes
from twfs.fs.names import inode, sid_in, view_name
from twfs.resources import Medium

HIDDEN = "/.twfs"
"""Not listed in the root, so that no copy and no search takes it along; can be looked up, listed and read."""

REMEMBERED_NAMES = 2**17
"""Names of which anything is remembered besides the tree: some 650 bytes each in a mount, 80 MiB in all."""


@dataclass(slots=True)
class Folder:
    """A directory. Paths have no slash at the end: the root's is empty."""

    path: str
    folder_names: list[str] = field(default_factory=list)
    """Directories in it that are listed."""
    media: list[Medium] = field(default_factory=list)
    """Media that are in it, as regular files or as links."""
    changed_at: int = 0
    """`changed_at` of the newest medium in it or below: folders too look the same in every mount."""


@dataclass(frozen=True, slots=True)
class MediumFile:
    """The regular file of a medium."""

    medium: Medium


@dataclass(frozen=True, slots=True)
class MediumLink:
    """A symbolic link to the file of a medium."""

    path: str
    medium: Medium

    @property
    def target(self) -> str:
        """Relative, so that it holds wherever the mount is."""
        depth = self.path.count("/") - 1
        return f"{'../' * depth}{self.medium.kind}/{self.medium.file_name}"


@dataclass(frozen=True, slots=True)
class VirtualFile:
    """A file that twfs itself writes, as it is read."""

    path: str
    name: str


Node = Folder | MediumFile | MediumLink | VirtualFile

Made = TypeVar("Made", bound=Sized)
"""What somebody made of a folder's names; as long as there are names."""


class Tree:
    """All names of the mount at one moment."""

    def __init__(
        self, media: Mapping[str, Medium], virtual_names: tuple[str, ...], former: "Tree | None" = None
    ) -> None:
        """`media` by SID, never changed any more; `virtual_names` are the files of `.twfs`.

        What was in the `former` tree keeps its cookie; what is new comes behind it.
        """
        self.media = media
        self._virtual_names = virtual_names
        known: Mapping[str, int] = {} if former is None else former.cookies
        self.last_cookie: int = FIRST_COOKIE - 1 if former is None else former.last_cookie
        """The largest that was ever given: none is given twice."""
        self.cookies: dict[str, int] = {sid: cookie for sid, cookie in known.items() if sid in media}
        """By SID of a medium and path of a folder; those of the media from the smallest to the largest."""
        self._number_new([sid for sid in media if sid not in known])
        in_order = [media[sid] for sid in self.cookies]
        self._folders = {ROOT: Folder(ROOT)}
        for path in FIXED_FOLDERS:
            self._folder(path, known)
        for medium in in_order:
            self._place(medium, known)
        self._name_folders()
        self._stamp_folders()
        newest = self._folders[ROOT].changed_at
        self._folders[HIDDEN] = Folder(HIDDEN, changed_at=newest)
        self._lock = threading.Lock()
        self._remembered: dict[str, Any] = {}
        self._names_remembered = 0

    def lookup(self, path: str) -> Node:
        """What stands at `path` (absolute, as the kernel gives it).

        Raises:
            NoSuchName: nothing.
            NotADirectory: the way leads through a file.
        """
        path = path.rstrip("/")
        folder = self._folders.get(path)
        if folder is not None:
            return folder
        parent, _, name = path.rpartition("/")
        if parent not in self._folders:
            self.lookup(parent)
            raise NotADirectory(f"{parent} is no folder")
        leaf = self._leaf(parent, name)
        if leaf is None:
            raise NoSuchName(f"there is no {path}")
        return leaf

    def children(self, folder: Folder) -> Iterator[tuple[str, Node]]:
        """Names listed in `folder`, and what they are."""
        for name in folder.folder_names:
            yield name, self._folders[f"{folder.path}/{name}"]
        for medium in folder.media:
            name = _name_in(folder.path, medium)
            yield name, _medium_node(folder.path, name, medium)
        if folder.path == HIDDEN:
            for name in self._virtual_names:
                yield name, VirtualFile(f"{HIDDEN}/{name}", name)

    def cookie(self, node: Node) -> int:
        """Larger than those of the nodes that are listed before it in its folder."""
        match node:
            case Folder():
                return self.cookies[node.path]
            case VirtualFile():
                return FIRST_COOKIE + self._virtual_names.index(node.name)
            case _:
                return self.cookies[node.medium.sid]

    def remembered(self, folder: Folder, make: Callable[[], Made]) -> Made:
        """What `make` makes of a folder's names, who does so once: they never change. Always by the same function."""
        with self._lock:
            found: Made | None = self._remembered.get(folder.path)
            if found is None:
                found = make()
                self._remember(folder.path, found)
            return found

    def _remember(self, path: str, made: Sized) -> None:
        if self._names_remembered + len(made) > REMEMBERED_NAMES:
            self._remembered.clear()
            self._names_remembered = 0
        if len(made) <= REMEMBERED_NAMES:
            self._remembered[path] = made
            self._names_remembered += len(made)

    def _leaf(self, parent: str, name: str) -> Node | None:
        if parent == HIDDEN and name in self._virtual_names:
            return VirtualFile(f"{HIDDEN}/{name}", name)
        medium = self.media.get(sid_in(name))
        if medium is None or parent not in homes(medium) or name != _name_in(parent, medium):
            return None
        return _medium_node(parent, name, medium)

    def _number_new(self, keys: Sequence[str]) -> None:
        self.cookies.update(zip(keys, itertools.count(self.last_cookie + 1), strict=False))
        self.last_cookie += len(keys)

    def _folder(self, path: str, known: Mapping[str, int]) -> Folder:
        folder = self._folders.get(path)
        if folder is None:
            self._folder(path.rpartition("/")[0], known)
            if path in known:
                self.cookies[path] = known[path]
            else:
                self._number_new([path])
            folder = self._folders[path] = Folder(path)
        return folder

    def _place(self, medium: Medium, known: Mapping[str, int]) -> None:
        changed_at = medium.changed_at
        for home in homes(medium):
            folder = self._folders.get(home) or self._folder(home, known)
            folder.media.append(medium)
            folder.changed_at = max(folder.changed_at, changed_at)

    def _name_folders(self) -> None:
        # Other media than in the former tree may have made them, in another order.
        for path in sorted(self._folders.keys() - {ROOT}, key=self.cookies.__getitem__):
            parent, _, name = path.rpartition("/")
            self._folders[parent].folder_names.append(name)

    def _stamp_folders(self) -> None:
        # A folder is made after the one it is in: backwards, each is finished before its parent is asked.
        for folder in reversed(self._folders.values()):
            if folder.path != ROOT:
                parent = self._folders[folder.path.rpartition("/")[0]]
                parent.changed_at = max(parent.changed_at, folder.changed_at)


def node_inode(node: Node) -> int:
    """The inode number: a file's from its SID, all others' from their path."""
    if isinstance(node, MediumFile):
        return inode(node.medium.sid)
    return inode(node.path or "/")


def _name_in(folder_path: str, medium: Medium) -> str:
    return medium.file_name if folder_path in KIND_FOLDERS else view_name(medium)


def _medium_node(folder_path: str, name: str, medium: Medium) -> Node:
    return MediumFile(medium) if folder_path in KIND_FOLDERS else MediumLink(f"{folder_path}/{name}", medium)
