"""Where the log of a command goes."""

import logging
import os
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TextIO

from twfs.cli.output import over_progress
from twfs.errors import ConfigError
from twfs.log_limit import LimitedHandler
from twfs.log_lines import JournalFormatter, JsonFormatter, TextFormatter, priority_of, sid_of, trace_of
from twfs.mount.journald import Journal
from twfs.redaction import one_line

# Their lines show URLs with their queries: urllib3 at debug level, and at warning level when it retries.
_TALKATIVE = ("urllib3", "requests")

_STANDARD_ERROR = 2


class JournalHandler(logging.Handler):
    """Entries with fields in systemd's journal: `journalctl TWFS_SID=RT...` finds all that was said of a medium."""

    def __init__(self, journal: Journal) -> None:
        """Writes to `journal`."""
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry; what the journal does not take is said on standard error."""
        fields = {
            "MESSAGE": one_line(record.getMessage()),
            "PRIORITY": str(priority_of(record)),
            "SYSLOG_IDENTIFIER": "twfs",
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "TWFS_SID": sid_of(record) or "",
            "TWFS_TRACEBACK": trace_of(record),
        }
        try:
            self._journal.send({name: value for name, value in fields.items() if value})
        except OSError:
            self.handleError(record)


class _LinesOverProgress(logging.StreamHandler[TextIO]):
    """To standard error, where on a terminal a progress may stand."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, in place of it."""
        return over_progress(self.stream) + super().format(record)


def set_up_logging(
    level: str, log_format: str, environ: Mapping[str, str], now: Callable[[], float] = monotonic
) -> None:
    """Log from now on, from `level` on; libraries only from warnings on, and never with URLs.

    At most so many lines of one subject at a time, by the clock `now`, as `LimitedHandler` says.

    To standard error, unless `log_format` is `journal`.

    Raises:
        ConfigError: there is no journal.
    """
    handler = LimitedHandler(log_handler(log_format, environ), now)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("twfs").setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def is_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Whether the descriptor leads to systemd's journal: JOURNAL_STREAM names its inode (systemd.exec(5))."""
    stream = environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    status = os.fstat(descriptor)
    return stream == f"{status.st_dev}:{status.st_ino}"


def log_handler(log_format: str, environ: Mapping[str, str]) -> logging.Handler:
    """What writes the log in that format.

    Raises:
        ConfigError: there is no journal.
    """
    if log_format == "journal":
        try:
            return JournalHandler(Journal())
        except OSError as error:
            raise ConfigError(f"log_format=journal: systemd's journal does not answer ({error.strerror})") from None
    handler = _LinesOverProgress()
    handler.setFormatter(_formatter(log_format, environ))
    return handler


def _formatter(log_format: str, environ: Mapping[str, str]) -> logging.Formatter:
    if log_format == "json":
        return JsonFormatter()
    return JournalFormatter() if is_journal(environ, _STANDARD_ERROR) else TextFormatter()
