import hashlib

import pytest

from twfs.simulator.objects import StoredObject


def test_the_etag_is_the_md5_of_the_bytes() -> None:
    assert StoredObject(b"abc").etag == hashlib.md5(b"abc").hexdigest()


@pytest.mark.parametrize(("length", "parts"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_the_etag_of_an_upload_in_parts_counts_them(length: int, parts: int) -> None:
    data = bytes(length)
    pieces = [data[at : at + 10] for at in range(0, parts * 10, 10)]
    joined = b"".join(hashlib.md5(piece).digest() for piece in pieces)
    assert StoredObject(data, part_size=10).etag == f"{hashlib.md5(joined).hexdigest()}-{parts}"


def test_neither_data_nor_plaintext_show_in_its_repr() -> None:
    assert "secret" not in repr(StoredObject(b"secret", plain=b"secret"))
