"""Objects that pretend to be others."""

from twfs.simulator.objects import StoredObject


def under_etag_of(other: StoredObject, stored: StoredObject) -> StoredObject:
    """`stored`, in whose stead one is told the ETag of `other`."""
    object.__setattr__(stored, "etag", other.etag)
    return stored
