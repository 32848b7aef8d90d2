"""The file system as libfuse wants it."""
