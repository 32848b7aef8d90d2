"""How bytes are got: a medium open for reading, its prefetch windows, the block cache, decrypting ranged reads."""
