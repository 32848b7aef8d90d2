"""How fast `twfs.media` is by itself, layer by layer, beside what no reader can do without.

    python -m tests.benchmarks.media [MIB]

No network and no FUSE: ciphertext lies in memory. The peers are `cryptography` decrypting the same bytes in place in
one thread, and copying them; they and the layers run in turn, and each line is the median of five rounds.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.media.fakes import MIB, House, Sealed, plain_object, random_bytes, sealed_object
from twfs.clock import Deadline, SystemClock
from twfs.media.block_cache import BLOCK_SIZE, BlockCache
from twfs.media.prefetch import Prefetcher, Share
from twfs.media.reader import MediumReader
from twfs.ranges import ByteRange

ROUNDS = 5
CLOCK = SystemClock()
KIB = 2**10


def decrypting(size: int) -> float:
    """The peer: fresh bytes copied into one buffer, and decrypted there."""
    ciphertext, buffer = random_bytes(BLOCK_SIZE), memoryview(bytearray(BLOCK_SIZE + 15))
    decryptor = Cipher(AES(bytes(32)), CBC(bytes(16))).decryptor()
    begun = time.perf_counter()
    for _ in range(0, size, BLOCK_SIZE):
        buffer[:BLOCK_SIZE] = ciphertext
        decryptor.update_into(buffer[:BLOCK_SIZE], buffer)
    return time.perf_counter() - begun


def copying(size: int) -> float:
    """The peer of what is not encrypted: two copies, from the connection and to the kernel."""
    source, buffer, target = random_bytes(MIB), bytearray(MIB), bytearray(MIB)
    begun = time.perf_counter()
    for _ in range(0, size, MIB):
        buffer[:] = source
        target[:] = buffer
    return time.perf_counter() - begun


def planning(size: int) -> float:
    """Prefetch decisions alone, at 128 KiB a read."""
    prefetcher = Prefetcher(size)
    begun = time.perf_counter()
    for start in range(0, size, BLOCK_SIZE):
        prefetcher.plan(ByteRange(start, start + BLOCK_SIZE), Share(64 * MIB, 16), missed=False, late=True)
    return time.perf_counter() - begun


def caching(size: int) -> float:
    """Reserving, publishing and using each block once, nothing put in nor taken out."""
    cache, deadline = BlockCache(64 * MIB), Deadline(CLOCK, 600)
    begun = time.perf_counter()
    for index in range(size // BLOCK_SIZE):
        block = cache.reserve_ahead(("RT", index), BLOCK_SIZE)
        assert block is not None
        cache.publish(block)
        cache.use("RT", range(index, index + 1), deadline, lambda _block: True)
    return time.perf_counter() - begun


def reading(sealed: Sealed, step: int, readers: int = 1) -> Callable[[int], float]:
    """Whole sequential reads by `readers` threads, of one medium each, `size` bytes in sum; nothing cached before."""

    def run(size: int) -> float:
        house = House(
            {f"RT{number}": sealed for number in range(readers)},
            cache_size=256 * MIB,
            connections=16,
            readahead=64 * MIB,
        )
        opened = [house.open(sid) for sid in house.stored.objects]
        with ThreadPoolExecutor(readers) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda reader: _read(reader, size // readers, step), opened))
            spent = time.perf_counter() - begun
        house.stop()
        return spent

    return run


def _read(reader: MediumReader, size: int, step: int) -> None:
    buffer = memoryview(bytearray(step))
    for start in range(0, size, step):
        assert reader.read_into(buffer, start, Deadline(CLOCK, 600)) == step
    reader.close()


def rereading(size: int) -> float:
    """From the cache: what fits it, over and over."""
    part = 16 * MIB
    house = House({"RT": plain_object(random_bytes(part))}, cache_size=64 * MIB, connections=4)
    _read(house.open("RT"), part, MIB)
    begun = time.perf_counter()
    for _ in range(size // part):
        _read(house.open("RT"), part, 128 * KIB)
    spent = time.perf_counter() - begun
    house.stop()
    return spent


def main(size: int) -> None:
    """Print the table."""
    plain = random_bytes(16 * MIB) * (size // (16 * MIB))
    sealed, unsealed = sealed_object(plain), plain_object(plain)
    lines: dict[str, tuple[Callable[[int], float], str]] = {
        "peer: cryptography, one thread": (decrypting, ""),
        "peer: two copies": (copying, ""),
        "prefetch decisions alone": (planning, "peer: two copies"),
        "block cache alone": (caching, "peer: two copies"),
        "re-read from the cache, 128 KiB": (rereading, "peer: two copies"),
        "plain, 128 KiB": (reading(unsealed, 128 * KIB), "peer: two copies"),
        "plain, 1 MiB": (reading(unsealed, MIB), "peer: two copies"),
        "encrypted, 128 KiB": (reading(sealed, 128 * KIB), "peer: cryptography, one thread"),
        "encrypted, 1 MiB": (reading(sealed, MIB), "peer: cryptography, one thread"),
        "encrypted, 8 readers, 128 KiB": (reading(sealed, 128 * KIB, 8), "peer: cryptography, one thread"),
        "encrypted, 32 readers, 128 KiB": (reading(sealed, 128 * KIB, 32), "peer: cryptography, one thread"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(ROUNDS):
        for name, (run, _peer) in lines.items():
            seconds[name].append(run(size))
    speed = {name: size / statistics.median(spent) / 1e6 for name, spent in seconds.items()}
    for name, (_run, peer) in lines.items():
        ratio = f"{speed[name] / speed[peer]:8.2f} x its peer" if peer else ""
        sys.stdout.write(f"{name:34}{speed[name]:10.0f} MB/s{ratio}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 256 * MIB)
