"""Where a mount's log goes: in the background nobody reads standard error any more, and no line may vanish.

To `log_file`; without one, to syslog, which systemd's journal is, too; where there is none, to a file in `state_dir`.
"""

import logging
import logging.handlers
import os
import socket
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import quote

from twfs.catalog.state_file import check_state
from twfs.config.config import Config
from twfs.errors import ConfigError
from twfs.log import log
from twfs.log_limit import LimitedHandler
from twfs.log_lines import JsonFormatter, TextFormatter
from twfs.mount.log_target import check_target, open_to_append
from twfs.ownership import make_private_folders

SYSLOG = (Path("/dev/log"), Path("/run/systemd/journal/dev-log"))
"""The second is what the first leads to where systemd runs; containers may have it alone."""

_SOCKET_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
"""Syslogs have either."""

_ROTATED_AT = 2**20
_KEPT = 3
"""Bytes of a file in `state_dir`, and how many older ones there are beside it: 4 MiB in all."""

_LONGEST_NAME = 200
"""Characters of a file's name (limits.h: NAME_MAX is 255); numbers of rotated ones follow."""


def log_destination(config: Config, mountpoint: Path, syslog: Sequence[Path] = SYSLOG) -> logging.Handler:
    """What writes the log of a mount in the background; opened now, so that what cannot be written is told.

    Raises:
        ConfigError: `log_file` cannot be written, or `state_dir` be believed.
    """
    if config.log_file is not None:
        return log_file(config, mountpoint)
    listening = _that_listens(syslog)
    found = _state_file(config, mountpoint) if listening is None else _Syslog(config, mountpoint, listening)
    found.setFormatter(_formatter(config))
    return found


def log_place(config: Config, syslog: Sequence[Path] = SYSLOG) -> str:
    """Where that will be, in words, for whatever mountpoint; nothing is made.

    Raises:
        ConfigError: `log_file` cannot be written.
    """
    if config.log_file is not None:
        try:
            check_target(config.log_file)
        except OSError as error:
            raise _not_written(config.log_file, error) from None
        return str(config.log_file)
    if config.log_format == "journal":
        return "systemd's journal"
    listening = _that_listens(syslog)
    return f"{config.state_dir}/MOUNTPOINT.log" if listening is None else f"syslog ({listening})"


def log_file(config: Config, mountpoint: Path) -> logging.Handler:
    """What writes to the option `log_file`. Renamed or deleted, as by logrotate, it is made anew.

    Raises:
        ConfigError: it cannot be written.
    """
    path = config.log_file
    if path is None or config.log_format == "journal":
        raise ConfigError("log_file and log_format=journal exclude each other; take one away")
    if path.is_relative_to(mountpoint):
        raise ConfigError(f"log_file: {path} is in the mount itself; give a file elsewhere")
    try:
        handler = _WatchedFile(path)
    except OSError as error:
        raise _not_written(path, error) from None
    handler.setFormatter(_formatter(config))
    return handler


def redirect(handler: logging.Handler) -> None:
    """The log of this process goes there from now on."""
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, LimitedHandler):
            before.target = handler
            return
    root.handlers[:] = [handler]


def present_destination() -> str:
    """Where the log of this process goes, in words."""
    handlers = [getattr(handler, "target", handler) for handler in logging.getLogger().handlers]
    return ", ".join(map(describe, handlers)) or "nowhere"


def describe(handler: logging.Handler) -> str:
    """Where a handler's lines go: a file's path, or what else it is."""
    match handler:
        case logging.FileHandler():
            return handler.baseFilename
        case logging.handlers.SysLogHandler():
            return f"syslog ({handler.address})"
        case logging.StreamHandler():
            return "standard error"
        case logging.NullHandler():
            return "nowhere"
    return "systemd's journal"


def _formatter(config: Config) -> logging.Formatter:
    return JsonFormatter() if config.log_format == "json" else TextFormatter()


def _not_written(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"log_file: {path} cannot be written: {error.strerror}")


def _that_listens(sockets: Iterable[Path]) -> Path | None:
    """Asked here, for logging's handler begins without a word where nobody listens."""
    return next((path for path in sockets if any(_can_connect(path, kind) for kind in _SOCKET_KINDS)), None)


def _can_connect(path: Path, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_UNIX, kind) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True


def _state_file(config: Config, mountpoint: Path) -> logging.Handler:
    """A file for each mountpoint: two processes must not rotate the same.

    Raises:
        ConfigError: somebody else can change it, or its folder.
    """
    name = quote(os.fsencode(mountpoint).strip(b"/"), safe="")[-_LONGEST_NAME:]
    path = config.state_dir / f"{name}.log"
    check_state(path)
    try:
        make_private_folders(config.state_dir)
        return _RotatedFile(path, maxBytes=_ROTATED_AT, backupCount=_KEPT)
    except OSError as error:
        # No reason not to mount; and here somebody may still read it.
        log.warning(
            "the log will be lost: no syslog listens, and %s cannot be written: %s; give log_file=FILE",
            path,
            error.strerror,
        )
        return logging.NullHandler()


class _Syslog(logging.handlers.SysLogHandler):
    """Lines that syslog does not take, as while it is restarted for good, go to the file in `state_dir`."""

    def __init__(self, config: Config, mountpoint: Path, path: Path) -> None:
        super().__init__(address=str(path), facility="daemon")
        self._config = config
        self._mountpoint = mountpoint
        self._instead: logging.Handler | None = None

    def _connect_unixsocket(self, address: str) -> None:
        super()._connect_unixsocket(address)  # type: ignore[misc]
        # A syslog that hangs must not stop a mount: what it does not take at once, it does not take.
        self.socket.settimeout(0)  # type: ignore[attr-defined]

    def emit(self, record: logging.LogRecord) -> None:
        # Of the process that mounts, which is not that which was called.
        self.ident = f"twfs[{os.getpid()}]: "
        super().emit(record)

    def close(self) -> None:
        super().close()
        if self._instead is not None:
            self._instead.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Write it there."""
        if self._instead is None:
            try:
                self._instead = _state_file(self._config, self._mountpoint)
            except ConfigError:  # Nobody can be told; logging must not fail.
                return
            self._instead.setFormatter(self.formatter)
        self._instead.handle(record)


class _WatchedFile(logging.handlers.WatchedFileHandler):
    def _open(self) -> TextIOWrapper:
        return _opened(self.baseFilename)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # It was renamed, and cannot be made anew just now: the next line tries again.
            self.handleError(record)


class _RotatedFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        return _opened(self.baseFilename)


def _opened(path: str) -> TextIOWrapper:
    """For this user alone, and nobody else's (`open_to_append`)."""
    return TextIOWrapper(os.fdopen(open_to_append(Path(path)), "ab"), encoding="utf-8", errors="backslashreplace")
