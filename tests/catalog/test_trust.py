import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog.fakes import FakeClock, FakeInterpreter, FakeTwilio
from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings
from twfs.catalog.probes import YOUNG_SECONDS
from twfs.catalog.store import Store
from twfs.catalog.trust import WITNESSES, SizeTrust
from twfs.clock import Deadline
from twfs.errors import Unreachable
from twfs.probe import MediaInfo, MediaState, ObjectFacts
from twfs.resources import Kind, Medium

PLAIN, SEALED, ODD = range(1000, 1003)
"""Numbers of media that are asked for once all others were probed."""


class Keys(FakeInterpreter):
    """Objects with a wrapped key are encrypted and padded as AES/CBC/PKCS5Padding does; others are plain."""

    def interpret(self, facts: ObjectFacts) -> MediaInfo:
        self.calls += 1
        if "x-amz-key" not in facts.metadata:
            return MediaInfo(MediaState.READABLE, facts.stored_size, False, facts.etag, "", facts)
        size = int(facts.metadata["plain"])
        return MediaInfo(MediaState.READABLE, size, True, facts.etag, "", facts)


class Account:
    """A catalogue over a fake account whose `size` counts what a test says."""

    def __init__(self, path: Path | None = None) -> None:
        self.twilio, self.clock, self.path = FakeTwilio(page_size=100), FakeClock(), path
        self.remount()

    def remount(self) -> None:
        self.catalog = Catalog(self.twilio, self.twilio, Keys(), Store(self.path), CatalogSettings(), self.clock)

    def add(
        self, number: int, plain_size: int, *, encrypted: bool, claim: int | None = None, kind: Kind = Kind.RECORDING
    ) -> str:
        sid = self.twilio.add(kind, number)
        stored = (plain_size // 16 + 1) * 16 if encrypted else plain_size
        metadata = {"x-amz-key": "k", "plain": str(plain_size)} if encrypted else {}
        self.twilio.objects[sid] = replace(self.twilio.objects[sid], stored_size=stored, metadata=metadata)
        self.twilio.records[sid]["size"] = plain_size if claim is None else claim
        return sid

    def add_many(self, count: int, *, encrypted: bool, counts_ciphertext: bool = False) -> list[str]:
        first = len(self.twilio.records)
        sizes = [100 + 7 * number for number in range(count)]
        claims = [(size // 16 + 1) * 16 if counts_ciphertext and encrypted else size for size in sizes]
        return [
            self.add(first + number, size, encrypted=encrypted, claim=claim)
            for number, (size, claim) in enumerate(zip(sizes, claims, strict=True))
        ]

    def probe(self, sids: list[str]) -> None:
        for sid in sids:
            self.catalog.info(sid, self.deadline())

    def size(self, sid: str) -> tuple[int, bool]:
        return self.catalog.size(sid, self.deadline())

    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30)

    @property
    def probes(self) -> int:
        return self.twilio.requests["probe"]


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.catalog.stop()


def test_as_many_witnesses_as_it_takes(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=True)
    last = account.add(SEALED, 1234, encrypted=True)
    account.catalog.first_listing()
    account.probe(sids[:-1])
    assert account.catalog.known_size(last) is None
    account.probe(sids[-1:])
    probes = account.probes
    assert account.size(last) == account.catalog.known_size(last) == (1234, False)
    assert account.probes == probes
    assert account.catalog.info(last, account.deadline()).plain_size == 1234
    assert account.probes == probes + 1, "to be opened it must be probed"
    assert account.size(last) == (1234, True)


def test_one_medium_is_one_witness(account: Account) -> None:
    sids = account.add_many(WITNESSES // 2, encrypted=True)
    last = account.add(SEALED, 1234, encrypted=True)
    account.catalog.first_listing()
    for _ in range(3):
        account.probe(sids)
        for sid in sids:
            account.catalog.examine(sid, account.deadline())
    assert account.catalog.known_size(last) is None


def test_plain_witnesses_speak_only_for_sizes_that_no_ciphertext_has(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=False)
    blocks = account.add(PLAIN, 160, encrypted=False)
    odd = account.add(ODD, 161, encrypted=False)
    account.catalog.first_listing()
    account.probe(sids)
    assert account.catalog.known_size(blocks) is None
    assert account.catalog.known_size(odd) == (161, False)


def test_a_size_that_counts_ciphertext_is_never_believed(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=False) + account.add_many(1, encrypted=True, counts_ciphertext=True)
    last = account.add(ODD, 161, encrypted=False)
    account.catalog.first_listing()
    account.probe(sids)
    assert account.catalog.known_size(last) is None
    assert account.size(last) == (161, True)


@settings(max_examples=60, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.booleans(), st.integers(1, 4096)), min_size=1, max_size=20),
    st.integers(0, WITNESSES),
    st.integers(0, WITNESSES),
)
def test_no_size_is_wrong_whatever_it_counts(
    counts_ciphertext: bool, unseen: list[tuple[bool, int]], sealed_seen: int, plain_seen: int
) -> None:
    """Of an account that always counts the same, no mixture of witnesses leads to a wrong size."""
    account = Account()
    sids = account.add_many(sealed_seen, encrypted=True, counts_ciphertext=counts_ciphertext)
    sids += account.add_many(plain_seen, encrypted=False)
    truth = {}
    for number, (encrypted, size) in enumerate(unseen, PLAIN):
        claim = (size // 16 + 1) * 16 if encrypted and counts_ciphertext else size
        truth[account.add(number, size, encrypted=encrypted, claim=claim)] = size
    account.catalog.first_listing()
    account.probe(sids)
    for sid, size in truth.items():
        assert (account.catalog.known_size(sid) or (size, False))[0] == size
    account.catalog.stop()


@pytest.mark.parametrize("field", ["size", "duration"])
@pytest.mark.parametrize("value", [None, 0])
def test_what_may_be_a_muted_track_is_not_believed(account: Account, field: str, value: int | None) -> None:
    sids = account.add_many(WITNESSES, encrypted=True)
    muted = account.add(SEALED, 1234, encrypted=True)
    account.twilio.records[muted][field] = value
    account.catalog.first_listing()
    account.probe(sids)
    assert account.catalog.known_size(muted) is None


def test_one_contradiction_ends_trust_for_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    account = Account(tmp_path / "a.sqlite3")
    sids = account.add_many(WITNESSES, encrypted=True)
    liar = account.add(SEALED, 1234, encrypted=True, claim=1248)
    other = account.add(ODD, 99, encrypted=True)
    account.catalog.first_listing()
    account.probe(sids)
    assert account.size(liar) == (1248, False)
    version = account.catalog.version
    account.probe([liar])
    assert account.size(liar) == (1234, True)
    assert account.catalog.version == version + 1
    assert account.catalog.known_size(other) is None
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert liar in warning
    assert "1234 bytes where Twilio says 1248" in warning
    account.catalog.stop()

    account.twilio.forget(liar)
    account.remount()
    assert account.catalog.load()
    account.catalog.forget(liar)
    account.catalog.stop()
    account.remount()
    assert account.catalog.load()
    assert liar not in account.catalog.media()
    assert account.catalog.known_size(other) is None, "though the witness is gone"
    account.catalog.stop()


def test_trust_outlives_a_remount_and_needs_no_request(tmp_path: Path) -> None:
    account = Account(tmp_path / "a.sqlite3")
    sids = account.add_many(WITNESSES, encrypted=True)
    last = account.add(SEALED, 1234, encrypted=True)
    account.catalog.first_listing()
    account.probe(sids)
    account.catalog.stop()
    account.remount()
    assert account.catalog.load()
    probes = account.probes
    account.twilio.probe_down = Unreachable("down")
    assert account.size(last) == (1234, False)
    assert account.probes == probes
    account.catalog.stop()


def test_kinds_are_trusted_apart(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=True)
    liar = account.add(SEALED, 1234, encrypted=True, claim=1, kind=Kind.COMPOSITION)
    last = account.add(ODD, 99, encrypted=True)
    account.catalog.first_listing()
    account.probe([*sids, liar])
    assert account.catalog.known_size(last) == (99, False)


def test_a_track_with_a_size_and_no_media_ends_trust_once_that_is_sure(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=True)
    muted = account.add(SEALED, 1234, encrypted=True)
    last = account.add(ODD, 99, encrypted=True)
    del account.twilio.objects[muted]
    account.catalog.first_listing()
    account.probe([*sids, muted])
    account.catalog._refresher._look_singly({})
    assert account.size(muted) == (0, True)
    assert account.catalog.known_size(last) == (99, False), "its media may still come"
    account.clock.advance(YOUNG_SECONDS + 60)
    account.catalog._probing.step()
    account.catalog.examine(sids[0], account.deadline())
    for _ in range(3):
        account.catalog._prober.attempt(muted)
        account.clock.advance(3600)
        account.catalog._refresher._look_singly({})
    assert account.catalog.known_size(last) is None


def test_a_deletion_elsewhere_is_no_contradiction(account: Account) -> None:
    sids = account.add_many(WITNESSES, encrypted=True)
    gone = account.add(SEALED, 1234, encrypted=True)
    last = account.add(ODD, 99, encrypted=True)
    account.catalog.first_listing()
    account.clock.advance(YOUNG_SECONDS + 60)
    account.twilio.forget(gone)
    account.probe([*sids, gone])
    account.catalog._refresher._look_singly({})
    assert gone not in account.catalog.media()
    assert account.catalog.known_size(last) == (99, False)


def test_what_no_key_opens_is_no_witness() -> None:
    medium = Medium("RT" + "0" * 32, Kind.RECORDING, claimed_size=5, duration=1)
    store = Store(None)
    trust = SizeTrust(lambda _sid: medium, store)
    for state in (MediaState.LOCKED, MediaState.DAMAGED):
        trust.learn(medium.sid, MediaInfo(state, 7, encrypted=True))
    assert store.evidence.distrusted() == frozenset()
    assert not trust.has_ended(Kind.RECORDING)
    store.close()


@pytest.mark.parametrize("known", [None, Medium("RT" + "0" * 32, Kind.RECORDING, claimed_size=None, duration=1)])
def test_where_twilio_claims_no_size_nothing_is_contradicted(known: Medium | None) -> None:
    store = Store(None)
    trust = SizeTrust(lambda _sid: known, store)
    trust.witness("RT" + "0" * 32, 7, encrypted=True)
    trust.found_absent("RT" + "0" * 32)
    assert not trust.has_ended(Kind.RECORDING)
    store.close()


@pytest.mark.parametrize(("claimed_size", "duration", "ends"), [(5, 1, True), (5, 0, False), (0, 1, False)])
def test_only_what_should_have_media_contradicts_by_having_none(claimed_size: int, duration: int, ends: bool) -> None:
    medium = Medium("RT" + "0" * 32, Kind.RECORDING, claimed_size=claimed_size, duration=duration)
    store = Store(None)
    trust = SizeTrust(lambda _sid: medium, store)
    trust.found_absent(medium.sid)
    assert trust.has_ended(Kind.RECORDING) == ends
    store.close()


def test_no_more_witnesses_are_looked_for_than_it_takes() -> None:
    medium = Medium("RT" + "0" * 32, Kind.RECORDING, claimed_size=5, duration=1)
    store = Store(None)
    trust = SizeTrust(lambda _sid: medium, store)
    for _ in range(WITNESSES):
        assert trust.lacks_witnesses(Kind.RECORDING)
        trust.witness(medium.sid, 5, encrypted=True)
    assert not trust.lacks_witnesses(Kind.RECORDING)
    assert trust.lacks_witnesses(Kind.COMPOSITION)
    store.close()


def test_the_background_first_takes_a_sample_of_the_whole_list(account: Account) -> None:
    sids = account.add_many(3 * WITNESSES, encrypted=True)
    account.catalog.first_listing()
    for _ in range(WITNESSES):
        account.catalog._probing.step()
    assert account.twilio.inspected == sids[::3]
    assert account.catalog.known_size(sids[1]) is not None
    account.catalog._probing.step()
    assert account.twilio.inspected[-1] == sids[1]
