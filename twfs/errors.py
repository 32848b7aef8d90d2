"""Every failure twfs knows by name; used by all floors.

TwfsError
├── ConfigError             what the user gave cannot be used (option, file, credentials, key)
├── NoSuchName              no such path in the mount
├── NotADirectory, IsADirectory, NoSuchAttribute, BadHandle
├── ReadOnly                an attempt to change something
├── NotVerified             a deletion is asked for of a medium that is not proven to be readable as a whole
│   └── ProofPending        it may be soon: it is being read, or must be looked at once more
├── NoMoreThreads           the machine refuses one more thread or process
├── NoKey                   no private key at hand opens this medium
├── CredentialsRefused      Twilio answered 401 or 403
├── RemoteError             the network or a server failed
│   ├── Unreachable         no connection, retries spent, 5xx, 429 for too long, nonsense instead of an answer
│   ├── DeadlineExceeded    the operation's time is up
│   └── NotFound            Twilio has no such resource (404)
│       └── MediaAbsent     the resource is there, its media is not (404 of /Media)
├── ObjectChanged           the stored object is another one than was opened (412, other ETag or length)
├── MediaDamaged            bad padding, wrong length, unknown envelope, short body
└── BadResource             a record of a listing that cannot be a medium

The message of each is one line that a user can read: what, why, and where possible what to do.
No message contains a secret or the query of a pre-signed URL: whatever raises one, they are cut out (`redaction`).
"""

from copy import copy
from typing import TypeVar

from twfs.redaction import redacted

E = TypeVar("E", bound=BaseException)


class TwfsError(Exception):
    """Base of all errors that twfs raises on purpose."""

    def __init__(self, *arguments: object) -> None:
        """With the message, less what must not be shown: it goes to logs, status, and other people's programs."""
        super().__init__(*(redacted(part) if isinstance(part, str) else part for part in arguments))


class ConfigError(TwfsError):
    """What the user gave cannot be used."""


class NoSuchName(TwfsError):
    """No such path in the mount."""


class NotADirectory(TwfsError):
    """A path goes through something that is no directory."""


class IsADirectory(TwfsError):
    """A directory where a file is needed."""


class NoSuchAttribute(TwfsError):
    """The extended attribute is not set."""


class BadHandle(TwfsError):
    """The file handle is not open."""


class ReadOnly(TwfsError):
    """An attempt to change something."""


class NotVerified(TwfsError):
    """A deletion is asked for of a medium that is not proven to be readable as a whole."""


class ProofPending(NotVerified):
    """What a deletion needs is not proven yet, and may be when it is asked for again."""


class NoMoreThreads(TwfsError):
    """The machine refuses one more thread or process."""


class NoKey(TwfsError):
    """No private key at hand opens this medium."""


class CredentialsRefused(TwfsError):
    """Twilio refused the account's credentials (401 or 403)."""


class RemoteError(TwfsError):
    """The network or a server failed."""


class Unreachable(RemoteError):
    """No usable answer within the retries allowed."""


class DeadlineExceeded(RemoteError):
    """The operation's time is up."""


class NotFound(RemoteError):
    """Twilio has no such resource."""


class MediaAbsent(NotFound):
    """The resource is there, its media is not."""


class ObjectChanged(TwfsError):
    """The stored object is another one than was opened."""


class MediaDamaged(TwfsError):
    """Bad padding, wrong length, unknown envelope or short body."""


class BadResource(TwfsError):
    """A record of a listing that cannot be a medium."""


def without_traceback(error: E) -> E:
    """Its like, to be kept or raised elsewhere: a traceback keeps the frames of who raised it, and the buffers in them.

    Where tblib is installed (Dask brings it) a mere copy has the traceback too.
    """
    return copy(error).with_traceback(None)
