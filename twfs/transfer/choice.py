"""Which media are meant."""

from collections.abc import Sequence

from twfs.catalog.options import CatalogSettings
from twfs.errors import NoSuchName
from twfs.folders import PlacedMedium
from twfs.mount.session import Session
from twfs.resources import Medium


def by_sid(session: Session, sids: Sequence[str]) -> list[Medium]:
    """Completed media by their SIDs, each once; Twilio's lists are asked for only if one of them is not known yet.

    Raises:
        NoSuchName: Twilio lists no such completed medium.
        RemoteError, CredentialsRefused: Twilio had to be asked, and did not answer.
    """
    wanted = list(dict.fromkeys(sids))
    catalog = session.catalog
    if not catalog.load() or any(catalog.find(sid) is None for sid in wanted):
        catalog.first_listing()
    return [_found(catalog.find(sid), sid) for sid in wanted]


def _found(placed: PlacedMedium | None, sid: str) -> Medium:
    if placed is None:
        raise NoSuchName(f"{sid}: Twilio lists no completed recording or composition of this SID")
    return placed.medium


def everything(session: Session, selection: CatalogSettings) -> list[Medium]:
    """All completed media of the selection as Twilio lists them now, in the order of time.

    Raises:
        RemoteError, CredentialsRefused: Twilio did not answer.
    """
    session.catalog.load()
    session.catalog.first_listing()
    return sorted(filter(selection.chooses, session.catalog.media().values()), key=by_time)


def by_time(medium: Medium) -> tuple[int, str]:
    """Sorts by creation, then SID."""
    return medium.created_at or 0, medium.sid
