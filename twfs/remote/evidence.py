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


def ends_otherwise(facts: ObjectFacts, start: int, piece: bytes) -> bool:
    """Whether `piece`, which begins at byte `start` of the object, contradicts what is known of the object's end."""
    tail_start = facts.stored_size - len(facts.tail)
    first, end = max(start, tail_start), start + len(piece)
    return first < end and piece[first - start :] != facts.tail[first - tail_start : end - tail_start]


def _of_the_object(metadata: Mapping[str, str]) -> dict[str, str]:
    """What it was stored with; how the bucket encrypts it may change, and older state files do not have it."""
    return {name: value for name, value in metadata.items() if name not in STORE_ENCRYPTION}
