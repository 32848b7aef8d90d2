"""What `twfs doctor` finds out about an account: its keys, its state file, Twilio's answers, and S3's."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from twfs.catalog import state_file
from twfs.catalog.options import CatalogSettings, store_path
from twfs.cli.doctor_network import api_mend
from twfs.cli.figures import counted
from twfs.cli.finding import OK, PROBLEM, WARNING, Finding
from twfs.clock import Deadline
from twfs.config.config import Config
from twfs.crypto.keyring import Keyring
from twfs.crypto.unlock import Unlocker
from twfs.errors import (
    BadResource,
    ConfigError,
    DeadlineExceeded,
    MediaAbsent,
    MediaDamaged,
    NoKey,
    TwfsError,
    Unreachable,
)
from twfs.invocation import pasteable
from twfs.mount.session import Session, open_session
from twfs.resources import Kind, ListFilter, Medium, Page, parse_medium

_MOST_SKEW = 30.0
"""Seconds: the margin before its expiry in which a pre-signed URL is not used any more."""

_FORGETFUL = "nothing is remembered, and each mount asks Twilio for everything"

_MOST_LOOKS = 5
"""Media of each kind whose ends are fetched in search of an encrypted one, each by two small requests."""


def account_findings(config: Config, *, ask: bool) -> Iterator[Finding]:
    """What the configuration gives; with `ask` also what Twilio and S3 say to it."""
    yield from check_keys(config.keyring)
    state = check_state(config)
    yield state
    if ask and state.level != PROBLEM:
        # Nothing is read through the cache, and one that the machine does not have is a finding of its own.
        with open_session(replace(config, cache_size=0)) as session:
            yield from _answers(session)


def check_keys(keyring: Keyring) -> Iterator[Finding]:
    """Whether there is a private key, and what lies beside the keys and cannot be used."""
    check = "private keys"
    if len(keyring):
        yield Finding(OK, check, f"private keys: {', '.join(key.name for key in keyring)}")
    else:
        text = "no private key: encrypted media will be listed but cannot be opened"
        yield Finding(WARNING, check, text, "give private_key=PATH")
    for each in keyring.passed_over:
        yield Finding(WARNING if each.may_be_needed else OK, "key files", f"passed over: {each}")


def check_state(config: Config) -> Finding:
    """Whether what is known of the account can be remembered; looks, and changes nothing."""
    settings = CatalogSettings(config.refresh, config.kind, config.room, config.since, config.until)
    file = store_path(config.state_dir, config.account_sid, config.api_url, settings)
    try:
        is_there = file.exists()
    except OSError:
        return _closed_to_us(config.state_dir)
    try:
        state_file.check_state(file)
    except ConfigError as error:
        return Finding(PROBLEM, "state file", str(error))
    return _state_that_is_there(file) if is_there else _state_to_be_made(config.state_dir, file)


def _state_to_be_made(state_dir: Path, file: Path) -> Finding:
    folder = next(path for path in (state_dir, *state_dir.parents) if path.exists())
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding(OK, "state file", f"{file} will be made")
    return Finding(WARNING, "state file", f"{folder} cannot be written: {_FORGETFUL}", "give state_dir=DIR")


def _state_that_is_there(file: Path) -> Finding:
    if not os.access(file, os.R_OK | os.W_OK):
        text = f"{file} is somebody else's: nothing new is remembered"
        return Finding(
            WARNING,
            "state file",
            text,
            f"run as root: chown {os.getuid()} {pasteable(file)}*, or give state_dir=DIR",
        )
    if not _is_sound(file):
        return Finding(
            WARNING,
            "state file",
            f"{file} is damaged, and begun anew by the next mount",
            f"run: {pasteable('rm', file)}",
        )
    return Finding(OK, "state file", f"{file} can be used")


def _closed_to_us(state_dir: Path) -> Finding:
    """Of a folder that is somebody else's, or is in one that we may not enter."""
    above = reversed(state_dir.parents)
    folder = next((path for path in above if not os.access(path, os.X_OK)), state_dir)
    # Of another folder it is not ours to say whose it should be: it may be somebody's home.
    mend = f"run as root: chown -R {os.getuid()} {pasteable(folder)}, or " if folder == state_dir else ""
    return Finding(WARNING, "state file", f"{folder} cannot be entered: {_FORGETFUL}", f"{mend}give state_dir=DIR")


