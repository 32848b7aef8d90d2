"""Whether an answer of S3 is of the object that was looked at: all that it carries must agree with what is known.

An equal ETag is not enough, and some stores send none. What is known may come from a state file besides, and is no
proof of anything that was not seen: with another object's key and IV its bytes would be decrypted to nonsense.
"""

from collections.abc import Mapping

from twfs.probe import STORE_ENCRYPTION, ObjectFacts


def is_replaced(facts: ObjectFacts, total: int, etag: str, metadata: Mapping[str, str]) -> bool:
    """Whether an answer that tells so of length, ETag and metadata is of another object than `facts`.

    Proxies drop metadata: where none came, an equal strong ETag stands for it.
    """
    if total != facts.stored_size or etag != facts.etag:
        return True
    told = _of_the_object(metadata)
    if not told and facts.has_strong_etag:
        return False
    return told != _of_the_object(facts.metadata)


def ends_otherwise(facts: ObjectFacts, stored_end: int, last: memoryview) -> bool:
    """Whether the bytes before `stored_end` of the object, `last`, contradict what is known of its end."""
    count = min(len(last), len(facts.tail))
    return stored_end == facts.stored_size and count > 0 and last[-count:] != facts.tail[-count:]


def _of_the_object(metadata: Mapping[str, str]) -> dict[str, str]:
    """What it was stored with; how the bucket encrypts it may change, and older state files do not have it."""
    return {name: value for name, value in metadata.items() if name not in STORE_ENCRYPTION}
