"""The catalogue's options, and which part of an account they select."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from math import ceil
from os import getuid
from pathlib import Path

from twfs.errors import ConfigError
from twfs.option import Option, number, one_of, parse_path
from twfs.resources import Kind, ListFilter, Medium, is_sid

DEFAULT_API_URL = "https://video.twilio.com"


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """How often to look, and at which part of the account; moments are seconds since 1970 UTC, `[since, until)`."""

    refresh: float = 60.0
    kind: str = "all"
    room: str | None = None
    since: int | None = None
    until: int | None = None
    timeout: float = 30.0
    """Seconds that looking at one medium in the background may take; no part of the selection."""

    def __post_init__(self) -> None:
        """Refuse what can select nothing: it would show an account without media.

        Raises:
            ConfigError: `until` is not after `since`.
        """
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ConfigError("until is not after since, so no medium is in between; exchange them?")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The lists to be asked for."""
        return tuple(Kind) if self.kind == "all" else (Kind(self.kind),)

    @property
    def wanted(self) -> ListFilter:
        """The part of each list."""
        return ListFilter(created_after=self.since, created_before=self.until, room_sid=self.room)

    def includes(self, medium: Medium) -> bool:
        """Whether nothing that is known of `medium`, which Twilio listed for this selection, contradicts it."""
        created = medium.created_at
        return (
            medium.kind in self.kinds
            # A record need not name its room. Then Twilio's filter is believed, which all of this store passed.
            and (self.room is None or medium.room_sid in (None, self.room))
            and (created is None or self.since is None or created >= self.since)
            and (created is None or self.until is None or created < self.until)
        )

    def chooses(self, medium: Medium) -> bool:
        """The same of a medium that Twilio listed among all: one that names no room is not known to be of this one."""
        return self.includes(medium) and (self.room is None or medium.room_sid == self.room)


def parse_moment(text: str) -> int:
    """Seconds since 1970 UTC from an ISO 8601 date or date-time; UTC where no zone is given.

    Fractions count as the next second: media are dated in whole ones, so the same are before it and from it on.

    Raises:
        ConfigError: neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return ceil((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ConfigError(f"{text!r} is no date; write it as 2017-11-23 or 2017-11-23T16:47:17Z") from None


def parse_room(text: str) -> str:
    """A room's SID.

    Raises:
        ConfigError: it is none.
    """
    if not is_sid(text.strip(), "RM"):
        raise ConfigError(f"{text!r} is no room SID; it is RM and 32 hexadecimal digits")
    return text.strip()


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """`$CACHE_DIRECTORY` (systemd's, the first if there are several), else `~/.cache/twfs`.

    HOME may be empty under mount(8): then the home directory is that of the user database.
    """
    given = environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environ.get("HOME") or pwd.getpwuid(getuid()).pw_dir
    return Path(home) / ".cache" / "twfs"


def store_path(state_dir: Path, account_sid: str, api_url: str, settings: CatalogSettings) -> Path:
    """The state file of this account, or of this selection of it: two selections share nothing.

    Raises:
        ConfigError: `account_sid` is none.
    """
    if not is_sid(account_sid, "AC"):
        raise ConfigError(f"{account_sid!r} is no account SID; it is AC and 32 hexadecimal digits")
    selection = (api_url.rstrip("/"), settings.kind, settings.room, settings.since, settings.until)
    if selection == (DEFAULT_API_URL, "all", None, None, None):
        return state_dir / f"{account_sid}.sqlite3"
    digest = blake2b(repr(selection).encode(), digest_size=8).hexdigest()
    return state_dir / f"{account_sid}-{digest}.sqlite3"


def _parse_path(text: str) -> Path:
    try:
        return parse_path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text!r} names a home directory that does not exist") from None


OPTIONS = (
    Option("refresh", number(float, 1, 86400), 60.0, "seconds between looks for new media", "SECONDS"),
    Option(
        "state_dir",
        _parse_path,
        None,
        "folder of the catalogue (no secret, no plaintext); ~/.cache/twfs or $CACHE_DIRECTORY if not given",
        "DIR",
    ),
    Option(
        "kind",
        one_of("all", *(kind.value for kind in Kind)),
        "all",
        "which media: all, recordings or compositions",
        "KIND",
    ),
    Option("room", parse_room, None, "only media of this room", "RM..."),
    Option("since", parse_moment, None, "only media created at or after this ISO 8601 date or time", "DATE"),
    Option("until", parse_moment, None, "only media created before this ISO 8601 date or time", "DATE"),
)