def _is_sound(file: Path) -> bool:
    # Without a log nobody has it open: then not even SQLite's own companions of the file are made.
    how = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(bytes(file))}?{how}", uri=True)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError as error:
        # A mount writes just now: then it can read, too.
        return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    except sqlite3.DatabaseError:
        return False


def _answers(session: Session) -> Iterator[Finding]:
    """What Twilio and S3 say."""
    url = session.config.api_url
    pages: dict[Kind, list[Medium]] = {}
    try:
        for kind in Kind:
            pages[kind] = _newest(session, kind)
    except TwfsError as error:
        yield Finding(PROBLEM, "credentials", f"Twilio does not answer as it should: {error}", api_mend(error, url))
        return
    counts = " and ".join(counted(len(media), kind.value) for kind, media in pages.items())
    text = f"{url} answers and takes the credentials ({counts} on the first pages)"
    yield Finding(OK, "credentials", text)
    yield check_clock(session.traffic.clock_skew())
    for kind, media in pages.items():
        yield _check_media(session, kind, media)


def _newest(session: Session, kind: Kind) -> list[Medium]:
    """Completed media of the list's first page; Twilio lists the newest first."""
    page = next(session.api.pages(kind, ListFilter()), Page())
    return [medium for record in page if (medium := _parsed(kind, record)) is not None and medium.is_completed]


def _parsed(kind: Kind, record: object) -> Medium | None:
    try:
        return parse_medium(kind, record)
    except BadResource:
        return None  # A mount passes it over, too, and says so.


def check_clock(skew: float | None) -> Finding:
    """Whether this machine's clock goes as Twilio's does."""
    if skew is None:
        return Finding(WARNING, "clock", "Twilio's answer has no date: the clock could not be compared")
    if abs(skew) <= _MOST_SKEW:
        return Finding(OK, "clock", "the clock goes as Twilio's does")
    text = f"the clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Twilio's"
    return Finding(WARNING, "clock", text, "run as root: timedatectl set-ntp true")


def _check_media(session: Session, kind: Kind, media: list[Medium]) -> Finding:
    """Whether S3 answers, and whether the private keys open the newest encrypted media."""
    check, unlocker = f"media of {kind}", Unlocker(session.config.keyring)
    opened, closed, looked_at = "", "", 0
    for medium in media[:_MOST_LOOKS]:
        try:
            facts = session.stored.inspect(medium, Deadline(session.clock, session.config.timeout))
        except MediaAbsent:
            continue
        except TwfsError as error:
            has_no_answer = isinstance(error, Unreachable | DeadlineExceeded)
            mend = "look at the clock, and at https://status.twilio.com" if has_no_answer else ""
            return Finding(PROBLEM, check, f"{kind}: the media cannot be had: {error}", mend)
        looked_at += 1
        try:
            unlocked = unlocker.unlock(facts)
        except (NoKey, MediaDamaged) as error:
            closed = closed or f"{medium.sid} cannot be opened: {error}"
        else:
            opened = opened or (f"{unlocked.key_name} opens {medium.sid}" if unlocked else "")
    return _judge_media(kind, looked_at, opened, closed)


def _judge_media(kind: Kind, looked_at: int, opened: str, closed: str) -> Finding:
    check = f"media of {kind}"
    if not looked_at:
        return Finding(OK, check, f"{kind}: there are none to try S3 and the private keys with")
    if closed:
        text = f"{kind}: S3 answers" + (f", {opened}" if opened else "") + f", but {closed}"
        return Finding(WARNING if opened else PROBLEM, check, text, "give all private keys by private_key=PATH")
    if opened:
        return Finding(OK, check, f"{kind}: S3 answers, {opened}")
    newest = f"none of the {looked_at} newest" if looked_at > 1 else "the newest one"
    is_not = "is encrypted" if looked_at > 1 else "is not encrypted"
    text = f"{kind}: S3 answers; {newest} {is_not}, so no private key was tried"
    return Finding(OK, check, text)
