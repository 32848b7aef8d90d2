import json
import logging
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.catalog.fakes import START, facts_of, record_of, sid_of
from twfs.catalog import database, queries, rows
from twfs.catalog.evidence import WholeReading
from twfs.catalog.schema import APPLICATION_ID, SCHEMA_VERSION, checksum
from twfs.catalog.store import Pass, Store, noting
from twfs.errors import Unreachable
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium, parse_medium


def resource(number: int, status: str = "completed", kind: Kind = Kind.RECORDING) -> Medium:
    return parse_medium(kind, record_of(kind, number, status))


def readable(sid: str, size: int = 1000) -> MediaInfo:
    facts = facts_of(sid, size)
    return MediaInfo(MediaState.READABLE, size - 7, True, facts.etag, "", facts)


def locked(sid: str, size: int = 1000) -> MediaInfo:
    facts = facts_of(sid, size)
    return MediaInfo(MediaState.LOCKED, size, True, facts.etag, "no key fits", facts)


@contextmanager
def opened(path: Path | None) -> Iterator[Store]:
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


def filled(path: Path, count: int = 40) -> tuple[list[Medium], dict[str, MediaInfo]]:
    """A closed state file with `count` resources and probes."""
    resources = [resource(number) for number in range(count)]
    infos = {medium.sid: readable(medium.sid) for medium in resources}
    with opened(path) as store:
        keep(store, resources, listed_at=float(START))
        for sid, info in infos.items():
            store.save_probe(sid, info)
    return resources, infos


def keep(store: Store, media: list[Medium], gone: Collection[str] = (), listed_at: float | None = None) -> None:
    """Write them; with `listed_at` as what ends the first listing."""
    store.apply(media, gone)
    if listed_at is not None:
        for kind in Kind:
            store.apply([], then=noting(kind, Pass(listed_at, None, is_done=True)))
        store.finish(listed_at, list(Kind))


def held(store: Store) -> list[Medium] | None:
    """All resources in their order; None if it does not hold a complete listing that can be trusted."""
    if store.load() is None:
        return None
    return [entry.medium for entry in store.ask(rows.entries_of, "id > 0 ORDER BY id", ())]


