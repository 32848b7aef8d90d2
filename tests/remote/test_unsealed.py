"""Objects without an envelope: those that lost it are refused, plain ones of any kind are not."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.remote.rig import Rig
from twfs.crypto.cbc import cipher_size
from twfs.errors import MediaDamaged, Unreachable
from twfs.probe import ObjectFacts
from twfs.remote.store import _SETTINGS_SECONDS
from twfs.remote.unsealed import HEAD_SIZE, begins_like_media, may_be_ciphertext, record_says_encrypted
from twfs.resources import Kind, Medium
from twfs.simulator.account import StoredObject
from twfs.simulator.faults import Fault

SAMPLES = sorted((Path(__file__).parents[2] / "twfs" / "simulator" / "media").iterdir())
PLAIN_SIZE = 9_997
CIPHERTEXT = random.Random(3).randbytes(cipher_size(PLAIN_SIZE))
MATROSKA = b"\x1a\x45\xdf\xa3" + CIPHERTEXT[4:]
SIDS = Kind.RECORDING.sid_prefix + "0" * 32
ENCRYPTING = {"encryption_enabled": True, "encryption_key_sid": "CR" + "0" * 32}


def listed(rig: Rig, data: bytes, claimed: int | None, container: str | None = "mkv") -> Medium:
    """A recording as a list tells of it, whose object has no metadata at all."""
    return rig.add(StoredObject(data))._replace(claimed_size=claimed, container=container)


def refusal(rig: Rig, medium: Medium) -> str:
    with pytest.raises(MediaDamaged, match="without its envelope") as caught:
        rig.store.inspect(medium, rig.deadline())
    return str(caught.value)


def test_where_the_record_tells_the_size_of_a_plaintext_ciphertext_is_refused(rig: Rig) -> None:
    medium = listed(rig, CIPHERTEXT, PLAIN_SIZE, container=None)
    assert refusal(rig, medium).startswith(medium.sid)
    assert rig.costs == (1, 2)


def test_where_the_account_encrypts_ciphertext_is_refused(rig: Rig) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    media = [listed(rig, CIPHERTEXT, len(CIPHERTEXT)) for _ in range(3)]
    for medium in media:
        refusal(rig, medium)
    # One URL each, and once the settings.
    assert rig.costs == (4, 6)


def test_it_is_no_longer_refused_when_the_envelope_comes_along(rig: Rig) -> None:
    medium = listed(rig, CIPHERTEXT, PLAIN_SIZE)
    refusal(rig, medium)
    rig.account.replace(medium.sid, StoredObject(CIPHERTEXT, {"x-amz-key": "a2V5", "x-amz-iv": "aXY="}))
    assert rig.store.inspect(medium, rig.deadline()).metadata["x-amz-key"] == "a2V5"


def test_plain_media_are_taken_for_what_they_are_in_an_account_that_encrypts_by_now(rig: Rig) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    for claimed in (len(MATROSKA), PLAIN_SIZE, None):
        assert rig.store.inspect(listed(rig, MATROSKA, claimed), rig.deadline()).stored_size == len(MATROSKA)


@pytest.mark.parametrize(
    ("data", "container"), [(CIPHERTEXT, "mkv"), (CIPHERTEXT, None), (CIPHERTEXT[:16], "mp4"), (CIPHERTEXT, "ogv")]
)
def test_nothing_is_refused_for_its_looks_alone(rig: Rig, data: bytes, container: str | None) -> None:
    for claimed in (len(data), None):
        assert rig.store.inspect(listed(rig, data, claimed, container), rig.deadline()).stored_size == len(data)


def test_an_unknown_kind_of_media_is_not_refused_because_others_are_encrypted(rig: Rig) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    medium = listed(rig, CIPHERTEXT, len(CIPHERTEXT), container="ogv")
    assert rig.store.inspect(medium, rig.deadline()).stored_size == len(CIPHERTEXT)
    assert rig.costs == (1, 1)


@pytest.mark.parametrize("size", [0, 1, 15, 17, 9_999])
def test_what_cannot_be_ciphertext_costs_no_more_than_ever(rig: Rig, size: int) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    medium = listed(rig, CIPHERTEXT[:size], size)
    assert rig.store.inspect(medium, rig.deadline()).stored_size == size
    assert rig.costs == (1, 1 if size else 2)


@pytest.mark.parametrize("status", [403, 404])
def test_settings_that_are_refused_tell_nothing_and_are_not_asked_for_again(rig: Rig, status: int) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    rig.simulator.inject(Fault("api", match="Settings", status=status))
    medium = listed(rig, CIPHERTEXT, len(CIPHERTEXT))
    for _ in range(2):
        assert rig.store.inspect(medium, rig.deadline()).stored_size == len(CIPHERTEXT)


@pytest.mark.parametrize("fault", [Fault("api", status=500), Fault("api", status=429), Fault("api", reset_after=0)])
def test_while_the_settings_cannot_be_had_only_what_looks_plain_passes_for_plain(rig: Rig, fault: Fault) -> None:
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    sealed, plain = (listed(rig, data, len(data)) for data in (CIPHERTEXT, MATROSKA))
    rig.simulator.inject(replace(fault, match="Settings", times=None))
    with pytest.raises(Unreachable, match=f"{sealed.sid}: came without an envelope.*RecordingSettings"):
        rig.store.inspect(sealed, rig.deadline())
    assert rig.store.inspect(plain, rig.deadline()).stored_size == len(MATROSKA)
    rig.simulator.clear_faults()
    refusal(rig, sealed)


def test_settings_are_asked_for_again_some_time_later(rig: Rig) -> None:
    medium = listed(rig, CIPHERTEXT, len(CIPHERTEXT))
    rig.store.inspect(medium, rig.deadline())
    rig.account.store_settings(Kind.RECORDING, ENCRYPTING)
    rig.store.inspect(medium, rig.deadline())
    rig.clock.seconds += _SETTINGS_SECONDS
    refusal(rig, medium)


@pytest.mark.parametrize("path", SAMPLES, ids=[path.name for path in SAMPLES])
def test_real_media_begin_like_media(path: Path) -> None:
    with path.open("rb") as file:
        assert begins_like_media(file.read(HEAD_SIZE))


@given(st.integers(0, 2**63 - 1), st.integers(-16, 16))
def test_a_record_speaks_of_encryption_only_where_one_plaintext_size_explains_the_other(size: int, more: int) -> None:
    medium = Medium(SIDS, Kind.RECORDING, claimed_size=max(size + more, 0))
    says = record_says_encrypted(medium, ObjectFacts(size, '"e"'))
    assert says == (size % 16 == 0 and 1 <= size - max(size + more, 0) <= 16)


@given(st.integers(0, 2**63 - 1))
def test_only_whole_blocks_may_be_ciphertext(size: int) -> None:
    assert may_be_ciphertext(ObjectFacts(size, '"e"')) == (size > 0 and size % 16 == 0)
    assert may_be_ciphertext(ObjectFacts(size, '"e"', {"x-amz-matdesc": "{}"})) == (size > 0 and size % 16 == 0)


@pytest.mark.parametrize("name", ["x-amz-key", "x-amz-iv", "x-amz-unencrypted-content-length", "x-amz-3"])
def test_what_has_a_part_of_an_envelope_is_left_to_those_who_read_envelopes(name: str) -> None:
    assert not may_be_ciphertext(ObjectFacts(160, '"e"', {name: "1"}))
