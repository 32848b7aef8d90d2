"""Which account is meant and which credentials belong to it, out of all places that may hold some.

Account, key and secret come from one place together: a key of here and a secret of there would be refused by Twilio at
best, and would list another account's media at worst.

The account is named by SOURCE, else by the first layer that has an `account_sid` or a credentials file with one, else
by `TWILIO_ACCOUNT_SID`. The credentials are those of the file given by `-o`, a flag or `TWFS_CREDENTIALS`, which must
fit. Without one they are those of the first of these that fits: the `TWILIO_*` variables; the profile's file, with what
else the profile says; systemd's credentials folder. A place that holds all three goes before one that lacks some. What
it lacks, only SOURCE, an option or the profile may give, never the secrets' other places.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from twfs.config.layers import Layer, naming, value_of
from twfs.config.secrets import Credentials, CredentialSet, credential_set, read_credentials_file, systemd_file
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError
from twfs.log import log

OF_ENVIRONMENT = "the TWILIO_* environment variables"
"""The place's name, for messages."""

_VARIABLES = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "api_key": "TWILIO_API_KEY",
    "api_secret": "TWILIO_API_SECRET",
    "auth_token": "TWILIO_AUTH_TOKEN",
}


class NoCredentials(ConfigError):
    """No place has credentials for the account."""


@dataclass(frozen=True, slots=True)
class Given:
    """A SID, and what gives it, for messages."""

    sid: str
    place: str


@dataclass(frozen=True, slots=True)
class Places:
    """All places that may name an account or hold credentials."""

    explicit: Sequence[Layer]
    """Flags, then environment."""
    profile: Layer
    environ: Mapping[str, str]
    systemd_folder: Path | None
    home: Path
    _files: dict[Path, CredentialSet] = field(default_factory=dict, repr=False)
    """Those that were read: of a pipe there is nothing to read twice."""

    def named(self, name: str, layers: Sequence[Layer]) -> str | None:
        """The option's value in `layers`, if it is given there."""
        value: str | None = value_of(OPTIONS[name], layers, self.home)
        return value

    def given(self, name: str, layers: Sequence[Layer]) -> "Given | None":
        """The same with the place that gives it."""
        for layer in layers:
            value = self.named(name, [layer])
            if value:
                return Given(value, layer.names[name])
        return None

    def file_of(self, layer: Layer) -> CredentialSet | None:
        """What the credentials file given by the layer holds."""
        path = value_of(OPTIONS["credentials"], [layer], self.home)
        if path is not None and path not in self._files:
            with naming("credentials", [layer]):
                self._files[path] = read_credentials_file(path, self.systemd_folder)
        return self._files.get(path)

    def twilio_variables(self) -> CredentialSet:
        """The environment as Twilio's own tools read it."""
        values = {name: self.environ.get(variable, "") for name, variable in _VARIABLES.items()}
        return credential_set(values, OF_ENVIRONMENT)


def choose_credentials(places: Places, account_sid: str | None) -> tuple[str, Credentials]:
    """The account's SID and its credentials; `account_sid` is that of SOURCE, if it has one.

    Raises:
        NoCredentials: none fit; says of each place that was looked at why.
        ConfigError: a place that was asked for cannot be used.
    """
    account = account_sid or _named_account(places)
    wanted_key = places.named("api_key", places.explicit)
    of_source = Given(account_sid, "SOURCE") if account_sid else None
    said = {
        "account_sid": of_source or places.given("account_sid", [*places.explicit, places.profile]),
        "api_key": places.given("api_key", [*places.explicit, places.profile]),
    }
    explicit = next(filter(None, map(places.file_of, places.explicit)), None)
    if explicit:
        _refuse_contradiction(explicit, account, wanted_key)
        return _complete(explicit, said)
    passed_over = []
    for found in _candidates(places):
        try:
            _refuse_contradiction(found, account, wanted_key)
            chosen, credentials = _complete(found, said)
        except ConfigError as why_not:
            passed_over.append(str(why_not))
        else:
            passed_over += _half_in_the_environment(places, found)
            return chosen, replace(credentials, passed_over=tuple(dict.fromkeys(passed_over)))
    raise NoCredentials(
        "; ".join([f"no credentials for {account or 'any account'}", *passed_over])
        + "; give credentials=FILE, or set TWILIO_ACCOUNT_SID, TWILIO_API_KEY and TWILIO_API_SECRET"
    )


