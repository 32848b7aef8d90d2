"""An account's media as a standard Python file system (fsspec): `twilio://ACCOUNT/recordings/RT….mkv`."""

from twfs.fsspec.failures import NotConfigured
from twfs.fsspec.filesystem import TwilioFileSystem

__all__ = ["NotConfigured", "TwilioFileSystem"]
