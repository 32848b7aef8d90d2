"""Which account is meant and which credentials belong to it, out of all places that may hold some.

A place's parts are never mixed with another's: a key of here and a secret of there would be refused by Twilio at best.
The account is named by SOURCE, else by the first layer that has an `account_sid` or a credentials file with one, else
by `TWILIO_ACCOUNT_SID`. The credentials are those of the first of these that fit it: the file given by `-o`, a flag
or `TWFS_CREDENTIALS`; the `TWILIO_*` variables; the profile's file; systemd's credentials folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twfs.config.layers import Layer, naming, value_of
from twfs.config.secrets import Credentials, CredentialSet, credential_set, read_credentials_file, systemd_file
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError

_VARIABLES = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "api_key": "TWILIO_API_KEY",
    "api_secret": "TWILIO_API_SECRET",
    "auth_token": "TWILIO_AUTH_TOKEN",
}


class NoCredentials(ConfigError):
    """No place has credentials for the account."""


@dataclass(frozen=True, slots=True)
class Places:
    """All places that may name an account or hold credentials."""

    explicit: Sequence[Layer]
    """Flags, then environment."""
    profile: Layer
    environ: Mapping[str, str]
    systemd_folder: Path | None
    home: Path

    def named(self, name: str, layers: Sequence[Layer]) -> str | None:
        """The option's value in `layers`, if it is given there."""
        value: str | None = value_of(OPTIONS[name], layers, self.home)
        return value

    def file_of(self, layer: Layer) -> CredentialSet | None:
        """What the credentials file given by the layer holds."""
        path = value_of(OPTIONS["credentials"], [layer], self.home)
        with naming("credentials", [layer]):
            return read_credentials_file(path, self.systemd_folder) if path else None

    def twilio_variables(self) -> CredentialSet:
        """The environment as Twilio's own tools read it."""
        values = {name: self.environ.get(variable, "") for name, variable in _VARIABLES.items()}
        return credential_set(values, "the TWILIO_* environment variables")


def choose_credentials(places: Places, account_sid: str | None) -> tuple[str, Credentials]:
    """The account's SID and its credentials; `account_sid` is that of SOURCE, if it has one.

    Raises:
        NoCredentials: none fit; says of each place that was looked at why.
        ConfigError: a place that was asked for cannot be used.
    """
    account = account_sid or _named_account(places)
    wanted_key = places.named("api_key", places.explicit)
    filled_key = places.named("api_key", [*places.explicit, places.profile])
    passed_over = []
    for found, is_explicit in _candidates(places):
        try:
            _refuse_contradiction(found, account, wanted_key)
            return _complete(found, account or found.account_sid, found.api_key or filled_key)
        except ConfigError as why_not:
            if is_explicit:
                raise
            passed_over.append(str(why_not))
    raise NoCredentials(
        "; ".join([f"no credentials for {account or 'any account'}", *passed_over])
        + "; give credentials=FILE, or set TWILIO_ACCOUNT_SID, TWILIO_API_KEY and TWILIO_API_SECRET"
    )


def _named_account(places: Places) -> str | None:
    for layer in (*places.explicit, places.profile):
        account = places.named("account_sid", [layer])
        found = None if account else places.file_of(layer)
        if account or (found and found.account_sid):
            return account or (found.account_sid if found else None)
    return places.twilio_variables().account_sid


def _candidates(places: Places) -> Iterator[tuple[CredentialSet, bool]]:
    """Each with whether it was asked for here and now, so that it must fit."""
    explicit = next(filter(None, map(places.file_of, places.explicit)), None)
    if explicit:
        yield explicit, True
    variables = places.twilio_variables()
    if variables.api_secret or variables.auth_token:
        yield variables, False
    of_profile = places.file_of(places.profile)
    if of_profile:
        yield of_profile, False
    of_systemd = systemd_file(places.systemd_folder, "credentials")
    if of_systemd:
        yield read_credentials_file(of_systemd, places.systemd_folder), False


def _refuse_contradiction(found: CredentialSet, account: str | None, wanted_key: str | None) -> None:
    if account and found.account_sid and found.account_sid != account:
        raise ConfigError(f"{found.origin}: for the account {found.account_sid}, not {account}")
    if wanted_key and found.api_key and found.api_key != wanted_key:
        raise ConfigError(f"{found.origin}: for the API key {found.api_key}, not {wanted_key}")


def _complete(found: CredentialSet, account: str | None, api_key: str | None) -> tuple[str, Credentials]:
    if not account:
        raise ConfigError(f"{found.origin}: account_sid is missing")
    if api_key and found.api_secret:
        return account, Credentials(api_key, found.api_secret)
    if found.auth_token:
        return account, Credentials(account, found.auth_token)
    missing = "api_key" if found.api_secret else "api_secret (or auth_token)"
    raise ConfigError(f"{found.origin}: {missing} is missing")
