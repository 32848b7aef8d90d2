"""Which private key opens an object, proven; and what its probe therefore means.

A content key counts only when everything known agrees: its length is legal, the last block's padding is valid, and the
plaintext length equals the envelope's where the envelope names one. Where the envelope names none, or something
disagrees, the wrapping's own structure decides whether this was the wrong key or the object is damaged.

All that may agree by chance with a wrong key, once in some 20,000 media: among many it happens. So the structure is
looked at before anything is decrypted for a reader, always. To tell a medium's size it is not: the size would be right.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from twfs.crypto.cbc import AES_BLOCK, ContentKey, cipher_size, padding_size
from twfs.crypto.envelope import Envelope, parse_envelope
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.errors import MediaDamaged, NoKey
from twfs.probe import TAIL_SIZE, MediaInfo, MediaState, ObjectFacts

_RULES = "1"
"""To be raised with any change of what this module opens or refuses."""


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An encrypted object that can be read."""

    content_key: ContentKey
    iv: bytes
    plain_size: int
    key_name: str


class Unlocker:
    """Opens objects with the private keys of one keyring. Safe for use by several threads."""

    def __init__(self, keyring: Keyring, look_for_keys: Callable[[], None] = lambda: None) -> None:
        """Keys are tried in the keyring's order; where none fits, `look_for_keys` may add some to it."""
        self._keyring = keyring
        self._look_for_keys = look_for_keys

    @property
    def keys(self) -> str:
        """A digest of the public keys, and of the rules of this module: what both are the same for means the same."""
        prints = sorted(key.fingerprint for key in self._keyring)
        return blake2b("\n".join((_RULES, *prints)).encode(), digest_size=8).hexdigest()

    def interpret(self, facts: ObjectFacts) -> MediaInfo:
        """What a probe means; never raises for what is wrong with the object, that is its state."""
        fallback_size = facts.stored_size
        try:
            envelope = parse_envelope(facts.metadata)
            if envelope is None:
                return MediaInfo(MediaState.READABLE, facts.stored_size, encrypted=False, etag=facts.etag, facts=facts)
            fallback_size = _size_without_key(envelope, facts)
            plain_size = self._unlock(envelope, facts, for_reading=False).plain_size
        except NoKey as error:
            return MediaInfo(MediaState.LOCKED, fallback_size, True, facts.etag, str(error), facts)  # noqa: FBT003  (encrypted)
        except MediaDamaged as error:
            return MediaInfo(MediaState.DAMAGED, fallback_size, True, facts.etag, str(error), facts)  # noqa: FBT003  (encrypted)
        return MediaInfo(MediaState.READABLE, plain_size, encrypted=True, etag=facts.etag, facts=facts)

    def unlock(self, facts: ObjectFacts) -> Unlocked | None:
        """What it takes to decrypt the object; None if it is not encrypted.

        Raises:
            NoKey: no private key at hand fits.
            MediaDamaged: unknown envelope, or the right key shows a wrong padding or length.
        """
        envelope = parse_envelope(facts.metadata)
        return None if envelope is None else self._unlock(envelope, facts, for_reading=True)

    def _unlock(self, envelope: Envelope, facts: ObjectFacts, *, for_reading: bool) -> Unlocked:
        _check_lengths(facts)
        known = tuple(self._keyring)
        unlocked = _try_keys(known, envelope, facts, for_reading=for_reading)
        if unlocked is None:
            self._look_for_keys()
            added = tuple(self._keyring)[len(known) :]
            unlocked = _try_keys(added, envelope, facts, for_reading=for_reading)
        if unlocked is None:
            raise NoKey(_no_key(self._keyring))
        return unlocked


def _try_keys(
    keys: Iterable[PrivateKey], envelope: Envelope, facts: ObjectFacts, *, for_reading: bool
) -> Unlocked | None:
    """What the first key that fits gives; None if none does.

    Raises:
        MediaDamaged: one fits, and the object is damaged.
    """
    damage = None
    for key in keys:
        try:
            unlocked = _try_key(key, envelope, facts, for_reading=for_reading)
        except MediaDamaged as error:
            damage = error
            continue
        if unlocked is not None:
            return unlocked
    if damage is not None:
        raise damage
    return None


def _no_key(keyring: Keyring) -> str:
    closed = "".join(f"; {each}" for each in keyring.passed_over if each.may_be_needed)
    return f"{keyring.none_does('fit')}; add the one it was encrypted for{closed}"


def _try_key(key: PrivateKey, envelope: Envelope, facts: ObjectFacts, *, for_reading: bool) -> Unlocked | None:
    candidate = key.unwrap(envelope.wrapped_key)
    if candidate is None:
        return None
    content_key = ContentKey(candidate)
    plain_size = _plain_size(content_key, envelope.iv, facts)
    agreed = plain_size is not None and plain_size == envelope.plain_size
    if (for_reading or not agreed) and not key.wraps_legal_key(envelope.wrapped_key):
        return None
    if plain_size is None or envelope.plain_size not in (None, plain_size):
        # One sentence for both: which of the two failed is nobody's business but the owner's (padding oracles).
        raise MediaDamaged("the object's end does not fit its envelope (padding or length)")
    return Unlocked(content_key, envelope.iv, plain_size, key.name)


def _plain_size(content_key: ContentKey, iv: bytes, facts: ObjectFacts) -> int | None:
    last_iv = facts.tail[:AES_BLOCK] if len(facts.tail) == TAIL_SIZE else iv
    padding = padding_size(content_key.decrypt(last_iv, facts.tail[-AES_BLOCK:]))
    return None if padding is None else facts.stored_size - padding


def _check_lengths(facts: ObjectFacts) -> None:
    if facts.stored_size < AES_BLOCK or facts.stored_size % AES_BLOCK:
        raise MediaDamaged(
            f"an encrypted object of {facts.stored_size} bytes is cut: it must be a multiple of {AES_BLOCK}"
        )
    if len(facts.tail) != min(TAIL_SIZE, facts.stored_size):
        raise MediaDamaged("the object's last blocks did not come whole")


def _size_without_key(envelope: Envelope, facts: ObjectFacts) -> int:
    claimed = envelope.plain_size
    return claimed if claimed is not None and cipher_size(claimed) == facts.stored_size else facts.stored_size
