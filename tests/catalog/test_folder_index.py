"""Folders of media in memory, against the fake that says what they are to be."""

import hypothesis.strategies as st
from hypothesis import given

from tests.fs.fakes import NOVEMBER_23, FakeCatalog, composition, readable, recording, sid_of
from tests.fs.unhurried import unhurried
from twfs.catalog.folder_index import FolderIndex
from twfs.folders import homes
from twfs.resources import Medium

media_sets = st.sets(
    st.builds(
        lambda number, day, room: recording(number, created_at=NOVEMBER_23 + 86_400 * day, room_sid=room),
        st.integers(0, 9),
        st.integers(0, 3),
        st.none() | st.sampled_from([sid_of(number, "RM") for number in range(3)]),
    )
    | st.builds(composition, st.integers(0, 5)),
    max_size=8,
).map(lambda media: {medium.sid: medium for medium in media})


@unhurried
@given(st.lists(media_sets, min_size=1, max_size=4))
def test_it_tells_what_the_fake_tells(story: list[dict[str, Medium]]) -> None:
    fake = FakeCatalog()
    index = FolderIndex(lambda: fake.version, fake.media)
    versions: dict[str, tuple[int, object]] = {}
    for media in story:
        fake.replace({medium: readable(1) for medium in media.values()})
        for path in sorted({"", "/by-date", "/by-room", *(home for each in media.values() for home in homes(each))}):
            ours, theirs = index.folder(path), fake.folder(path)
            assert ours is not None
            assert theirs is not None
            assert ours._replace(cookie=0, version=0) == theirs._replace(cookie=0, version=0)
            held = index.page(path, 0, 100)
            assert {placed.medium for placed in held} == {placed.medium for placed in fake.page(path, 0, 100)}
            assert all(index.find(placed.medium.sid) == placed for placed in held)
            cookies = [placed.cookie for placed in held]
            assert cookies == sorted(set(cookies))
            assert index.page(path, cookies[0], 2) == held[1:3] if cookies else True
            folders = index.subfolders(path, 0, 100)
            assert {folder.path for folder in folders} == {folder.path for folder in fake.subfolders(path, 0, 100)}
            assert [folder.cookie for folder in folders] == sorted(folder.cookie for folder in folders)
            content = (held, folders)
            assert versions.get(path, (0, None))[0] != ours.version or versions[path][1] == content
            versions[path] = (ours.version, content)
