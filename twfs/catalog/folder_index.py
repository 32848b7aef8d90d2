"""Folders, pages and cookies of media that are all in memory; built anew when these have changed."""

import itertools
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twfs.folders import FIRST_COOKIE, FIXED_FOLDERS, ROOT, KnownFolder, PlacedMedium, homes
from twfs.resources import Medium


@dataclass(slots=True)
class _Folder:
    cookie: int
    media: list[PlacedMedium] = field(default_factory=list)
    folder_paths: list[str] = field(default_factory=list)
    changed_at: int = 0
    version: int = 0


class FolderIndex:
    """The part of `twfs.fs.ports.MediaIndex` that names need. Safe for use by several threads."""

    def __init__(self, version: Callable[[], int], media: Callable[[], Mapping[str, Medium]]) -> None:
        """`media` by SID, other ones whenever `version` is another."""
        self._version = version
        self._media = media
        self._lock = threading.Lock()
        self._state = _State({}, -1, None)

    def find(self, sid: str) -> PlacedMedium | None:
        state = self._now()
        medium = state.media.get(sid)
        return None if medium is None else PlacedMedium(state.cookies[sid], medium)

    def folder(self, path: str) -> KnownFolder | None:
        return self._now().known_folder(path)

    def subfolders(self, path: str, after: int, limit: int) -> Sequence[KnownFolder]:
        return list(itertools.islice(self._now().subfolders(path, after), limit))

    def page(self, path: str, after: int, limit: int) -> Sequence[PlacedMedium]:
        folder = self._now().folders.get(path)
        media = [] if folder is None else folder.media
        begin = bisect_right(media, after, key=lambda placed: placed.cookie)
        return media[begin : begin + limit]

    def _now(self) -> "_State":
        version = self._version()
        if version != self._state.version:
            with self._lock:
                # The version is read before the media: should they change in between, the next call builds once more.
                version = self._version()
                if version != self._state.version:
                    self._state = _State(self._media(), version, self._state)
        return self._state


class _State:
    """All folders at one version. What was in the `former` state keeps its cookie; what is new comes behind it."""

    def __init__(self, media: Mapping[str, Medium], version: int, former: "_State | None") -> None:
        self.media = media
        self.version = version
        self._former = former
        known: Mapping[str, int] = {} if former is None else former.cookies
        self.last_cookie: int = FIRST_COOKIE - 1 if former is None else former.last_cookie
        self.cookies: dict[str, int] = {sid: cookie for sid, cookie in known.items() if sid in media}
        """By SID of a medium, in order, and by path of a folder."""
        for sid in media:
            self._number(sid, known)
        in_order = [PlacedMedium(cookie, media[sid]) for sid, cookie in self.cookies.items()]
        self.folders: dict[str, _Folder] = {ROOT: _Folder(0)}
        for path in FIXED_FOLDERS:
            self._folder(path, known)
        for placed in in_order:
            for home in homes(placed.medium):
                folder = self._folder(home, known)
                folder.media.append(placed)
                folder.changed_at = max(folder.changed_at, placed.medium.changed_at)
        self._join()
        self._former = None

    def known_folder(self, path: str) -> KnownFolder | None:
        folder = self.folders.get(path)
        if folder is None:
            return None
        counts = (len(folder.folder_paths), len(folder.media))
        return KnownFolder(path, folder.cookie, folder.changed_at, *counts, folder.version)

    def subfolders(self, path: str, after: int) -> Iterator[KnownFolder]:
        folder = self.folders.get(path)
        paths = [] if folder is None else folder.folder_paths
        begin = bisect_right(paths, after, key=self.cookies.__getitem__)
        return filter(None, map(self.known_folder, paths[begin:]))

    def _number(self, key: str, known: Mapping[str, int]) -> int:
        cookie = known.get(key)
        if cookie is None:
            self.last_cookie += 1
            cookie = self.last_cookie
        self.cookies[key] = cookie
        return cookie

    def _folder(self, path: str, known: Mapping[str, int]) -> _Folder:
        folder = self.folders.get(path)
        if folder is None:
            self._folder(path.rpartition("/")[0], known)
            folder = self.folders[path] = _Folder(self._number(path, known))
        return folder

    def _join(self) -> None:
        """Folders into those they are in, which may have been made in another order in the former state."""
        for path in sorted(self.folders.keys() - {ROOT}, key=self.cookies.__getitem__):
            self.folders[path.rpartition("/")[0]].folder_paths.append(path)
        # A folder is made after the one it is in: backwards, each is finished before its parent is asked.
        for path, folder in reversed(self.folders.items()):
            folder.version = self._version_of(path, folder)
            if path != ROOT:
                parent = self.folders[path.rpartition("/")[0]]
                parent.changed_at = max(parent.changed_at, folder.changed_at)

    def _version_of(self, path: str, folder: _Folder) -> int:
        """The former one if nothing in it or below it has changed since."""
        former = None if self._former is None else self._former.folders.get(path)
        is_same = (
            former is not None
            and former.media == folder.media
            and former.folder_paths == folder.folder_paths
            and all(self.folders[each].version != self.version for each in folder.folder_paths)
        )
        return former.version if former is not None and is_same else self.version
