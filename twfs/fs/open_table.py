"""Open files: what each reads, for whom, and whether it still may."""

from dataclasses import dataclass

from twfs.clock import Clock, Deadline
from twfs.errors import MediaDamaged, NoKey, ObjectChanged
from twfs.fs.attributes import Attributes
from twfs.fs.handles import HandleTable
from twfs.fs.node_stat import NodeStat
from twfs.fs.patience import Patience
from twfs.fs.ports import Catalog, MediaLibrary, OpenMedium, Reading, Readings
from twfs.fs.shown import Shown, object_digest
from twfs.fs.tree import MediumFile, VirtualFile
from twfs.probe import MediaInfo, MediaState
from twfs.ranges import ByteRange
from twfs.resources import Medium


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
    of: MediumFile | None = None
    """None of what twfs writes itself."""
    digest: int = 0
    """`object_digest` of the object that is read."""
    reading: Reading | None = None
    """None where nobody keeps account."""


class OpenTable:
    """All open files of a mount by their handles. Safe for use by several threads."""

    def __init__(  # noqa: PLR0917 - what an open file is made of
        self,
        catalog: Catalog,
        library: MediaLibrary,
        clock: Clock,
        timeout: float,
        stats: NodeStat,
        shown: Shown,
        readings: Readings | None,
        *,
        keeps_pages: bool,
    ) -> None:
        """`timeout` in seconds; the others as `Vfs` has them."""
        self._catalog = catalog
        self._library = library
        self._clock = clock
        self._timeout = timeout
        self._stats = stats
        self._shown = shown
        self._readings = readings
        self._keeps_pages = keeps_pages
        self._patience = Patience(clock, timeout)
        self._handles: HandleTable[_OpenFile] = HandleTable()

    def __len__(self) -> int:
        """How many files are open."""
        return len(self._handles)

    def attributes(self, handle: int) -> Attributes:
        """Those that were fixed when it was opened.

        Raises:
            BadHandle: no such handle.
        """
        file = self._handles.get(handle)
        if file.of is not None:
            self._shown.tell(file.of.cookie, file.attributes.st_size)
        return file.attributes

    def open_virtual(self, file: VirtualFile, content: bytes) -> OpenedFile:
        """A handle to read `content` by."""
        attributes = self._stats.virtual(file, content)
        handle = self._handles.add(_OpenFile(file.path, attributes, _Content(content)))
        return OpenedFile(handle, bypasses_cache=True, is_unchanged=False)

    def open_medium(self, path: str, file: MediumFile) -> OpenedFile:
        """A handle to read a medium by that was opened as `path`.

        Raises:
            As `Vfs.open`.
        """
        cookie, medium = file
        info = self._catalog.info(medium.sid, Deadline(self._clock, self._timeout))
        told = self._shown.contradicted(cookie, info.plain_size)
        if told is not None:
            raise ObjectChanged(f"{medium.sid} has {info.plain_size} bytes, not {told} as Twilio says")
        source = self._source(medium, info)
        differs, is_same = self._shown.open(cookie, info.plain_size, info.identity)
        reading = self._readings.opened(medium, path, info.plain_size) if self._readings is not None else None
        attributes = self._stats.medium(file, info.plain_size)
        handle = self._handles.add(_OpenFile(path, attributes, source, file, object_digest(info.identity), reading))
        return OpenedFile(
            handle,
            bypasses_cache=differs,
            is_unchanged=self._keeps_pages and is_same,
            object_key=(medium.sid, info.identity),
        )

    def read(self, handle: int, view: memoryview, plain_offset: int) -> int:
        """As `Vfs.read`."""
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
        """As `Vfs.release`."""
        file = self._handles.remove(handle)
        file.source.close()
        if file.reading is not None:
            file.reading.closed()

    def _check_current(self, file: _OpenFile) -> None:
        """One inode has one set of pages: once they are another object's, this one's bytes must not get among them.

        Raises:
            ObjectChanged: the file was opened again since, and was another object.
        """
        if file.of is not None and not self._shown.is_last_opened(file.of.cookie, file.digest):
            raise ObjectChanged(f"{file.of.medium.sid} was replaced since it was opened")

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