def probed(store: Store) -> list[tuple[str, MediaState, int, bool]]:
    """What is known of sizes."""
    entries = store.known(rows.entries_of, "id > 0 ORDER BY id", ())
    sizes = [(entry.medium.sid, entry.size) for entry in entries]
    return [(sid, size.state, size.plain_size, size.encrypted) for sid, size in sizes if size is not None]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_round_trip_keeps_order_and_everything(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.sqlite3"
    media, infos = filled(path)
    with opened(path) as store:
        remembered = held(store)
        assert remembered == media
        assert store.listed_at == START
        assert {sid: store.probe(sid) for sid in infos} == infos
        assert probed(store) == [(sid, info.state, info.plain_size, info.encrypted) for sid, info in infos.items()]


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.sqlite3"
    before = os.umask(0)
    try:
        with opened(path) as store:
            keep(store, [resource(1)], listed_at=1.0)
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_a_file_that_others_can_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    path.chmod(0o644)
    with opened(path) as store:
        assert store.load() is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_complete_listing_nothing_is_loaded(tmp_path: Path) -> None:
    with opened(tmp_path / "a.sqlite3") as store:
        keep(store, [resource(1)])
        assert store.load() is None
        keep(store, [], listed_at=5.0)
        remembered = held(store)
        assert remembered == [resource(1)]


def test_an_empty_account_is_a_complete_listing(tmp_path: Path) -> None:
    with opened(tmp_path / "a.sqlite3") as store:
        keep(store, [], listed_at=5.0)
        remembered = held(store)
        assert remembered == []


def test_what_is_gone_is_forgotten_with_its_probe(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    media, infos = filled(path, 3)
    with opened(path) as store:
        keep(store, [], [media[1].sid])
        remembered = held(store)
        assert remembered == [media[0], media[2]]
        assert store.probe(media[1].sid) is None
        assert store.probe(media[2].sid) == infos[media[2].sid]


@contextmanager
def with_resources(path: Path | None, *sids: str) -> Iterator[Store]:
    """A store that knows them, whatever they are called."""
    with opened(path) as store:
        keep(store, [resource(1)._replace(sid=sid) for sid in sids], listed_at=1.0)
        yield store


def test_readable_is_never_replaced_by_less_for_the_same_object(tmp_path: Path) -> None:
    sid = sid_of(Kind.RECORDING, 1)
    with with_resources(tmp_path / "a.sqlite3", sid) as store:
        store.save_probe(sid, locked(sid))
        assert store.probe(sid) == locked(sid)
        store.save_probe(sid, readable(sid))
        store.save_probe(sid, locked(sid))
        assert store.probe(sid) == readable(sid)
        other = locked(sid_of(Kind.RECORDING, 2))
        store.save_probe(sid, other)
        assert store.probe(sid) == other


def test_another_object_under_the_same_etag_is_another_object(tmp_path: Path) -> None:
    sid = sid_of(Kind.RECORDING, 1)
    with with_resources(tmp_path / "a.sqlite3", sid) as store:
        store.save_probe(sid, readable(sid))
        known = locked(sid)
        assert known.facts is not None
        other = replace(known, facts=replace(known.facts, metadata={"x-amz-key": "another"}))
        store.save_probe(sid, other)
        assert store.probe(sid) == other


@given(
    size=st.integers(0, 2**63 - 1),
    etag=st.text(st.characters(codec="latin-1"), max_size=40),
    metadata=st.dictionaries(st.text(), st.text()),
    tail=st.binary(max_size=32),
    reason=st.text(st.characters(codec="utf-8")),
    state=st.sampled_from([MediaState.READABLE, MediaState.LOCKED, MediaState.DAMAGED]),
    encrypted=st.booleans(),
)
def test_any_probe_comes_back_equal(
    *, size: int, etag: str, metadata: dict[str, str], tail: bytes, reason: str, state: MediaState, encrypted: bool
) -> None:
    info = MediaInfo(state, size, encrypted, etag, reason, ObjectFacts(size, etag, metadata, tail))
    with with_resources(None, "RT") as store:
        store.save_probe("RT", info)
        assert store.probe("RT") == info


WORDS = st.none() | st.text(min_size=1, max_size=20) | st.just("\ud800\x00../\u202e'; DROP TABLE resources; --")
COUNTS = st.none() | st.integers(0, 2**63 - 1)
MEDIA = st.builds(
    Medium,
    sid=st.integers(0, 2**128 - 1).map(lambda number: f"RT{number:032x}"),
    kind=st.sampled_from(Kind),
    **{
        name: COUNTS if "int" in str(annotation) else WORDS
        for name, annotation in Medium.__annotations__.items()
        if name not in ("sid", "kind")
    },
)


@given(media=st.lists(MEDIA, max_size=5, unique_by=lambda medium: medium.sid))
def test_any_medium_comes_back_equal(media: list[Medium]) -> None:
    with opened(None) as store:
        keep(store, media, listed_at=1.0)
        remembered = held(store)
        assert remembered is not None
        assert {medium.sid: medium for medium in remembered} == {medium.sid: medium for medium in media}


@pytest.mark.parametrize("count", [0, 999, 1000, 1001, 2500])
def test_many_media_come_back_in_order(count: int) -> None:
    media = [resource(number) for number in range(count)]
    with opened(None) as store:
        keep(store, media, listed_at=float(START))
        remembered = held(store)
    assert remembered == media


def test_what_many_media_have_in_common_is_held_once(tmp_path: Path) -> None:
    media, _ = filled(tmp_path / "a.sqlite3")
    with opened(tmp_path / "a.sqlite3") as store:
        remembered = held(store)
    assert remembered == media
    assert remembered is not None
    assert len({id(medium.account_sid) for medium in remembered}) == 1
    assert len({id(medium.status) for medium in remembered}) == 1


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", "null", json.dumps([7] * 14), json.dumps(["x"] * 15)])
def test_a_resource_that_is_none_damages_the_file(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        columns = "id, sid, kind, shown, settled, changed_at, day, room"
        ((row),) = connection.execute(f"SELECT {columns} FROM media").fetchall()
        connection.execute("UPDATE media SET fields = ?, checksum = ?", (text, checksum(*row, text)))
    with opened(path) as store:
        assert store.load() is None
    assert "a resource cannot be read" in warnings_in(caplog)[0]


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    path.write_bytes(content)
    with opened(path) as store:
        assert store.load() is None
        assert store.is_lasting
        keep(store, [resource(1)], listed_at=1.0)
    with opened(path) as store:
        assert store.load() is not None
    assert len(warnings_in(caplog)) == (1 if content else 0)
    assert not content or path.with_name("a.sqlite3.damaged").read_bytes() == content


@pytest.mark.parametrize("part", [600, 4096, 5000, 20000])
def test_a_truncated_file_is_set_aside_with_one_warning(
    tmp_path: Path, part: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.sqlite3"
    media, _ = filled(path)
    path.write_bytes(path.read_bytes()[:part])
    with opened(path) as store:
        assert store.load() is None
        probed(store)
        with pytest.raises(Unreachable, match="not known yet"):
            store.probe(media[0].sid)
        keep(store, [resource(1)], listed_at=1.0)
    assert len(warnings_in(caplog)) == 1
    assert "set aside as a.sqlite3.damaged" in warnings_in(caplog)[0]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    open_files = Path("/proc/self/fd")
    with opened(tmp_path / "a.sqlite3") as store:
        store.load()
        store.release()
        before = len(list(open_files.iterdir()))
        for _ in range(20):
            store.load()
            store.release()
        assert len(list(open_files.iterdir())) < before + 20


def test_another_schema_version_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with opened(path) as store:
        assert store.load() is None
    (warning,) = warnings_in(caplog)
    assert "version 999" in warning


def test_another_programs_database_is_left_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (x)")
    connection.execute("INSERT INTO precious VALUES (7)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with opened(path) as store:
        assert store.load() is None
    assert path.with_name("a.sqlite3.damaged").read_bytes() == content
    assert "another program's database" in warnings_in(caplog)[0]


def test_our_file_without_our_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.close()
    with opened(path) as store:
        assert store.load() is None
        keep(store, [resource(1)], listed_at=1.0)
        assert store.load() is not None
        assert store.is_lasting


class Intact:
    """A good state file (its repr is short: hypothesis prints it)."""

    def __init__(self, path: Path) -> None:
        self.media, self.infos = filled(path, 12)
        self.content = path.read_bytes()


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Intact:
    return Intact(tmp_path_factory.mktemp("intact") / "a.sqlite3")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 4))
@example(seed=1094, flips=3).via("a flip in the schema's text is reported as a UnicodeDecodeError")
@example(seed=1533, flips=2).via("damage that only a later look meets: what is begun anew is no complete listing")
def test_a_flipped_bit_is_never_believed(intact: "Intact", tmp_path: Path, seed: int, flips: int) -> None:
    """Whatever comes back is the truth or nothing."""
    content, media, infos = intact.content, intact.media, intact.infos
    damaged = bytearray(content)
    random = Random(seed)
    for _ in range(flips):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    path = tmp_path / "a.sqlite3"
    for stale in tmp_path.iterdir():
        stale.unlink()
    path.write_bytes(damaged)
    with opened(path) as store:
        remembered = held(store)
        # The order of rows is not the truth's; which there are, and what they say, is.
        assert remembered is None or {m.sid: m for m in remembered} == {m.sid: m for m in media}
        known = {(sid, info.state, info.plain_size, info.encrypted) for sid, info in infos.items()}
        assert known.issuperset(probed(store))
        for sid, info in infos.items() if remembered is not None else ():
            with suppress(Unreachable):
                assert store.probe(sid) in (None, info)
        keep(store, [resource(99)])
        store.finish(2.0)
        after = held(store)
        assert after is None or {m.sid: m for m in after} == {m.sid: m for m in [*media, resource(99)]}


def test_distrust_is_kept_and_no_flipped_bit_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with opened(path) as store:
        assert store.evidence.distrusted() == frozenset()
        for _ in range(2):
            store.evidence.save_distrust(Kind.COMPOSITION)
    with opened(path) as store:
        assert store.evidence.distrusted() == {Kind.COMPOSITION}
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE distrust SET kind = 'compositionr'")
    connection.close()
    with opened(path) as store:
        assert store.evidence.distrusted() == set(Kind)


def test_a_row_that_was_lost_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM media WHERE id = 7")
    connection.close()
    with opened(path) as store:
        assert store.load() is None


def test_no_folder_can_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A path under a file: refused even for root."""
    (tmp_path / "file").write_text("")
    with opened(tmp_path / "file" / "state" / "a.sqlite3") as store:
        assert store.load() is None
        keep(store, [resource(1)], listed_at=1.0)
        sid = sid_of(Kind.RECORDING, 1)
        store.save_probe(sid, readable(sid))
        store.release()
        assert store.load() is not None
        assert store.probe(sid) == readable(sid)
        assert not store.is_lasting
    (warning,) = warnings_in(caplog)
    assert "kept in memory" in warning


def test_a_symbolic_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "target"
    (tmp_path / "a.sqlite3").symlink_to(target)
    with opened(tmp_path / "a.sqlite3") as store:
        keep(store, [resource(1)], listed_at=1.0)
        assert not store.is_lasting
    assert not target.exists()
    assert len(warnings_in(caplog)) == 1


def test_a_full_disk_takes_what_is_known_along_into_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    media, infos = filled(path, 5)
    with opened(path) as store:
        assert held(store) == media
        assert store.database._writer is not None
        # The file may not grow: SQLite then says "database or disk is full", as on a full disk.
        pages = store.database._writer.execute("PRAGMA page_count").fetchone()[0]
        store.database._writer.execute(f"PRAGMA max_page_count = {pages}")
        many = [resource(number) for number in range(100, 400)]
        keep(store, many, listed_at=9.0)
        assert not store.is_lasting
        after = held(store)
        assert after == [*media, *many]
        assert {sid: store.probe(sid) for sid in infos} == infos
    (warning,) = warnings_in(caplog)
    assert "full" in warning
    with opened(path) as store:
        untouched = held(store)
        assert untouched == media


def test_two_mounts_share_one_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite3"
    sids = [[sid_of(Kind.RECORDING, 1000 * mount + number) for number in range(50)] for mount in range(4)]
    with with_resources(path, *(sid for own in sids for sid in own)):
        barrier = threading.Barrier(4)

    def mount(own: list[str]) -> None:
        with opened(path) as store:
            barrier.wait()
            for sid in own:
                store.save_probe(sid, readable(sid))
                assert store.probe(sid) == readable(sid)

    threads = [threading.Thread(target=mount, args=(own,)) for own in sids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(path) as store:
        assert len(probed(store)) == 200
    assert warnings_in(caplog) == []


def test_mounts_that_begin_at_once_share_a_new_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def begin(path: Path, barrier: threading.Barrier, sid: str) -> None:
        with opened(path) as store:
            barrier.wait()
            store.save_probe(sid, readable(sid))

    for attempt in range(80):
        path, barrier = tmp_path / f"{attempt}.sqlite3", threading.Barrier(4)
        sids = [sid_of(Kind.RECORDING, number) for number in range(4)]
        threads = [threading.Thread(target=begin, args=(path, barrier, sid)) for sid in sids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert warnings_in(caplog) == []


def test_after_release_the_file_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with opened(path) as store:
        keep(store, [resource(1)], listed_at=1.0)
        store.release()
        assert sorted(file.name for file in tmp_path.iterdir()) == ["a.sqlite3"]
        assert store.load() is not None


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite3")
    store.close()
    with pytest.raises(Unreachable, match="stopping"):
        store.load()
    assert list(tmp_path.iterdir()) == []


def test_no_plaintext_key_is_needed_to_save() -> None:
    with with_resources(None, "RT") as store, pytest.raises(ValueError, match="without facts"):
        store.save_probe("RT", MediaInfo(MediaState.ABSENT, 0))


def test_a_file_begun_anew_while_mounted_does_not_pass_for_a_complete_listing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    with opened(path) as store:
        assert store.load() is not None
        store.release()
        path.write_bytes(b"overwritten by something else" * 1000)
        keep(store, [resource(99)])
        store.finish(9.0)
        assert store.is_lasting
        assert store.load() is None


@pytest.mark.parametrize("take_away", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("elsewhere"))])
def test_a_folder_that_is_taken_away_while_in_use_is_made_anew_with_all_that_was_in_it(
    tmp_path: Path, take_away: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "a.sqlite3"
    media, infos = filled(path)
    with opened(path) as store:
        assert store.load() is not None
        take_away(path.parent)
        keep(store, [resource(99)])
        store.finish(9.0)
        store.evidence.save_whole_reading(media[0].sid, WholeReading("f"))
        assert store.is_lasting
    (warning,) = warnings_in(caplog)
    assert f"{path} was taken away" in warning
    with opened(path) as store:
        after = held(store)
        assert after == [*media, resource(99)]
        assert {sid: store.probe(sid) for sid in infos} == infos
        assert store.evidence.whole_reading(media[0].sid) == WholeReading("f")


def test_a_whole_file_in_place_of_the_one_in_use_is_gone_on_with_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    with opened(path) as store:
        assert store.load() is not None
        path.unlink()
        with opened(path) as another:
            keep(another, [resource(1)], listed_at=5.0)
            keep(store, [resource(2)])
            assert probed(another) == []
    with opened(path) as store:
        after = held(store)
        assert after == [resource(1), resource(2)]


def test_what_was_damaged_when_it_was_taken_away_does_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    filled(path)
    with opened(path) as store:
        assert store.load() is not None
        assert store.database._writer is not None
        store.database._writer.execute("UPDATE media SET fields = '[]' WHERE sid = ?", (resource(3).sid,))
        path.unlink()
        keep(store, [resource(99)])
        assert store.load() is None
        assert store.is_lasting


def test_a_folder_that_cannot_be_made_anew_leaves_all_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "a.sqlite3"
    media, infos = filled(path)
    with opened(path) as store:
        assert store.load() is not None
        shutil.rmtree(path.parent)
        path.parent.touch()
        keep(store, [media[0]])
        after = held(store)
        assert after == media
        assert {sid: store.probe(sid) for sid in infos} == infos
        assert not store.is_lasting
    assert len(warnings_in(caplog)) == 1


def test_a_reader_does_not_wait_for_another_mounts_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    media, infos = filled(path, 3)
    with opened(path) as store:
        probed(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM probes")
        other.execute("UPDATE media SET state = NULL")
        assert store.probe(media[0].sid) == infos[media[0].sid]
        other.execute("ROLLBACK")
        other.close()
        assert store.is_lasting


def test_a_file_that_another_process_holds_is_not_waited_for_without_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no shared memory, and so no WAL, a lock keeps readers out too."""
    path = tmp_path / "a.sqlite3"
    filled(path, 3)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with opened(path) as store:
        probed(store)
        for reader in store.database._idle:
            reader.close()
        store.database._idle.clear()
        assert store.database._writer is not None
        store.database._writer.execute("PRAGMA journal_mode = DELETE")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert probed(store) == []
        assert not store.is_lasting
        other.execute("ROLLBACK")
        other.close()
    (warning,) = warnings_in(caplog)
    assert "locked" in warning


# What was read whole, and what was not there


def test_what_a_whole_reading_showed_is_known_to_other_mounts_and_later_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with opened(path) as store, opened(path) as other:
        assert store.evidence.whole_reading("RT1") is None
        store.evidence.save_whole_reading("RT1", WholeReading("one"))
        assert other.evidence.whole_reading("RT1") == WholeReading("one")
        other.evidence.save_whole_reading("RT1", WholeReading("one", "its MD5 is not the ETag"))
    with opened(path) as store:
        assert store.evidence.whole_reading("RT1") == WholeReading("one", "its MD5 is not the ETag")
        assert store.evidence.whole_reading("RT2") is None


def test_of_a_medium_that_is_gone_neither_reading_nor_absence_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "a.sqlite3") as store:
        for sid in ("RT1", "RT2"):
            store.evidence.save_whole_reading(sid, WholeReading("one"))
            store.evidence.absent_since(sid, 5.0)
        keep(store, [], ["RT1"])
        assert (store.evidence.whole_reading("RT1"), store.evidence.whole_reading("RT2")) == (None, WholeReading("one"))
        assert (store.evidence.absent_since("RT1", 9.0), store.evidence.absent_since("RT2", 9.0)) == (9.0, 5.0)


def test_an_absence_lasts_until_media_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with with_resources(path, "RT1") as store, opened(path) as other:
        assert [store.evidence.absent_since("RT1", now) for now in (5.0, 6.0)] == [5.0, 5.0]
        assert other.evidence.absent_since("RT1", 7.0) == 5.0
        other.save_probe("RT1", readable("RT1"))
        assert store.evidence.absent_since("RT1", 8.0) == 8.0
        other.evidence.end_absence("RT1")
        assert store.evidence.absent_since("RT1", 9.0) == 9.0


@pytest.mark.parametrize("change", ["since = 1.0", "since = NULL", "since = 'soon'", "checksum = 1"])
def test_a_damaged_absence_begins_anew(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.sqlite3"
    with opened(path) as store:
        store.evidence.absent_since("RT1", 5.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE absences SET {change}")
        connection.commit()
    with opened(path) as store:
        assert [store.evidence.absent_since("RT1", now) for now in (9.0, 10.0)] == [9.0, 9.0]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM listing",
        *(f"UPDATE listing SET listed_at = {value}" for value in ("'soon'", "x'00'")),
        *(f"UPDATE listing SET resources = {value}" for value in ("'many'", "NULL", "39", "41")),
    ],
)
def test_a_damaged_listing_is_no_listing_and_the_next_one_is_remembered(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.sqlite3"
    media, _ = filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    with opened(path) as store:
        assert store.load() is None
        keep(store, media, listed_at=float(START))
    with opened(path) as store:
        remembered = held(store)
        assert (remembered, store.listed_at) == (media, START)


@pytest.mark.parametrize(
    "change",
    ["sid = 'RT2'", "fingerprint = 'two'", "fingerprint = NULL", "fingerprint = x'00'", "damage = ''", "checksum = 1"],
)
def test_a_damaged_reading_shows_nothing(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.sqlite3"
    with opened(path) as store:
        store.evidence.save_whole_reading("RT1", WholeReading("one", "its MD5 is not the ETag"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE readings SET {change}")
        connection.commit()
    with opened(path) as store:
        assert (store.evidence.whole_reading("RT1"), store.evidence.whole_reading("RT2")) == (None, None)


def test_readings_live_in_memory_where_there_is_no_file() -> None:
    with opened(None) as store:
        store.evidence.save_whole_reading("RT1", WholeReading("one"))
        assert store.evidence.whole_reading("RT1") == WholeReading("one")


@pytest.mark.parametrize("index", ["media_kind", "media_day", "media_room"])
def test_a_folder_whose_index_has_lost_entries_is_an_error_and_never_shorter(tmp_path: Path, index: str) -> None:
    path = tmp_path / "a.sqlite3"
    store = Store(path)
    store.apply([Medium(f"RT{n:032x}", Kind.RECORDING, status="completed", room_sid="RM1") for n in range(9)])
    for kind in Kind:
        store.apply([], then=noting(kind, Pass(1.0, None, is_done=True)))
    store.finish(1.0, tuple(Kind))
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        # How many entries this page of an index has (https://sqlite.org/fileformat2.html#b_tree_pages).
        file.seek((root - 1) * size + 3)
        file.write((5).to_bytes(2, "big"))
    store = Store(path)
    assert store.look_again() is not None  # as with a large file, which is not looked through at once
    folder = {"media_kind": "/recordings", "media_day": "/by-date/undated", "media_room": "/by-room/RM1"}[index]
    with pytest.raises(Unreachable):
        store.ask(queries.page, folder, 0, 100)
    store.close()
