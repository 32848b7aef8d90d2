"""The session behind file system objects: one per process, account and options, shared by all objects that use it.

Accounts are held weakly: with the last file system and the last open file the session ends. One that a forked child
inherits is never used there, for its threads did not come along, nor closed, for its connections are the parent's.
"""

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from twfs.catalog.trouble import Troubles
from twfs.clock import Deadline
from twfs.config.keys import tell_what_was_passed_over
from twfs.config.load import load_config
from twfs.errors import CredentialsRefused, NoSuchName, ObjectChanged, RemoteError
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.mount.hardening import environment
from twfs.mount.session import Session, open_session

_Answer = TypeVar("_Answer")
_Key = tuple[str, tuple[tuple[str, str], ...]]
ObjectKey = tuple[str, str]
"""SID of a medium and identity of its object."""


class Account:
    """A catalogue and a reader, in the process that made them. Safe for use by several threads."""

    def __init__(self, session: Session, vfs: Vfs, resources: ExitStack) -> None:
        """`resources` are closed when nobody holds the account any more; the session knows a listing."""
        self.vfs = vfs
        self.pid = os.getpid()
        self.connections = session.config.connections
        self._session = session
        self._troubles = Troubles()
        self._listing = threading.Lock()
        self._listed_at = session.clock.monotonic() - _age_of_listing(session)
        weakref.finalize(self, _close_in, self.pid, resources)

    def look_again(self, *, now: bool = False) -> bool:
        """See what is new if the last look is older than the option `refresh`; whether it was.

        With `now` all is listed anew, whatever the age, and what was deleted is found. Without, an outage keeps the
        last known truth, and is logged once.

        Raises:
            RemoteError, CredentialsRefused: only with `now`.
        """
        clock, catalog = self._session.clock, self._session.catalog
        with self._listing:
            if not now and clock.monotonic() - self._listed_at < self._session.config.refresh:
                return False
            try:
                catalog.first_listing() if now else catalog.list_again()
            except (RemoteError, CredentialsRefused) as error:
                if now:
                    raise
                self._troubles.arose("listing", error, "the list of media may be old")
            else:
                self._troubles.ended("listing", "the list of media is new again")
            self._listed_at = clock.monotonic()
            return True

    def ask(self, question: Callable[[Vfs], _Answer]) -> _Answer:
        """The answer; a name that is not there is looked for once more in a new listing, if the last one is old.

        Raises:
            NoSuchName, and whatever else `question` raises.
        """
        try:
            return question(self.vfs)
        except NoSuchName:
            if not self.look_again():
                raise
        return question(self.vfs)

    def identity_of(self, sid: str) -> str:
        """That of a medium's object: the same text as long as all that is known of it is the same.

        Raises:
            TwfsError: it could not be found out.
        """
        return self._session.catalog.info(sid, Deadline(self._session.clock, self._session.config.timeout)).identity

    def open(self, path: str) -> "OpenFile":
        """A handle; `path` as in a mount.

        Raises:
            TwfsError: as `Vfs.open`.
        """
        opened = self.ask(lambda vfs: vfs.open(path, os.O_RDONLY))
        return OpenFile(self, opened.handle, self.vfs.getattr(path, opened.handle).st_size, opened.object_key)

    def open_same(self, path: str, object_key: ObjectKey) -> "OpenFile":
        """A handle of that very object; what is known of the medium may be older, and is then asked anew.

        Raises:
            ObjectChanged: it is another object now.
            TwfsError: as `open`.
        """
        opened = self.open(path)
        if opened.object_key == object_key:
            return opened
        opened.close()
        self._session.catalog.examine(object_key[0], Deadline(self._session.clock, self._session.config.timeout))
        opened = self.open(path)
        if opened.object_key == object_key:
            return opened
        opened.close()
        raise ObjectChanged(f"{path} was replaced since it was opened")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One open file; holds its account."""

    account: Account
    handle: int
    size: int
    object_key: ObjectKey | None
    """The same as long as it is the same object, on every machine; None for what twfs writes itself."""

    def read_into(self, view: memoryview, plain_offset: int) -> int:
        """Fill `view` from there on; bytes written, fewer than asked only at the end.

        Raises:
            TwfsError: as `Vfs.read`.
        """
        return self.account.vfs.read(self.handle, view, plain_offset)

    def close(self) -> None:
        """Give back what it holds."""
        self.account.vfs.release(self.handle)

    @property
    def is_inherited(self) -> bool:
        """Whether it came here by a fork, so that nobody fetches for it."""
        return self.account.pid != os.getpid()


def account_for(source: str, overrides: Mapping[str, str]) -> Account:
    """The account of `source` with these options (texts by name), opened by the first who asks.

    Credentials and private keys are read here and now, from this process's environment and files.

    Raises:
        ConfigError: the configuration cannot be used.
        RemoteError, CredentialsRefused: nothing is known of the account, and Twilio did not answer.
    """
    key = (source, tuple(sorted(overrides.items())))
    return _accounts.get(key)


class _Accounts:
    """Those that are in use in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: weakref.WeakValueDictionary[_Key, Account] = weakref.WeakValueDictionary()

    def get(self, key: _Key) -> Account:
        with self._lock:
            account = self._in_use.get(key)
            if account is None:
                account = self._in_use[key] = _opened(key)
            return account

    def held(self) -> list[Account]:
        """All of them. Takes no lock: in a forked child nobody else is there, and the lock may be held by nobody."""
        return list(self._in_use.values())


_accounts = _Accounts()
# What a forked child got of its parent, kept for ever: to let go of it would close the parent's state file.
_inherited: list[Account] = []


def _begin_anew() -> None:
    global _accounts  # noqa: PLW0603 - a child of a fork has its own, from here on
    _inherited.extend(_accounts.held())
    _accounts = _Accounts()


os.register_at_fork(after_in_child=_begin_anew)


def _opened(key: _Key) -> Account:
    source, overrides = key
    config = load_config(source, dict(overrides), environment())
    tell_what_was_passed_over(config.keyring)
    with ExitStack() as resources:
        session = resources.enter_context(open_session(config))
        session.know_something()
        settings = FsSettings(os.geteuid(), os.getegid(), config.timeout)
        vfs = Vfs(session.catalog, session.library, settings, session.clock, {})
        return Account(session, vfs, resources.pop_all())


def _age_of_listing(session: Session) -> float:
    """Seconds, by the wall clock; a clock that jumped says nothing, so that the listing counts as old."""
    listed_at = session.catalog.status()["last_refresh"]
    age = float("inf") if listed_at is None else session.clock.wall() - listed_at
    return age if age >= 0 else float("inf")


def _close_in(pid: int, resources: ExitStack) -> None:
    if os.getpid() == pid:
        resources.close()
