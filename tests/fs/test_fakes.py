"""The fake catalogue keeps what `MediaIndex` promises, for what is tested on it is run on the real one."""

from tests.fs.fakes import FakeCatalog, composition, readable, recording, sid_of
from twfs.folders import FIXED_FOLDERS, KnownFolder
from twfs.fs.ports import MediaIndex

MEDIA = [recording(1), recording(2), recording(3, created_at=86_400, room_sid=None), composition(4)]


def names(folders: list[KnownFolder]) -> list[str]:
    return [folder.path for folder in folders]


def test_folders_are_those_of_the_media_and_the_fixed_ones() -> None:
    index: MediaIndex = FakeCatalog({medium: readable(10) for medium in MEDIA})
    assert names(list(index.subfolders("", 0, 9))) == list(FIXED_FOLDERS)
    assert names(list(index.subfolders("/by-date", 0, 9))) == ["/by-date/2017", "/by-date/1970"]
    assert index.folder("/by-date/2018") is None
    day = index.folder("/by-date/2017/11/23")
    assert day is not None
    assert (day.media, day.folders, day.changed_at) == (3, 0, MEDIA[3].created_at)
    root = index.folder("")
    assert root is not None
    assert (root.folders, root.media) == (4, 0)


def test_pages_go_on_behind_a_cookie_and_cookies_stay() -> None:
    index = FakeCatalog({medium: readable(10) for medium in MEDIA})
    (first,) = index.page("/recordings", 0, 1)
    rest = index.page("/recordings", first.cookie, 9)
    assert [placed.medium for placed in (first, *rest)] == MEDIA[:3]
    index.replace({medium: readable(10) for medium in (recording(9), *MEDIA[1:])})
    after = index.page("/recordings", first.cookie, 9)
    assert [placed.medium.sid for placed in after] == [sid_of(2), sid_of(3), sid_of(9)]
    assert index.find(sid_of(2)) == after[0]


def test_a_change_grows_the_versions_of_its_folders_alone() -> None:
    index = FakeCatalog({medium: readable(10) for medium in MEDIA})
    before = {path: index.folder(path) for path in ("", "/recordings", "/compositions", "/by-date/1970")}
    index.replace({medium: readable(10) for medium in (*MEDIA, recording(5))})
    changed = {path for path, folder in before.items() if index.folder(path) != folder}
    assert changed == {"", "/recordings"}
    assert (index.totals().media, index.totals().known_bytes) == (5, 50)
