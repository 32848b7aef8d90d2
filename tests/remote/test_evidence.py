from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from twfs.probe import STORE_ENCRYPTION, ObjectFacts
from twfs.remote.evidence import ends_otherwise, is_replaced

TEXTS = st.text("ab", max_size=2)
METADATA = st.dictionaries(st.sampled_from(["x-amz-key", "x-amz-iv", "x-amz-unencrypted-content-length"]), TEXTS)
ETAGS = st.sampled_from(["", '"e1"', '"e2"', 'W/"e1"'])
FACTS = st.builds(ObjectFacts, st.integers(0, 3), ETAGS, METADATA, st.binary(max_size=3))


@given(FACTS, FACTS)
def test_an_answer_is_of_the_object_if_all_that_it_tells_is_known(known: ObjectFacts, told: ObjectFacts) -> None:
    is_same = replace(known, tail=b"") == replace(told, tail=b"")
    proxy_dropped = not told.metadata and known.has_strong_etag
    agrees = (told.stored_size, told.etag) == (known.stored_size, known.etag)
    expected = not (is_same or (agrees and proxy_dropped))
    assert is_replaced(known, told.stored_size, told.etag, told.metadata) is expected


@given(FACTS)
def test_how_the_bucket_encrypts_at_rest_is_no_part_of_the_object(facts: ObjectFacts) -> None:
    metadata = {**facts.metadata, STORE_ENCRYPTION[0]: "aws:kms"}
    assert not is_replaced(facts, facts.stored_size, facts.etag, metadata)


@given(st.binary(min_size=1, max_size=80), st.integers(0, 80), st.integers(0, 80), st.integers(0, 80))
def test_the_last_bytes_are_those_that_were_seen_in_whatever_pieces_they_come(
    data: bytes, one: int, other: int, at: int
) -> None:
    facts = ObjectFacts(len(data), "", {}, data[-32:])
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    piece = bytearray(data[start:end])
    assert not ends_otherwise(facts, start, bytes(piece))
    if piece:
        place = at % len(piece)
        piece[place] ^= 1
        assert ends_otherwise(facts, start, bytes(piece)) == (start + place >= len(data) - 32)
