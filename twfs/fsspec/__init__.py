"""An account's media as a standard Python file system (fsspec): `twilio://ACCOUNT/recordings/RT….mkv`."""

from twfs.fsspec.filesystem import TwilioFileSystem

__all__ = ["TwilioFileSystem"]
