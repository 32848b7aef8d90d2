"""The tree against a model: the plain dictionary of all paths that the contract asks for."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fs.fakes import NOVEMBER_23, composition, recording, sid_of
from tests.fs.unhurried import unhurried
from twfs.errors import NoSuchName, NotADirectory
from twfs.folders import FIRST_COOKIE, date_path
from twfs.fs.names import inode, view_name
from twfs.fs.tree import REMEMBERED_NAMES, Folder, MediumFile, MediumLink, Tree, VirtualFile, node_inode
from twfs.resources import Medium

moments = st.none() | st.integers(NOVEMBER_23 - 10**6, NOVEMBER_23 + 10**8) | st.sampled_from([0, -5, 2**62, -(2**62)])
rooms = st.none() | st.integers(0, 3).map(lambda number: sid_of(number, "RM"))
track_names = st.none() | st.text(max_size=8) | st.sampled_from(["..", "/", "RT_", "a_b"])


@st.composite
def media_sets(draw: st.DrawFn) -> dict[str, Medium]:
    media = {}
    for number in draw(st.sets(st.integers(0, 30), max_size=12)):
        if draw(st.booleans()):
            medium = recording(number, created_at=draw(moments), room_sid=draw(rooms), track_name=draw(track_names))
        else:
            medium = composition(number, created_at=draw(moments), completed_at=draw(moments), room_sid=draw(rooms))
        media[medium.sid] = medium
    return media


@dataclass
class Model:
    """All paths: folders with the media below them, files with their medium, links with their target."""

    folders: dict[str, set[Medium]]
    files: dict[str, Medium]
    links: dict[str, str]


def model_of(media: Mapping[str, Medium]) -> Model:
    model = Model({path: set() for path in ("/", "/recordings", "/compositions", "/by-date", "/by-room")}, {}, {})

    def put(path: PurePosixPath, medium: Medium) -> None:
        for folder in path.parents:
            model.folders.setdefault(str(folder), set()).add(medium)

    for medium in media.values():
        file = PurePosixPath("/", medium.kind, medium.file_name)
        put(file, medium)
        model.files[str(file)] = medium
        views = [PurePosixPath("/by-date", date_path(medium.created_at), view_name(medium))]
        if medium.room_sid:
            views.append(PurePosixPath("/by-room", medium.room_sid, view_name(medium)))
        for link in views:
            put(link, medium)
            model.links[str(link)] = str(file)
    return model


@unhurried
@given(media_sets())
def test_the_tree_is_the_model(media: dict[str, Medium]) -> None:
    tree, model = Tree(media, ("status",)), model_of(media)
    found: set[str] = set()

    def walk(path: str) -> None:
        folder = tree.lookup(path)
        assert isinstance(folder, Folder)
        assert folder.changed_at == max([0, *(medium.changed_at for medium in model.folders[path])])
        for name, node in tree.children(folder):
            child = f"{path.rstrip('/')}/{name}"
            assert child not in found
            found.add(child)
            assert tree.lookup(child) == node
            if isinstance(node, Folder):
                walk(child)
            elif isinstance(node, MediumLink):
                target = PurePosixPath(path, node.target)
                assert _resolved(target) == model.links[child]
            else:
                assert isinstance(node, MediumFile)
                assert node.medium == model.files[child]

    walk("/")
    assert found | {"/"} == {*model.folders, *model.files, *model.links}


def _resolved(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            assert parts.pop() != "/"
        else:
            parts.append(part)
    return str(PurePosixPath(*parts))


@unhurried
@given(media_sets(), media_sets())
def test_a_medium_is_found_only_where_it_is(media: dict[str, Medium], others: dict[str, Medium]) -> None:
    tree, here, there = Tree(media, ()), model_of(media), model_of(others)
    for path in {*there.folders, *there.files, *there.links} - {*here.folders, *here.files, *here.links}:
        with pytest.raises(NoSuchName):
            tree.lookup(path)


@unhurried
@given(media_sets())
def test_inodes_differ_within_a_mount(media: dict[str, Medium]) -> None:
    tree, model = Tree(media, ("status",)), model_of(media)
    paths = [*model.folders, *model.files, *model.links, "/.twfs", "/.twfs/status"]
    inodes = [node_inode(tree.lookup(path)) for path in paths]
    assert len(set(inodes)) == len(inodes)
    assert all(inode(medium.sid) in inodes for medium in media.values())


def cookies_of(tree: Tree, folder_paths: Iterable[str]) -> dict[str, int]:
    """By path, of all that is in these folders, where they grow."""
    found: dict[str, int] = {}
    for path in folder_paths:
        folder = tree.lookup(path)
        assert isinstance(folder, Folder)
        cookies = [tree.cookie(node) for _, node in tree.children(folder)]
        assert cookies == sorted(set(cookies))
        assert min(cookies, default=FIRST_COOKIE) >= FIRST_COOKIE
        found |= {f"{path}/{name}": tree.cookie(node) for name, node in tree.children(folder)}
    return found


@unhurried
@given(st.lists(media_sets(), min_size=2, max_size=5))
def test_what_stays_keeps_its_cookie_and_what_is_new_comes_last(story: list[dict[str, Medium]]) -> None:
    tree = Tree({}, ())
    before = cookies_of(tree, model_of({}).folders)
    for media in story:
        tree = Tree(media, ("status", "metrics"), tree)
        now = cookies_of(tree, [*model_of(media).folders, "/.twfs"])
        assert {path: now[path] for path in now.keys() & before} == {path: before[path] for path in now.keys() & before}
        files = {path for path in now if path.startswith(("/recordings/", "/compositions/"))}
        assert all(now[path] > max(before.values()) for path in files - before.keys())
        before = now


def test_each_media_folder_stands_even_if_empty() -> None:
    tree = Tree({}, ())
    root = tree.lookup("/")
    assert isinstance(root, Folder)
    assert [name for name, _ in tree.children(root)] == ["recordings", "compositions", "by-date", "by-room"]


def test_the_hidden_folder() -> None:
    tree = Tree({sid_of(0): recording(0)}, ("status", "metrics"))
    hidden = tree.lookup("/.twfs")
    assert isinstance(hidden, Folder)
    assert hidden.changed_at == NOVEMBER_23
    assert dict(tree.children(hidden)) == {name: VirtualFile(f"/.twfs/{name}", name) for name in ("status", "metrics")}
    assert tree.lookup("/.twfs/status") == VirtualFile("/.twfs/status", "status")
    with pytest.raises(NoSuchName):
        tree.lookup("/.twfs/other")
    with pytest.raises(NoSuchName):
        tree.lookup("/recordings/status")


def test_wrong_paths() -> None:
    medium = recording(0)
    tree = Tree({medium.sid: medium}, ("status",))
    with pytest.raises(NotADirectory):
        tree.lookup(f"/recordings/{medium.file_name}/below")
    with pytest.raises(NoSuchName):
        tree.lookup("/none/below")
    with pytest.raises(NoSuchName):
        tree.lookup(f"/compositions/{medium.file_name}")
    with pytest.raises(NoSuchName):
        tree.lookup(f"/recordings/{view_name(medium)}")
    with pytest.raises(NoSuchName):
        tree.lookup(f"/by-date/2017/11/{view_name(medium)}")


def test_targets_are_relative() -> None:
    medium = recording(0)
    tree = Tree({medium.sid: medium}, ())
    by_date = tree.lookup(f"/by-date/2017/11/23/{view_name(medium)}")
    by_room = tree.lookup(f"/by-room/{medium.room_sid}/{view_name(medium)}")
    assert isinstance(by_date, MediumLink)
    assert isinstance(by_room, MediumLink)
    assert by_date.target == f"../../../../recordings/{medium.file_name}"
    assert by_room.target == f"../../recordings/{medium.file_name}"


def test_a_hundred_thousand_media() -> None:
    media = {}
    for number in range(100_000):
        medium = recording(number, created_at=NOVEMBER_23 + 400 * number, room_sid=sid_of(number // 3, "RM"))
        media[medium.sid] = medium
    begin = time.process_time()
    tree = Tree(media, ())
    folder = tree.lookup("/recordings")
    assert isinstance(folder, Folder)
    assert sum(1 for _ in tree.children(folder)) == 100_000
    # It takes 0.6 s; more than a few seconds would mean that it does not grow with the number of media alone.
    assert time.process_time() - begin < 5


def _recalled(tree: Tree, path: str, made: list[str]) -> list[str]:
    folder = tree.lookup(path)
    assert isinstance(folder, Folder)

    def make() -> list[str]:
        made.append(path)
        return [name for name, _ in tree.children(folder)]

    return tree.remembered(folder, make)


def test_what_was_made_of_a_folder_is_remembered() -> None:
    tree = Tree({medium.sid: medium for medium in map(recording, range(3))}, ())
    made: list[str] = []
    for _ in range(2):
        assert len(_recalled(tree, "/recordings", made)) == 3
        assert _recalled(tree, "/compositions", made) == []
    assert made == ["/recordings", "/compositions"]


def test_no_more_names_are_remembered_than_there_is_to_be_memory_for() -> None:
    tree = Tree({}, ())
    made: list[str] = []
    sizes = {"/recordings": REMEMBERED_NAMES - 1, "/by-date": 1, "/by-room": 1, "": REMEMBERED_NAMES + 1}

    def recall(path: str) -> None:
        folder = tree.lookup(path)
        assert isinstance(folder, Folder)

        def make() -> range:
            made.append(path)
            return range(sizes[path])

        assert tree.remembered(folder, make) == range(sizes[path])

    for path in ("/recordings", "/by-date", "/recordings", "/by-date"):
        recall(path)
    assert made == ["/recordings", "/by-date"], "both have room"
    recall("/by-room")
    recall("/by-room")
    recall("/recordings")
    assert made == ["/recordings", "/by-date", "/by-room", "/recordings"], "the last one had no room beside the others"
    made.clear()
    recall("")
    recall("")
    assert made == ["", ""], "too large by itself"
