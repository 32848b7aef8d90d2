"""The life of a mount: from checked options to a file system that stands, and to its end."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import cast

from twfs.catalog.catalog import Catalog
from twfs.catalog.ports import Prover
from twfs.catalog.proving import BackgroundProofs
from twfs.catalog.removal import Remover
from twfs.config.config import Config
from twfs.crypto.keyring import NO_KEY
from twfs.errors import ConfigError, TwfsError
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.fuse.binding import READ_AHEAD, Binding, Choice, load_binding
from twfs.fuse.operations import Operations
from twfs.invocation import pasteable, twfs_command
from twfs.log import log
from twfs.mount.daemon import in_background
from twfs.mount.log_destination import log_destination, log_file, redirect
from twfs.mount.notify import listing_told, status_line, supervision
from twfs.mount.observer import observed
from twfs.mount.session import Session, open_session
from twfs.mount.system import (
    MountFailed,
    absolute,
    detach_stale,
    find_mount,
    is_mounted,
    lets_users_share,
    raise_read_ahead,
)

Listing = Callable[[Catalog], AbstractContextManager[object]]

_FUSE_CONF = Path("/etc/fuse.conf")


def mount(
    config: Config,
    source: str,
    mountpoint: Path,
    account: Sequence[str],
    *,
    foreground: bool,
    prover_of: Callable[[Session], Prover],
    listing: Listing = nullcontext,
) -> None:
    """Mount `source` at `mountpoint`; returns when it stands, or with `foreground` when it has ended.

    `account` are the words by which commands take it. `prover_of` makes what proves media before they are deleted,
    where that is allowed. The block of `listing(catalog)` is the time in which Twilio is asked what there is.

    Raises:
        ConfigError: the options do not fit the machine.
        MountFailed: it did not come about: no such folder, nothing known and no answer from Twilio, libfuse refused.
    """
    place = _checked(mountpoint)
    _check_sharing(config)
    binding = load_binding(cast(Choice, config.fuse))

    if not len(config.keyring):
        log.warning("%s", NO_KEY)

    def serve(ready: Callable[[], None]) -> None:
        _serve(config, source, place, binding, account, prover_of=prover_of, ready=ready, listing=listing)

    if foreground:
        if config.log_file is not None:
            redirect(log_file(config, place))
        _in_foreground(serve, place)
        return
    in_background(serve, _log_elsewhere(config, place))
    if not is_mounted(place):
        raise MountFailed(f"{mountpoint}: the mount is gone already; run with -f -v to see why")


def _log_elsewhere(config: Config, place: Path) -> Callable[[], None]:
    """What sends the log where it goes in the background; the journal stays the journal.

    Raises:
        ConfigError: it cannot be written there.
    """
    if config.log_format == "journal" and config.log_file is None:
        return lambda: None
    return partial(redirect, log_destination(config, place))


def _in_foreground(serve: Callable[[Callable[[], None]], None], place: Path) -> None:
    try:
        serve(lambda: log.info("%s: mounted", place))
    except ConfigError as error:
        # The same as from the background: what is wrong with the options themselves was found before.
        raise MountFailed(str(error)) from error


def _serve(
    config: Config,
    source: str,
    place: Path,
    binding: Binding,
    account: Sequence[str],
    *,
    prover_of: Callable[[Session], Prover],
    ready: Callable[[], None],
    listing: Listing,
) -> None:
    """Mount and serve in this process until the end."""
    with ExitStack() as stack:
        session = stack.enter_context(open_session(config))
        seen = stack.enter_context(observed(session, source, place, binding))
        with listing(session.catalog), listing_told(os.environ, session.catalog, session.clock):
            _first_look(session, source)
        # What is known now stays: looking through 100,000 media for garbage takes a tenth of a second each time.
        gc.freeze()
        vfs = Vfs(
            session.catalog,
            session.library,
            _fs_settings(config),
            session.clock,
            seen.files,
            remover=stack.enter_context(_remover(session, account, prover_of)) if config.allow_delete else None,
            readings=seen.open_files,
            # What the kernel answers from its pages, the access log would not see.
            keeps_pages=config.audit is None,
        )

        def describe() -> str:
            return status_line(place, session.catalog.status(), stands=is_mounted(place))

        supervised = supervision(place, os.environ, describe)

        def begin() -> None:
            seen.begin()
            session.start()
            entry = find_mount(place)
            if entry is not None and binding.is_libfuse3:
                raise_read_ahead(entry, READ_AHEAD // 1024)
            ready()
            supervised.begin()

        binding.run(
            Operations(vfs, binding.caller, seen.calls),
            str(place),
            fsname=source,
            attr_timeout=config.attr_timeout,
            noforget=config.noforget,
            allow_other=config.allow_other,
            allow_root=config.allow_root,
            read_only=not config.allow_delete,
            on_init=begin,
        )
        supervised.end()
        log.info("%s: unmounted", place)


@contextmanager
def _remover(session: Session, account: Sequence[str], prover_of: Callable[[Session], Prover]) -> Iterator[Remover]:
    proofs = BackgroundProofs(prover_of(session), session.catalog)
    try:
        yield Remover(session.catalog, session.api, account, proofs)
    finally:
        proofs.stop()


def _first_look(session: Session, source: str) -> None:
    """A mount that knows nothing must not stand: it would be an empty folder, which to a backup means deletion."""
    try:
        session.know_something()
    except TwfsError as error:
        raise MountFailed(
            f"{source!r}: nothing is known of this account yet, and Twilio cannot be asked: {error}"
        ) from error


def _checked(mountpoint: Path) -> Path:
    place = absolute(mountpoint)
    detach_stale(place)
    if is_mounted(place):
        command = twfs_command("umount", mountpoint)
        raise MountFailed(f"{mountpoint}: a twfs is mounted there already; unmount it first: {command}")
    if not place.is_dir():
        if place.exists():
            raise MountFailed(f"{mountpoint}: it is no folder; give another DIR")
        raise MountFailed(f"{mountpoint}: no such folder; make it first: {pasteable('mkdir', '-p', mountpoint)}")
    return place


def _check_sharing(config: Config) -> None:
    """Say which file lacks which line: the refusal of fusermount does not (facts: what users complain about)."""
    if config.allow_other and config.allow_root:
        raise ConfigError("allow_other and allow_root exclude each other; allow_other lets root in as well")
    if not (config.allow_other or config.allow_root) or os.geteuid() == 0:
        return
    if not (_FUSE_CONF.exists() and lets_users_share(_FUSE_CONF.read_text(errors="replace"))):
        raise ConfigError(
            f"allow_other and allow_root need a line user_allow_other in {_FUSE_CONF}, which root can add"
        )


def _fs_settings(config: Config) -> FsSettings:
    return FsSettings(
        uid=os.geteuid() if config.uid is None else config.uid,
        gid=os.getegid() if config.gid is None else config.gid,
        timeout=config.timeout,
        umask=config.umask,
        file_mode=config.file_mode,
        dir_mode=config.dir_mode,
    )
