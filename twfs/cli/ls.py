"""`twfs ls`: a table of an account's media."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twfs.catalog.options import CatalogSettings
from twfs.cli.flags import add_option_flags, overrides_of
from twfs.cli.mount import configured
from twfs.cli.output import complain, escaped, say
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError, CredentialsRefused, RemoteError
from twfs.mount.session import Session, open_session
from twfs.probe import MediaInfo
from twfs.resources import Medium

_SELECTION = ("kind", "room", "since", "until")
_HEADINGS = ("TIME", "KIND", "SECONDS", "SIZE", "CODEC", "STATE", "ROOM", "SID", "TRACK")
_RIGHT_ALIGNED = ("SECONDS", "SIZE")
_UNKNOWN = "-"


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser("ls", help="a table of media", description="List an account's completed media.")
    parser.add_argument("source", metavar="SOURCE", nargs="?", default="twilio:", help="as for mount [twilio:]")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more; show where an error comes from")
    add_option_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list as Twilio gives it now; if Twilio cannot be asked, the last known one, and exit 1."""
    overrides = overrides_of(arguments)
    selection = selection_of(overrides)
    config = configured(arguments.source, overrides, verbose=arguments.verbose)
    with open_session(config) as session:
        trouble = _list(session)
        media = sorted(filter(selection.includes, session.catalog.media().values()), key=_by_time)
        rows = [(medium, session.catalog.known_info(medium.sid)) for medium in media]
    say(json.dumps([record_of(*row) for row in rows], indent=2) if arguments.json else table_of(rows))
    if trouble is not None:
        complain("twfs", f"this is what was known before, for Twilio cannot be asked now: {trouble}")
    return 0 if trouble is None else 1


def selection_of(overrides: dict[str, str]) -> CatalogSettings:
    """The part that flags select, taken out of `overrides`.

    It is selected here and not by the catalogue: the mount's own catalogue then serves any selection, sizes included.

    Raises:
        ConfigError: a value that cannot be used.
    """
    return CatalogSettings(**{name: _parsed(name, overrides.pop(name)) for name in _SELECTION if name in overrides})


def table_of(rows: Iterable[tuple[Medium, MediaInfo | None]]) -> str:
    """Aligned columns under headings; names of tracks cannot move the cursor."""
    lines: list[Sequence[str]] = [_HEADINGS]
    lines += [[cells[heading] for heading in _HEADINGS] for cells in (_cells(*row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(_aligned(line, widths) for line in lines)


def record_of(medium: Medium, info: MediaInfo | None) -> dict[str, Any]:
    """A medium as JSON; `size` and what depends on the stored object are null until that was looked at."""
    return {
        "sid": medium.sid,
        "kind": medium.kind.value,
        "path": f"{medium.kind.value}/{medium.file_name}",
        "date_created": _moment(medium.created_at),
        "duration": medium.duration,
        "size": info.plain_size if info else None,
        "codec": medium.codec,
        "container": medium.container,
        "state": info.state.value if info else None,
        "encrypted": info.encrypted if info else None,
        "room_sid": medium.room_sid,
        "participant_sid": medium.participant_sid,
        "track_name": medium.track_name,
    }


def _parsed(name: str, text: str) -> Any:
    try:
        return OPTIONS[name].parse(text)
    except ConfigError as error:
        raise ConfigError(f"option {name}: {error}") from None


def _list(session: Session) -> RemoteError | CredentialsRefused | None:
    """Why the list is not of now, if it is not.

    Raises:
        RemoteError, CredentialsRefused: nothing is known at all.
    """
    is_known = session.catalog.load()
    try:
        session.catalog.first_listing()
    except (RemoteError, CredentialsRefused) as error:
        if not is_known:
            raise
        return error
    return None


def _by_time(medium: Medium) -> tuple[int, str]:
    return medium.created_at or 0, medium.sid


def _cells(medium: Medium, info: MediaInfo | None) -> Mapping[str, str]:
    return {
        "TIME": _moment(medium.created_at) or _UNKNOWN,
        "KIND": medium.kind.value.removesuffix("s"),
        "SECONDS": _UNKNOWN if medium.duration is None else str(medium.duration),
        "SIZE": str(info.plain_size) if info else _UNKNOWN,
        "CODEC": escaped(medium.codec or medium.container or _UNKNOWN),
        "STATE": _state(info),
        "ROOM": medium.room_sid or _UNKNOWN,
        "SID": medium.sid,
        "TRACK": escaped(medium.track_name or _UNKNOWN),
    }


def _state(info: MediaInfo | None) -> str:
    if info is None:
        return _UNKNOWN
    return f"{info.state.value}, {'encrypted' if info.encrypted else 'plain'}" if info.facts else info.state.value


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if heading in _RIGHT_ALIGNED else cell.ljust(width)
        for heading, cell, width in zip(_HEADINGS, line, widths, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _moment(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
