"""Credentials and private keys that were replaced on disk, noticed without a remount.

Whoever is refused by Twilio, or finds no key, has a look taken; so has SIGHUP. A look reads the configuration anew, by
the rules of the start, and takes from it credentials and keys only: each of the two whatever is wrong with the other.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from math import inf

from twfs.clock import Clock
from twfs.config.accounts import OF_ENVIRONMENT
from twfs.config.config import Config
from twfs.config.secrets import Credentials
from twfs.errors import ConfigError
from twfs.log import OncePerTrouble, log

_PAUSE = 1.0
"""Seconds between two looks on one occasion: however many requests fail meanwhile, the files are read once."""
_SHARE = 20
"""Times as long as a look took is the pause after it: to check an RSA key takes 30 ms (2048 bits) to 200 ms (4096)."""


class Reloading:
    """What is in use, and brings it up to date. Safe for use by several threads.

    Keys are only ever added. One whose file has gone stays in use until the mount ends: where keys are taken away once
    a mount stands, nothing gets locked.
    """

    def __init__(self, config: Config, clock: Clock, use_credentials: Callable[[Credentials], None]) -> None:
        """`use_credentials` has all requests made with others from then on."""
        self._config = config
        self._clock = clock
        self._use_credentials = use_credentials
        self._on_keys: Callable[[], None] = _nobody_cares
        self._on_credentials: Callable[[], None] = _nobody_cares
        self._complaints = OncePerTrouble()
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        """When each occasion may have another look taken."""
        self.credentials = config.credentials
        """Those in use."""

    def attach(self, *, on_keys: Callable[[], None], on_credentials: Callable[[], None]) -> None:
        """Have these called after keys were added, and after credentials were replaced; by whichever thread looked."""
        self._on_keys, self._on_credentials = on_keys, on_credentials

    def for_keys(self) -> None:
        """No key fits: take over what is new, unless this was done just now. What is broken is logged."""
        self._look_unless_just_now("keys")

    def for_credentials(self) -> None:
        """The same where Twilio refuses. Media that no key opens, of which there may be many, do not hold it off."""
        self._look_unless_just_now("credentials")

    def look_now(self) -> None:
        """The same at once, for who asks for it; says also that there was nothing new."""
        with self._lock:
            if not self._look("signal"):
                log.info("credentials and private keys are as they were%s", self._unchangeable())

    def _look_unless_just_now(self, occasion: str) -> None:
        with self._lock:
            if self._clock.monotonic() >= self._next.get(occasion, -inf):
                self._look(occasion)

    def _look(self, occasion: str) -> bool:
        """Whether that changed, or should have changed, something. Must be called with the lock held."""
        began = self._clock.monotonic()
        faults: dict[str, list[str]] = {}
        has_changed = False
        for what, take in (("credentials", self._take_credentials), ("private keys", self._take_keys)):
            try:
                has_changed = take() or has_changed
            except ConfigError as error:
                faults.setdefault(str(error), []).append(what)
        now = self._clock.monotonic()
        self._next[occasion] = now + max(_PAUSE, _SHARE * (now - began))
        self._tell(faults)
        return has_changed or bool(faults)

    def _tell(self, faults: Mapping[str, Sequence[str]]) -> None:
        """What is wrong, with that of which it is; or that nothing is any more."""
        for why, of_what in faults.items():
            kept = " and ".join(of_what)
            self._complaints.warn("files", f"{kept} in use are kept, for new ones do not do: {why}")
        if not faults:
            self._complaints.settle("files", "credentials and private keys can be read again")

    def _take_keys(self) -> bool:
        fresh, known = self._config.again.keyring(), self._config.keyring.passed_over
        new = self._config.keyring.learn(fresh)
        for each in fresh.passed_over:
            if each.may_be_needed and each not in known:
                log.warning("passed over: %s", each)
        if new:
            log.info("private keys were added: %s", ", ".join(key.name for key in new))
            self._on_keys()
        return bool(new)

    def _take_credentials(self) -> bool:
        account_sid, fresh = self._config.again.credentials()
        if account_sid != self._config.account_sid:
            raise ConfigError(f"they are for another account, {account_sid}; mount that one by itself")
        if (fresh.user, fresh.secret) == (self.credentials.user, self.credentials.secret):
            return False
        self.credentials = fresh
        self._use_credentials(fresh)
        log.info("credentials were replaced: from now on %s from %s", fresh.user, fresh.origin)
        self._on_credentials()
        return True

    def _unchangeable(self) -> str:
        is_of_environment = self.credentials.origin.startswith(OF_ENVIRONMENT)
        return f"; {OF_ENVIRONMENT} are those of the start, so to change them mount again" if is_of_environment else ""


def _nobody_cares() -> None:
    """Nothing to be done."""
