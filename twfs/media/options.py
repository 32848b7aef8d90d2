"""The options of reading."""

from twfs.option import Option, parse_size

OPTIONS = (
    Option(
        "cache_size",
        parse_size,
        256 * 2**20,
        "memory for decrypted blocks, data in flight included: a hard bound",
        "SIZE",
    ),
    Option("readahead", parse_size, 64 * 2**20, "largest prefetch window per stream", "SIZE"),
)
