"""Objects sealed by aioboto3's S3CSE in a moto server, read by pre-signed URLs: nothing of ours on the other side."""

import random
from collections.abc import Iterator

import pytest

from tests.crypto.keys import keyring, rsa_key
from tests.moto_s3 import LENGTH_HEADER, SMALLEST_PART, MotoBucket
from twfs.clock import Deadline, SystemClock
from twfs.crypto.cbc import AES_BLOCK, IN_PLACE_SLACK, cipher_range, cipher_size
from twfs.crypto.unlock import Unlocked, Unlocker
from twfs.errors import NoKey, ObjectChanged
from twfs.event_loop import LoopThread
from twfs.probe import MediaState, ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.lease import UrlLease
from twfs.remote.s3 import Network, S3Object
from twfs.remote.transport import Transport

KEY = "AC1/RT1"
UNLOCKER = Unlocker(keyring(0))


@pytest.fixture(scope="module")
def bucket() -> Iterator[MotoBucket]:
    with MotoBucket() as bucket:
        yield bucket


@pytest.fixture
def stored(bucket: MotoBucket) -> Iterator[S3Object]:
    network = Network(Transport(2), LoopThread(2))
    yield S3Object("RT1", network, UrlLease(lambda _: bucket.presign(KEY), SystemClock()), ("localhost",))
    network.close()


def soon() -> Deadline:
    return Deadline(SystemClock(), 20)


def plaintext(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def ranges(size: int, count: int) -> list[ByteRange]:
    """The whole, both ends, and some at random."""
    chance = random.Random(size)
    starts = [chance.randrange(size) for _ in range(count)]
    drawn = [ByteRange(start, chance.randint(start + 1, min(size, start + 50_000))) for start in starts]
    return [ByteRange(0, size), ByteRange(0, 1), ByteRange(size - 1, size), *drawn]


def read(stored: S3Object, facts: ObjectFacts, unlocked: Unlocked, wanted: ByteRange) -> bytes:
    needed = cipher_range(wanted)
    buffer = bytearray(needed.size + IN_PLACE_SLACK)
    view = memoryview(buffer)
    view[: needed.size] = stored.read(needed, facts, soon())
    before = AES_BLOCK if wanted.start >= AES_BLOCK else 0
    iv = bytes(view[:before]) or unlocked.iv
    unlocked.content_key.decryptor(iv).decrypt_in_place(view[before:], needed.size - before)
    first = before + wanted.start % AES_BLOCK
    return bytes(view[first : first + wanted.size])


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 100_001])
def test_what_others_sealed_is_read_at_any_range(
    bucket: MotoBucket, stored: S3Object, size: int, *, with_length: bool
) -> None:
    plain = plaintext(size)
    bucket.seal(KEY, plain, rsa_key().public_key(), with_length=with_length)
    facts = stored.inspect(soon())
    assert (facts.stored_size, LENGTH_HEADER in facts.metadata) == (cipher_size(size), with_length)
    info = UNLOCKER.interpret(facts)
    assert (info.state, info.plain_size, info.encrypted) == (MediaState.READABLE, size, True)
    unlocked = UNLOCKER.unlock(facts)
    assert unlocked is not None
    for wanted in ranges(size, 20) if size else []:
        assert read(stored, facts, unlocked, wanted) == plain[wanted.start : wanted.end]


def test_an_upload_in_parts_is_one_cbc_stream(bucket: MotoBucket, stored: S3Object) -> None:
    plain = plaintext(SMALLEST_PART + 100_000)
    bucket.seal(KEY, plain, rsa_key().public_key(), with_length=False, in_parts=True)
    facts = stored.inspect(soon())
    assert facts.etag.endswith('-2"')
    unlocked = UNLOCKER.unlock(facts)
    assert unlocked is not None
    assert unlocked.plain_size == len(plain)
    for wanted in (ByteRange(SMALLEST_PART - 40, SMALLEST_PART + 40), *ranges(len(plain), 5)[1:]):
        assert read(stored, facts, unlocked, wanted) == plain[wanted.start : wanted.end]


def test_another_key_opens_nothing(bucket: MotoBucket, stored: S3Object) -> None:
    bucket.seal(KEY, plaintext(1000), rsa_key(1).public_key())
    facts = stored.inspect(soon())
    assert UNLOCKER.interpret(facts).state is MediaState.LOCKED
    with pytest.raises(NoKey):
        UNLOCKER.unlock(facts)
    assert Unlocker(keyring(0, 1)).unlock(facts) is not None


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_what_is_not_encrypted_is_read_as_it_is(bucket: MotoBucket, stored: S3Object, size: int) -> None:
    data = plaintext(size)
    bucket.put(KEY, data, {"room": "RM1"})
    facts = stored.inspect(soon())
    assert (facts.stored_size, facts.metadata, facts.tail) == (size, {"room": "RM1"}, data[-32:])
    assert UNLOCKER.unlock(facts) is None


def test_an_object_put_anew_has_changed(bucket: MotoBucket, stored: S3Object) -> None:
    bucket.seal(KEY, plaintext(1000), rsa_key().public_key())
    facts = stored.inspect(soon())
    bucket.seal(KEY, plaintext(1000), rsa_key().public_key())
    with pytest.raises(ObjectChanged):
        stored.read(ByteRange(0, 16), facts, soon())
