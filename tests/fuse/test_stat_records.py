"""Packed records against what ctypes reads of them, for fields in any order."""

import ctypes

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.fs.unhurried import unhurried
from tests.fuse.taking import Record
from twfs.fs.attributes import Attributes
from twfs.fuse.stat_records import StatRecords


class Reversed(ctypes.Structure):
    """As `Record`, with gaps: some fields are half as wide."""

    _fields_ = tuple(
        (field[0], ctypes.c_uint32 if field[0] in ("st_mode", "st_uid", "st_gid") else field[1])
        for field in reversed(Record._fields_)
    )


attributes = st.builds(
    Attributes,
    st_mode=st.integers(0, 0o177777),
    st_ino=st.integers(1, 2**63 - 1),
    st_nlink=st.integers(1, 2**31),
    st_uid=st.integers(0, 2**32 - 2),
    st_gid=st.integers(0, 2**32 - 2),
    st_size=st.integers(0, 2**62),
    time_ns=st.integers(-(10**18), 10**19),
)


@pytest.mark.parametrize("record_type", [Record, Reversed])
@unhurried
@given(first=attributes, second=attributes, size=st.integers(0, 2**62))
def test_a_record_is_what_was_written(
    record_type: type[ctypes.Structure], first: Attributes, second: Attributes, size: int
) -> None:
    records = StatRecords(record_type, 3)
    records.write_all(1, first)
    records.write_all(2, second)
    records.write_size(2, size)
    for address, expected in zip(records.addresses(1, 3), (first, second._replace(st_size=size)), strict=True):
        record = record_type.from_address(address)
        for name in ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize"):
            assert getattr(record, name) == getattr(expected, name)
        for name in ("st_atimespec", "st_mtimespec", "st_ctimespec"):
            moment = getattr(record, name)
            assert moment.tv_sec * 10**9 + moment.tv_nsec == expected.time_ns


def test_what_is_not_known_is_zero() -> None:
    records = StatRecords(Record, 1)
    records.write(0, 0o100000, 7)
    (address,) = records.addresses(0, 1)
    record = Record.from_address(address)
    assert (record.st_mode, record.st_ino, record.st_size, record.st_mtimespec.tv_sec) == (0o100000, 7, 0, 0)
