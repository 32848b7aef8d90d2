"""The options of reading."""

from twfs.option import Option, parse_size, size_of_at_least

SMALLEST_CACHE = 8 * 2**20
"""With less, one stream of 1 MiB requests and its window would throw each other out."""

OPTIONS = (
    Option(
        "cache_size",
        size_of_at_least(SMALLEST_CACHE),
        256 * 2**20,
        "memory for decrypted blocks, data in flight included: a hard bound",
        "SIZE",
    ),
    Option("readahead", parse_size, 64 * 2**20, "largest prefetch window per stream", "SIZE"),
)
