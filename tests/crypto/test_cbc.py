import os
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.sealed import IV, encrypt
from twfs.crypto.cbc import (
    AES_BLOCK,
    IN_PLACE_SLACK,
    KEY_SIZES,
    ContentKey,
    cipher_range,
    cipher_size,
    padding_size,
)
from twfs.ranges import ByteRange

LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 255, 256, 257, 4095, 4096, 4097, 65536)

content_keys = st.sampled_from(KEY_SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def plaintext(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def read_range(ciphertext: bytes, key: ContentKey, wanted: ByteRange) -> bytes:
    """The plaintext range, decrypted in place from no more than `cipher_range` names."""
    needed = cipher_range(wanted)
    fetched = ciphertext[needed.start : needed.end]
    at_start = wanted.start < AES_BLOCK
    iv, body = (IV, fetched) if at_start else (fetched[:AES_BLOCK], fetched[AES_BLOCK:])
    buffer = bytearray(body + bytes(IN_PLACE_SLACK))
    key.decryptor(iv).decrypt_in_place(memoryview(buffer), len(body))
    first = wanted.start % AES_BLOCK
    return bytes(buffer[first : first + wanted.size])


@st.composite
def ranges_of_objects(draw: st.DrawFn) -> tuple[int, ByteRange]:
    size = draw(st.one_of(st.sampled_from(LENGTHS[1:]), st.integers(1, 2000)))
    start = draw(st.integers(0, size - 1))
    return size, ByteRange(start, draw(st.integers(start + 1, size)))


@given(content_keys, ranges_of_objects())
def test_any_range_equals_that_of_the_whole_object_decrypted(key: bytes, wanted: tuple[int, ByteRange]) -> None:
    size, plain_range = wanted
    plain = plaintext(size)
    found = read_range(encrypt(plain, key), ContentKey(key), plain_range)
    assert found == plain[plain_range.start : plain_range.end]


@pytest.mark.parametrize("key_size", KEY_SIZES)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4096, 100_001])
def test_it_reads_what_openssl_wrote(tmp_path: Path, key_size: int, size: int) -> None:
    plain, key = plaintext(size), os.urandom(key_size)
    command = ["openssl", "enc", f"-aes-{key_size * 8}-cbc", "-K", key.hex(), "-iv", IV.hex()]
    ciphertext = subprocess.run(command, input=plain, capture_output=True, check=True).stdout
    assert len(ciphertext) == cipher_size(size)
    chance = random.Random(size)
    for _ in range(50 if size else 0):
        start = chance.randrange(size)
        wanted = ByteRange(start, chance.randint(start + 1, size))
        assert read_range(ciphertext, ContentKey(key), wanted) == plain[wanted.start : wanted.end]
    whole = ContentKey(key).decrypt(IV, ciphertext)
    padding = padding_size(whole[-AES_BLOCK:])
    assert padding is not None
    assert whole[: len(whole) - padding] == plain


@given(st.integers(0, 2**60))
def test_ciphertext_is_one_to_sixteen_bytes_longer_and_whole_blocks(plain_size: int) -> None:
    stored = cipher_size(plain_size)
    assert stored % AES_BLOCK == 0
    assert 1 <= stored - plain_size <= AES_BLOCK


@given(st.integers(0, 2**50), st.integers(1, 2**40))
def test_a_cipher_range_covers_the_plain_range_and_its_iv_and_no_block_more(start: int, size: int) -> None:
    wanted = ByteRange(start, start + size)
    needed = cipher_range(wanted)
    assert needed.start % AES_BLOCK == needed.end % AES_BLOCK == 0
    iv_bytes = AES_BLOCK if start >= AES_BLOCK else 0
    assert needed.start + iv_bytes <= start < needed.start + iv_bytes + AES_BLOCK
    assert needed.end - AES_BLOCK < wanted.end <= needed.end
    assert needed.end <= cipher_size(wanted.end - 1)


@given(content_keys, st.integers(0, 40), st.integers(0, 100))
def test_decryption_in_place_touches_nothing_behind_its_slack(key: bytes, blocks: int, more: int) -> None:
    plain = plaintext(blocks * AES_BLOCK)
    behind = bytes([0xA5]) * more
    buffer = bytearray(encrypt(plain, key)[: len(plain)] + bytes(IN_PLACE_SLACK) + behind)
    ContentKey(key).decryptor(IV).decrypt_in_place(memoryview(buffer), len(plain))
    assert buffer[: len(plain)] == plain
    assert buffer[len(plain) + IN_PLACE_SLACK :] == behind


def test_a_buffer_without_slack_is_refused_before_anything_is_written() -> None:
    ciphertext = encrypt(bytes(31), bytes(16))
    buffer = bytearray(ciphertext)
    with pytest.raises(ValueError, match="buffer"):
        ContentKey(bytes(16)).decryptor(IV).decrypt_in_place(memoryview(buffer), len(buffer))
    assert buffer == ciphertext


@given(st.binary(min_size=16, max_size=16))
def test_padding_is_valid_exactly_as_pkcs7_says(block: bytes) -> None:
    count = block[15]
    expected = count if 1 <= count <= 16 and set(block[16 - count :]) == {count} else None
    assert padding_size(block) == expected


@pytest.mark.parametrize("count", range(1, 17))
def test_every_valid_padding_is_found_and_one_wrong_byte_in_it_too(count: int) -> None:
    block = bytes([0] * (16 - count) + [count] * count)
    assert padding_size(block) == count
    for at in range(16 - count, 15):
        damaged = bytearray(block)
        damaged[at] ^= 0x80
        assert padding_size(bytes(damaged)) is None


def test_a_content_key_shows_nothing_of_itself() -> None:
    key = os.urandom(32)
    text = f"{ContentKey(key)} {ContentKey(key)!r}"
    assert text == "ContentKey(256 bits) ContentKey(256 bits)"
    assert key.hex() not in text