def tell_of_credentials(credentials: Credentials) -> None:
    """Log where they come from, for who wants to know more."""
    log.debug("credentials of %s from %s", credentials.user, credentials.origin)
    for other in credentials.passed_over:
        log.debug("credentials passed over: %s", other)


def _named_account(places: Places) -> str | None:
    for layer in (*places.explicit, places.profile):
        account = places.named("account_sid", [layer])
        found = None if account else places.file_of(layer)
        if account or (found and found.account_sid):
            return account or (found.account_sid if found else None)
    return places.twilio_variables().account_sid


def _candidates(places: Places) -> Iterator[CredentialSet]:
    """Those that nobody asked for here and now: whole ones first. A file is not read where the environment will do."""
    variables = places.twilio_variables()
    if _is_whole(variables):
        yield variables
    others = [] if _is_whole(variables) or not (variables.api_secret or variables.auth_token) else [variables]
    of_profile = places.file_of(places.profile)
    if of_profile:
        others.append(_with_the_profile(of_profile, places))
    of_systemd = systemd_file(places.systemd_folder, "credentials")
    if of_systemd:
        others.append(read_credentials_file(of_systemd, places.systemd_folder))
    yield from sorted(others, key=lambda found: not _is_whole(found))


def _half_in_the_environment(places: Places, chosen: CredentialSet) -> list[str]:
    """What to say of secrets there that go unused: whoever set them expects to be told."""
    variables = places.twilio_variables()
    if variables.origin == chosen.origin or not (variables.api_secret or variables.auth_token):
        return []
    try:
        _complete(variables, {"account_sid": None, "api_key": None})
    except ConfigError as why_not:
        return [str(why_not)]
    return []


def _with_the_profile(of_file: CredentialSet, places: Places) -> CredentialSet:
    """A profile and the file that it names are one place."""
    return replace(
        of_file,
        account_sid=of_file.account_sid or places.named("account_sid", [places.profile]),
        api_key=of_file.api_key or places.named("api_key", [places.profile]),
    )


def _is_whole(found: CredentialSet) -> bool:
    has_secret = (found.api_key and found.api_secret) or found.auth_token
    return bool(found.account_sid and has_secret)


def _refuse_contradiction(found: CredentialSet, account: str | None, wanted_key: str | None) -> None:
    if account and found.account_sid and found.account_sid != account:
        raise ConfigError(f"{found.origin}: for the account {found.account_sid}, not {account}")
    if wanted_key and found.api_key and found.api_key != wanted_key:
        raise ConfigError(f"{found.origin}: for the API key {found.api_key}, not {wanted_key}")


def _complete(found: CredentialSet, said: Mapping[str, Given | None]) -> tuple[str, Credentials]:
    """The place's credentials; what was said elsewhere is named with them."""
    account = _own_or_said("account_sid", found.account_sid, found.origin, said)
    if account is None:
        raise ConfigError(f"{found.origin}: account_sid is missing")
    key = _own_or_said("api_key", found.api_key, found.origin, said)
    if key is not None and found.api_secret:
        origin = _origin(found, account, key)
        return account.sid, Credentials(key.sid, found.api_secret, origin)
    if found.auth_token:
        return account.sid, Credentials(account.sid, found.auth_token, _origin(found, account))
    missing = "api_key" if found.api_secret else "api_secret (or auth_token)"
    raise ConfigError(f"{found.origin}: {missing} is missing")


def _own_or_said(name: str, own: str | None, origin: str, said: Mapping[str, Given | None]) -> Given | None:
    return Given(own, origin) if own else said[name]


def _origin(found: CredentialSet, *parts: Given) -> str:
    elsewhere = dict.fromkeys(part.place for part in parts if part.place != found.origin)
    return found.origin + "".join(f", with {place}" for place in elsewhere)
