"""Whole media, proven: downloaded, verified, or decrypted from a file at hand."""
