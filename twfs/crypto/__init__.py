"""Pure functions of bytes, no I/O: CBC offset arithmetic and blocks, envelopes, private keys."""
