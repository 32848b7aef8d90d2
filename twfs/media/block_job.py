"""Stored bytes on their way into blocks of the cache, and made plaintext there."""

from collections.abc import Iterable, Sequence

from twfs.crypto.cbc import AES_BLOCK, Decryptor, cipher_range
from twfs.errors import TwfsError
from twfs.media.block_cache import BLOCK_SIZE, Block, BlockCache
from twfs.media.plain_object import PlainObject
from twfs.media.range_queue import NotWanted, RangeJob
from twfs.ranges import ByteRange, ceil_div


class BlockJob(RangeJob):
    """Neighbouring blocks of one object, reserved, to be filled by one range: each is published once it is whole."""

    def __init__(
        self,
        plain_object: PlainObject,
        blocks: Sequence[Block],
        cache: BlockCache,
        step_seconds: float,
        *,
        urgent: bool,
    ) -> None:
        """`blocks` are in order; each may take `step_seconds`; `urgent` if a reader waits for them."""
        super().__init__(plain_object.medium, plain_object.facts, step_seconds, urgent=urgent)
        self.blocks = blocks
        self._unlocking = plain_object.unlocking
        self._cache = cache
        self._come = 0
        """How many blocks' stored bytes are all there."""
        self._published = 0
        self._has_failed = False
        self._filled = 0
        """Stored bytes of the next block that are there."""
        self._lead = bytearray()
        """The AES block before the first one, which is its IV: as much of it as has come."""
        self._lead_size = 0
        self._decryptor: Decryptor | None = None

    @property
    def rest(self) -> ByteRange:
        """Stored bytes from the first block on that is not there."""
        last = self.blocks[-1]
        end = last.key[1] * BLOCK_SIZE + last.size
        plain_range = ByteRange(min((self.blocks[0].key[1] + self._come) * BLOCK_SIZE, end), end)
        return plain_range if self._unlocking is None or not plain_range.size else cipher_range(plain_range)

    @property
    def is_over(self) -> bool:
        """Whether all blocks are published or failed."""
        return self._has_failed or self._published == len(self.blocks)

    def is_for_any(self, blocks: Iterable[Block]) -> bool:
        """Whether it fills one of these."""
        return any(block in self.blocks for block in blocks)

    def is_awaited(self) -> bool:
        """Whether a reader waits for one that is not published."""
        return self._cache.is_awaited(self.blocks[self._published :])

    def begin(self) -> None:
        """From the beginning of the first block that is not published."""
        self._come, self._filled = self._published, 0
        self._lead.clear()
        is_first = self.blocks[0].key[1] + self._come == 0
        self._lead_size = 0 if self._unlocking is None or is_first else AES_BLOCK
        self._decryptor = None

    def take(self, piece: bytes) -> None:
        """Into their places; what is whole is made plaintext there, and published."""
        left = memoryview(piece)
        missing = self._lead_size - len(self._lead)
        if missing:
            self._lead += left[:missing]
            left = left[missing:]
        while left:
            block = self.blocks[self._come]
            size = self._stored_size(block)
            end = min(self._filled + len(left), size)
            taken = end - self._filled
            block.view[self._filled : end] = left[:taken]
            self._filled, left = end, left[taken:]
            if end == size:
                self._block_came()

    @property
    def is_held_up(self) -> bool:
        """Whether blocks that are there only wait for the content key."""
        return self._published < self._come

    def complete(self) -> None:
        """Find out the key; publish what is there."""
        if self._unlocking is not None:
            self._unlocking.result()
        self._publish()

    def fail(self, error: TwfsError) -> None:
        """The blocks that are not published will not be."""
        self._has_failed = True
        self._cache.fail(self.blocks[self._published :], error)

    def may_end(self) -> bool:
        """Not while blocks are there that only wait for the key."""
        return not self.is_held_up and super().may_end()

    def _block_came(self) -> None:
        self._come, self._filled = self._come + 1, 0
        self._publish()
        self.progressed()
        if self._come < len(self.blocks) and self.may_end():
            raise NotWanted

    def _publish(self) -> None:
        """What is there, as far as it can be decrypted by now."""
        if self._unlocking is not None and self._decryptor is None:
            unlocked = self._unlocking.at_hand()
            if unlocked is None:
                return
            self._decryptor = unlocked.content_key.decryptor(bytes(self._lead) or unlocked.iv)
        while self._published < self._come:
            block = self.blocks[self._published]
            if self._decryptor is not None:
                self._decryptor.decrypt_in_place(block.view, self._stored_size(block))
            self._published += 1
            self.fetched += block.size
            self._cache.publish(block)

    def _stored_size(self, block: Block) -> int:
        return block.size if self._unlocking is None else ceil_div(block.size, AES_BLOCK) * AES_BLOCK
