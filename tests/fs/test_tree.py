"""The tree against a model: the plain dictionary of all paths that the contract asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fs.fakes import NOVEMBER_23, FakeCatalog, composition, readable, recording, sid_of
from tests.fs.unhurried import unhurried
from twfs.errors import NoSuchName, NotADirectory
from twfs.folders import FIRST_COOKIE, KnownFolder, date_path
from twfs.fs.names import inode, view_name
from twfs.fs.tree import MediumFile, MediumLink, Node, Tree, VirtualFile, node_inode
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


def catalog_of(media: Mapping[str, Medium]) -> FakeCatalog:
    return FakeCatalog({medium: readable(1) for medium in media.values()})


def tree_of(*media: Medium, files: tuple[str, ...] = ()) -> Tree:
    return Tree(catalog_of({medium.sid: medium for medium in media}), files)


def all_children(tree: Tree, path: str, limit: int = 1000) -> list[tuple[str, Node]]:
    """Page by page."""
    folder, found = tree.folder(path), list[tuple[str, Node]]()
    while len(page := tree.children(folder, found[-1][1].cookie if found else 0, limit)) == limit:
        found += page
    return [*found, *page]


@unhurried
@given(media_sets(), st.integers(1, 5))
def test_the_tree_is_the_model(media: dict[str, Medium], limit: int) -> None:
    tree, model = tree_of(*media.values(), files=("status",)), model_of(media)
    found: set[str] = set()

    def walk(path: str) -> None:
        folder = tree.folder(path)
        assert folder.changed_at == max([0, *(medium.changed_at for medium in model.folders[path])])
        for name, node in all_children(tree, path, limit):
            child = f"{path.rstrip('/')}/{name}"
            assert child not in found
            found.add(child)
            assert tree.lookup(child) == node
            if isinstance(node, KnownFolder):
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
    tree, here, there = tree_of(*media.values()), model_of(media), model_of(others)
    for path in {*there.folders, *there.files, *there.links} - {*here.folders, *here.files, *here.links}:
        with pytest.raises(NoSuchName):
            tree.lookup(path)


@unhurried
@given(media_sets())
def test_inodes_differ_within_a_mount(media: dict[str, Medium]) -> None:
    tree, model = tree_of(*media.values(), files=("status",)), model_of(media)
    paths = [*model.folders, *model.files, *model.links, "/.twfs", "/.twfs/status"]
    inodes = [node_inode(tree.lookup(path)) for path in paths]
    assert len(set(inodes)) == len(inodes)
    assert all(inode(medium.sid) in inodes for medium in media.values())


def cookies_of(tree: Tree, folder_paths: Iterable[str]) -> dict[str, int]:
    """By path, of all that is in these folders, where they grow."""
    found: dict[str, int] = {}
    for path in folder_paths:
        children = all_children(tree, path)
        cookies = [node.cookie for _, node in children]
        assert cookies == sorted(set(cookies))
        assert min(cookies, default=FIRST_COOKIE) >= FIRST_COOKIE
        found |= {f"{path}/{name}": node.cookie for name, node in children}
    return found


@unhurried
@given(st.lists(media_sets(), min_size=2, max_size=5))
def test_what_stays_keeps_its_cookie_and_what_is_new_comes_last(story: list[dict[str, Medium]]) -> None:
    catalog = FakeCatalog()
    tree = Tree(catalog, ("status", "metrics"))
    before = cookies_of(tree, model_of({}).folders)
    ever: set[str] = set()
    for media in story:
        catalog.replace({medium: readable(1) for medium in media.values()})
        now = cookies_of(tree, [*model_of(media).folders, "/.twfs"])
        assert {path: now[path] for path in now.keys() & before} == {path: before[path] for path in now.keys() & before}
        files = {path for path in now if path.startswith(("/recordings/", "/compositions/"))}
        assert all(now[path] > max(before.values()) for path in files - ever)
        ever |= files
        before = now


@unhurried
@given(
    st.sampled_from(["/recordings", "/by-room", "/by-date", f"/by-room/{sid_of(1, 'RM')}"]),
    st.lists(st.tuples(media_sets(), st.integers(1, 4), st.booleans()), min_size=1, max_size=8),
)
def test_paging_misses_and_doubles_nothing_while_media_come_and_go(
    path: str, story: list[tuple[dict[str, Medium], int, bool]]
) -> None:
    """Also across remounts, which begin with another tree on the same catalogue."""
    first, *_ = story
    catalog = catalog_of(first[0] | {sid_of(99): recording(99, room_sid=sid_of(1, "RM"))})
    tree, after = Tree(catalog, ()), 0
    told: list[str] = []
    stays = {name for name, _ in all_children(tree, path)}
    for media, limit, is_remounted in story:
        catalog.replace({medium: readable(1) for medium in media.values()})
        if is_remounted:
            tree = Tree(catalog, ())
        there = _names_in(tree, path)
        stays &= there
        page = _page_of(tree, path, after, limit)
        assert {name for name, _ in page} <= there
        told += [name for name, _ in page]
        after = page[-1][1].cookie if page else after
    told += [name for name, _ in _page_of(tree, path, after, 1000)]
    assert [told.count(name) for name in stays] == [1] * len(stays)


def _names_in(tree: Tree, path: str) -> set[str]:
    return {name for name, _ in _page_of(tree, path, 0, 1000)}


def _page_of(tree: Tree, path: str, after: int, limit: int) -> Sequence[tuple[str, Node]]:
    try:
        return tree.children(tree.folder(path), after, limit)
    except NoSuchName:
        return []


def test_each_media_folder_stands_even_if_empty() -> None:
    assert [name for name, _ in all_children(tree_of(), "/")] == ["recordings", "compositions", "by-date", "by-room"]


def test_the_hidden_folder() -> None:
    tree = tree_of(recording(0), files=("status", "metrics"))
    assert tree.folder("/.twfs").changed_at == NOVEMBER_23
    status, metrics = (tree.lookup(f"/.twfs/{name}") for name in ("status", "metrics"))
    assert status == VirtualFile(FIRST_COOKIE, "/.twfs/status", "status")
    for limit in (1, 2, 3):
        assert all_children(tree, "/.twfs", limit) == [("status", status), ("metrics", metrics)]
    with pytest.raises(NoSuchName):
        tree.lookup("/.twfs/other")
    with pytest.raises(NoSuchName):
        tree.lookup("/recordings/status")


def test_wrong_paths() -> None:
    medium = recording(0)
    tree = tree_of(medium, files=("status",))
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
    tree = tree_of(medium)
    by_date = tree.lookup(f"/by-date/2017/11/23/{view_name(medium)}")
    by_room = tree.lookup(f"/by-room/{medium.room_sid}/{view_name(medium)}")
    assert isinstance(by_date, MediumLink)
    assert isinstance(by_room, MediumLink)
    assert by_date.target == f"../../../../recordings/{medium.file_name}"
    assert by_room.target == f"../../recordings/{medium.file_name}"


def test_what_was_looked_up_is_not_asked_for_again_until_something_changes() -> None:
    catalog = catalog_of({sid_of(0): recording(0)})
    tree = Tree(catalog, ())

    def look_up() -> None:
        tree.lookup(f"/recordings/{recording(0).file_name}")
        tree.lookup("/by-date/2017/11/23")
        with pytest.raises(NoSuchName):
            tree.lookup("/recordings/Thumbs.db")

    look_up()
    before = catalog.calls.copy()
    assert before["find"] == 1, "what is named as no medium is none"
    for _ in range(3):
        look_up()
    assert catalog.calls == before
    catalog.replace({recording(1): readable(1)})
    with pytest.raises(NoSuchName):
        look_up()
    assert catalog.calls["find"] == 2
