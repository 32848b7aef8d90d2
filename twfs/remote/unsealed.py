"""Objects without an envelope: most are plain, some have lost it on the way, and those must not pass for plain.

S3 sends the envelope with every answer, as headers that a proxy may drop. Without them an encrypted object looks like
a plain one of another kind of data: its length is a multiple of the AES block, and it does not begin as media do. That
alone is no proof: there may be kinds of media that are not known here. So somebody must say besides that it should be
encrypted: the medium's record, whose `size` is then that of the plaintext, or the account's settings.
"""

from twfs.crypto.cbc import AES_BLOCK, cipher_size
from twfs.crypto.envelope import parse_envelope
from twfs.errors import MediaDamaged
from twfs.probe import ObjectFacts
from twfs.resources import Medium

HEAD_SIZE = 16
"""Bytes of an object's beginning that tell whether it is media."""

_CONTAINERS = frozenset({"mkv", "mka", "mp4", "webm"})
"""What Twilio writes (facts: its OpenAPI description); how these begin is known."""
_BEGINNINGS = (b"\x1a\x45\xdf\xa3", b"OggS", b"RIFF", b"ID3", b"fLaC")
"""EBML (Matroska and WebM), and containers that Twilio might come to write."""
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide")
"""Types that the first box of an MP4 file may have, behind its length (ISO/IEC 14496-12)."""


def may_be_ciphertext(facts: ObjectFacts) -> bool:
    """Whether an object that has no envelope has the length of one that should."""
    try:
        return parse_envelope(facts.metadata) is None and facts.stored_size > 0 and facts.stored_size % AES_BLOCK == 0
    except MediaDamaged:
        # There is an envelope, if a bad one: nobody will take the object for plain.
        return False


def record_says_encrypted(medium: Medium, facts: ObjectFacts) -> bool:
    """Whether the size that Twilio tells is that of a plaintext whose ciphertext is as long as the object."""
    claimed = medium.claimed_size
    return claimed is not None and cipher_size(claimed) == facts.stored_size


def has_known_container(medium: Medium) -> bool:
    """Whether the record names a container that `begins_like_media` knows."""
    return (medium.container or "").lower() in _CONTAINERS


def begins_like_media(head: bytes) -> bool:
    """Whether the first `HEAD_SIZE` bytes of an object are those of a container; of ciphertext, one in 500 million."""
    return head.startswith(_BEGINNINGS) or head[4:8] in _BOXES
