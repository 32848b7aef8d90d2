"""What a line of the log looks like: as text, as JSON, or for systemd's journal."""

import json
import logging
import re
from datetime import UTC, datetime

from twfs.redaction import one_line, redacted

_SID = re.compile(r"\b(?:RT|CJ)[0-9a-f]{32}\b")

# sd-daemon(3): the syslog priority that the journal takes from the head of a line.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class TextFormatter(logging.Formatter):
    """`2017-11-23T16:47:17Z warning: message`, one line per record; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        trace = trace_of(record)
        line = f"{_moment(record)} {record.levelname.lower()}: {one_line(record.getMessage())}"
        return f"{line}\n{trace}" if trace else line


class JournalFormatter(logging.Formatter):
    """`<4>message`: the journal adds the time, and takes the priority away."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; each of a traceback's gets the priority too."""
        lines = [one_line(record.getMessage()), *trace_of(record).splitlines()]
        return "\n".join(f"<{priority_of(record)}>{line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, message, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "message": redacted(record.getMessage()),
            "sid": sid_of(record),
            "traceback": trace_of(record),
        }
        return json.dumps({name: value for name, value in fields.items() if value or name == "message"})


def sid_of(record: logging.LogRecord) -> str | None:
    """The first medium that the message names."""
    match = _SID.search(record.getMessage())
    return match[0] if match else None


def priority_of(record: logging.LogRecord) -> int:
    """That of syslog(3), from 7 (debug) to 2 (critical)."""
    return _PRIORITIES.get(record.levelno, 6)


def trace_of(record: logging.LogRecord) -> str:
    """The traceback; empty if there is none."""
    if record.exc_info is None or record.exc_info[1] is None:
        return ""
    return redacted(logging.Formatter().formatException(record.exc_info))


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
