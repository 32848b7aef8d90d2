import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.crypto.envelope import Envelope, parse_envelope
from twfs.errors import MediaDamaged

WRAPPED = bytes(range(256))
IV = bytes(range(16))
CBC, PKCS1 = "AES/CBC/PKCS5Padding", "RSA/ECB/PKCS1Padding"


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


V1 = {
    "x-amz-key": text(WRAPPED),
    "x-amz-iv": text(IV),
    "x-amz-matdesc": "{}",
    "x-amz-unencrypted-content-length": "746518",
}
V2 = {
    "x-amz-key-v2": text(WRAPPED),
    "x-amz-iv": text(IV),
    "x-amz-matdesc": "{}",
    "x-amz-cek-alg": CBC,
    "x-amz-wrap-alg": PKCS1,
}


def refusal(metadata: dict[str, str]) -> str:
    with pytest.raises(MediaDamaged) as caught:
        parse_envelope(metadata)
    return str(caught.value)


def test_version_1_is_read() -> None:
    assert parse_envelope(V1) == Envelope(WRAPPED, IV, 746518)


def test_version_1_without_a_length_is_read() -> None:
    metadata = {name: value for name, value in V1.items() if not name.endswith("length")}
    assert parse_envelope(metadata) == Envelope(WRAPPED, IV, None)


def test_an_object_without_envelope_is_not_encrypted() -> None:
    assert parse_envelope({}) is None
    assert parse_envelope({"room": "RM1", "x-amz-matdesc": "{}"}) is None


def test_an_object_that_only_tells_its_plain_length_has_lost_its_envelope() -> None:
    assert "x-amz-iv" in refusal({"x-amz-unencrypted-content-length": "746518"})


def test_version_2_is_read_where_it_means_the_same() -> None:
    assert parse_envelope(V2) == Envelope(WRAPPED, IV, None)


def test_of_two_wrapped_keys_that_of_version_2_counts_as_for_aws_clients() -> None:
    envelope = parse_envelope(V2 | {"x-amz-key": text(b"other")})
    assert envelope is not None
    assert envelope.wrapped_key == WRAPPED


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-tag-len": "128"}, "AES/GCM/NoPadding"),
        ({"x-amz-cek-alg": "AES/GCM/NoPadding"}, "AES/GCM/NoPadding"),
        ({"x-amz-cek-alg": "AES/CTR/NoPadding"}, "AES/CTR/NoPadding"),
        ({"x-amz-tag-len": "128"}, "only AES/CBC/PKCS5Padding"),
        ({"x-amz-wrap-alg": "kms"}, "'kms'"),
        ({"x-amz-wrap-alg": "kms+context"}, "kms+context"),
        ({"x-amz-wrap-alg": "RSA-OAEP-SHA1"}, "RSA-OAEP-SHA1"),
        ({"x-amz-wrap-alg": "AESWrap"}, "AESWrap"),
        ({"x-amz-3": text(WRAPPED), "x-amz-c": "115", "x-amz-w": "22"}, "version 3"),
    ],
)
def test_another_algorithm_is_refused_by_name(changes: dict[str, str], named: str) -> None:
    assert named in refusal(V2 | changes)


@pytest.mark.parametrize("name", ["x-amz-3", "x-amz-c", "x-amz-w"])
def test_version_3_alone_is_refused_by_name(name: str) -> None:
    assert "version 3" in refusal({name: "1"})


@pytest.mark.parametrize("sign", ["x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-iv", "x-amz-key", "x-amz-key-v2"])
def test_half_an_envelope_is_damage_not_plaintext(sign: str) -> None:
    refusal({sign: V2.get(sign, V1.get(sign, ""))})


@pytest.mark.parametrize("name", ["x-amz-key", "x-amz-iv"])
@pytest.mark.parametrize("value", ["", "A", "====", "AA=A", "not base64!", "AAAA\n", " AAAA", "ÄÖÜ=", "A" * 5000])
def test_what_is_no_base64_is_refused_by_the_header_s_name(name: str, value: str) -> None:
    assert name.removeprefix("x-amz-").upper() in refusal(V1 | {name: value}).upper()


@pytest.mark.parametrize("size", [1, 12, 15, 17, 32])
def test_an_iv_of_another_size_is_refused(size: int) -> None:
    assert f"{size} bytes" in refusal(V1 | {"x-amz-iv": text(bytes(size))})


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x10", "1_0", " 1", "1\n", "٣", "9" * 20, "nan", "9" * 5000])
def test_what_is_no_length_is_refused(value: str) -> None:
    assert "content-length" in refusal(V1 | {"x-amz-unencrypted-content-length": value})


@given(
    st.dictionaries(
        st.sampled_from([*V1, *V2, "x-amz-tag-len", "x-amz-3"]),
        st.one_of(st.text(max_size=40), st.sampled_from([*V1.values(), *V2.values()])),
    )
)
def test_whatever_stands_in_the_headers_is_understood_or_refused(metadata: dict[str, str]) -> None:
    envelope, message = None, ""
    try:
        envelope = parse_envelope(metadata)
    except MediaDamaged as error:
        message = str(error)
    assert len(message) < 200
    assert envelope is None or len(envelope.iv) == 16
