"""Where the log goes and what a line looks like."""

import json
import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from twfs.cli.output import one_line
from twfs.errors import ConfigError
from twfs.mount.journald import Journal
from twfs.redaction import redacted

# Their lines show URLs with their queries: urllib3 at debug level, and at warning level when it retries.
_TALKATIVE = ("urllib3", "requests")

_STANDARD_ERROR = 2

_SID = re.compile(r"\b(?:RT|CJ)[0-9a-f]{32}\b")

# sd-daemon(3): the syslog priority that the journal takes from the head of a line.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class TextFormatter(logging.Formatter):
    """`2017-11-23T16:47:17Z warning: message`, one line per record; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return f"{_moment(record)} {record.levelname.lower()}: {one_line(record.getMessage())}{_trace(record)}"


class JournalFormatter(logging.Formatter):
    """`<4>message`: the journal adds the time, and takes the priority away."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; each of a traceback's gets the priority too."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        text = f"{one_line(record.getMessage())}{_trace(record)}"
        return "\n".join(prefix + line for line in text.split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, message, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "message": redacted(record.getMessage()),
        }
        trace = _trace(record).lstrip("\n")
        sid = _sid(record)
        return json.dumps(fields | ({"sid": sid} if sid else {}) | ({"traceback": trace} if trace else {}))


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
            "PRIORITY": str(_PRIORITIES.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": "twfs",
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "TWFS_SID": _sid(record) or "",
            "TWFS_TRACEBACK": _trace(record).lstrip("\n"),
        }
        try:
            self._journal.send({name: value for name, value in fields.items() if value})
        except OSError:
            self.handleError(record)


def set_up_logging(level: str, log_format: str, environ: Mapping[str, str]) -> None:
    """Log from now on, from `level` on; libraries only from warnings on, and never with URLs.

    To standard error, unless `log_format` is `journal`.

    Raises:
        ConfigError: there is no journal.
    """
    handler = log_handler(log_format, environ)
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
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(log_format, environ))
    return handler


def _formatter(log_format: str, environ: Mapping[str, str]) -> logging.Formatter:
    if log_format == "json":
        return JsonFormatter()
    return JournalFormatter() if is_journal(environ, _STANDARD_ERROR) else TextFormatter()


def _sid(record: logging.LogRecord) -> str | None:
    """The first medium that the message names."""
    match = _SID.search(record.getMessage())
    return match[0] if match else None


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info is None or record.exc_info[1] is None:
        return ""
    return "\n" + redacted(logging.Formatter().formatException(record.exc_info))
