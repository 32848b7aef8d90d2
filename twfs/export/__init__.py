"""Copying media, decrypted, to wherever fsspec leads: here in threads, or on a Dask cluster."""
