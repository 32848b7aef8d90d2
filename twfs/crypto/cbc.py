"""AES-CBC with PKCS#7 padding as a random-access format: all offset arithmetic, and decryption in place.

One AES block decrypts with the ciphertext block before it as its IV, so any plaintext range can be had from the
ciphertext range that covers it and one block more in front. Lengths: ciphertext is always one to sixteen bytes
longer than plaintext, a multiple of 16.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from twfs.ranges import ByteRange, ceil_div

AES_BLOCK = 16
"""Bytes in an AES block, and in an IV."""

KEY_SIZES = (16, 24, 32)
"""Bytes in a content key. The documents disagree on which one Twilio uses, so all are taken."""

IN_PLACE_SLACK = AES_BLOCK - 1
"""Bytes that the target of `decrypt_in_place` must be longer than the data: `update_into` asks for them."""


def cipher_size(plain_size: int) -> int:
    """Bytes of ciphertext that `plain_size` bytes of plaintext become."""
    return (plain_size // AES_BLOCK + 1) * AES_BLOCK


def cipher_range(plain_range: ByteRange) -> ByteRange:
    """The ciphertext needed to decrypt a non-empty `plain_range`.

    Begins with the block that is the IV, except at the object's start, where the envelope has it.
    """
    first_block = plain_range.start // AES_BLOCK
    end_block = ceil_div(plain_range.end, AES_BLOCK)
    return ByteRange(max(first_block - 1, 0) * AES_BLOCK, end_block * AES_BLOCK)


class ContentKey:
    """An unwrapped content key. Lives in memory only; its repr shows nothing of it."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        """`key` has one of `KEY_SIZES` bytes."""
        self._algorithm = AES(key)

    def __repr__(self) -> str:
        """The key's size only."""
        return f"ContentKey({self._algorithm.key_size} bits)"

    def decrypt(self, iv: bytes, ciphertext: bytes) -> bytes:
        """Plaintext of whole AES blocks, padding not removed."""
        decryptor = Cipher(self._algorithm, CBC(iv)).decryptor()
        return decryptor.update(ciphertext) + decryptor.finalize()

    def decryptor(self, iv: bytes) -> "Decryptor":
        """Decrypts in order from the AES block on whose predecessor (or envelope) `iv` is."""
        return Decryptor(Cipher(self._algorithm, CBC(iv)).decryptor())


class Decryptor:
    """Decrypts consecutive ciphertext; each piece's last block is the next one's IV, which the cipher remembers."""

    __slots__ = ("_context",)

    def __init__(self, context: CipherContext) -> None:
        """`context` is at its beginning."""
        self._context = context

    def decrypt_in_place(self, view: memoryview, size: int) -> None:
        """Turn the first `size` bytes of `view`, whole AES blocks, into plaintext.

        `view` is at least `IN_PLACE_SLACK` bytes longer than `size`; what is in those bytes is not defined after.
        """
        self.decrypt_into(view[:size], view[: size + IN_PLACE_SLACK])

    def decrypt_into(self, ciphertext: memoryview, target: memoryview) -> None:
        """Put the plaintext of whole AES blocks at the front of `target`, which is `IN_PLACE_SLACK` bytes longer.

        `target` is other memory, or begins where `ciphertext` does.
        """
        self._context.update_into(ciphertext, target)


def padding_size(last_plain_block: bytes) -> int | None:
    """How many bytes of the last decrypted AES block are PKCS#7 padding, 1 to 16; None if the padding is not valid."""
    count = last_plain_block[-1]
    valid = 1 <= count <= AES_BLOCK and last_plain_block.endswith(bytes([count]) * count)
    return count if valid else None
