import json
import logging
from pathlib import Path
from types import TracebackType

import pytest

from tests.cli.running import python
from tests.mount.fake_journal import fake_journal
from twfs.cli.logging import JournalHandler, set_up_logging
from twfs.errors import ConfigError
from twfs.log_lines import JournalFormatter, JsonFormatter, TextFormatter
from twfs.mount.journald import SOCKET, Journal

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
URL = "https://bucket/key?X-Amz-Signature=abc"


def record(message: str, level: int = logging.WARNING, exc_info: ExcInfo | None = None) -> logging.LogRecord:
    made = logging.LogRecord("twfs", level, __file__, 1, message, None, exc_info)
    made.created = 1511455637.9
    return made


def failure() -> ExcInfo:
    error = ValueError(URL)
    return (ValueError, error, None)


def test_text_is_one_line_without_queries() -> None:
    assert TextFormatter().format(record(f"a\nb {URL}")) == (
        "2017-11-23T16:47:17Z warning: a\\nb https://bucket/key?..."
    )


def test_json_is_one_object() -> None:
    line = JsonFormatter().format(record(f"a\nb {URL}"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2017-11-23T16:47:17Z",
        "level": "warning",
        "message": "a\nb https://bucket/key?...",
    }


def test_journal_takes_the_priority_from_the_head_of_each_line() -> None:
    assert JournalFormatter().format(record("x")) == "<4>x"
    assert JournalFormatter().format(record("x", logging.DEBUG)) == "<7>x"
    lines = JournalFormatter().format(record("x", logging.ERROR, failure())).split("\n")
    assert len(lines) > 1
    assert all(line.startswith("<3>") for line in lines)


def test_traceback_follows_without_queries() -> None:
    for formatter in (TextFormatter(), JsonFormatter(), JournalFormatter()):
        shown = formatter.format(record("x", exc_info=failure()))
        assert "ValueError" in shown
        assert "abc" not in shown


def logged(level: str, log_format: str = "text", journal: bool = False) -> str:
    """What a process writes to standard error that logs as twfs, as urllib3 and as another library."""
    program = (
        "import logging, os\n"
        "from twfs.cli.logging import set_up_logging\n"
        "status = os.fstat(2)\n"
        f"environ = {{'JOURNAL_STREAM': f'{{status.st_dev}}:{{status.st_ino}}'}} if {journal} else {{}}\n"
        f"set_up_logging({level!r}, {log_format!r}, environ)\n"
        "for name in ('twfs', 'urllib3.connectionpool', 'requests', 'other'):\n"
        "    for level in ('debug', 'info', 'warning', 'error'):\n"
        "        getattr(logging.getLogger(name), level)('%s-%s', name, level)\n"
    )
    run = python("-c", program)
    assert run.code == 0
    return run.err


def test_level_is_that_of_twfs_and_libraries_never_say_what_holds_urls() -> None:
    shown = logged("debug")
    assert "twfs-debug" in shown
    assert "urllib3" not in shown
    assert "requests" not in shown
    assert "other-info" not in shown
    assert "other-warning" in shown


def test_level_hides_what_is_below() -> None:
    shown = logged("warning")
    assert "twfs-info" not in shown
    assert "twfs-warning" in shown


def test_json_lines() -> None:
    messages = [json.loads(line)["message"] for line in logged("error", "json").splitlines()]
    assert messages == ["twfs-error", "other-warning", "other-error"]


def test_journal_is_recognised_by_the_inode_of_standard_error() -> None:
    assert logged("error", journal=True).splitlines()[0] == "<3>twfs-error"
    assert not logged("error").startswith("<")


SID = "RT" + "0" * 32


def test_json_names_the_medium_that_a_line_is_about() -> None:
    line = json.loads(JsonFormatter().format(record(f"/recordings/{SID}.mkv: read failed; CJ{'1' * 32} too")))
    assert line["sid"] == SID


def test_journal_entries_have_fields(tmp_path: Path) -> None:
    with fake_journal(tmp_path / "socket") as journal:
        handler = JournalHandler(Journal(tmp_path / "socket"))
        handler.emit(record(f"{SID}: a\nb {URL}"))
        entry = journal.entry()
        handler.emit(record("x", logging.ERROR, failure()))
        failed = journal.entry()
    assert entry.pop("CODE_FILE") == __file__
    assert entry == {
        "MESSAGE": f"{SID}: a\\nb https://bucket/key?...",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "twfs",
        "CODE_LINE": "1",
        "TWFS_SID": SID,
    }
    assert failed["PRIORITY"] == "3"
    assert "ValueError" in failed["TWFS_TRACEBACK"]
    assert "abc" not in failed["TWFS_TRACEBACK"]


def test_without_a_journal_that_format_is_refused() -> None:
    if SOCKET.exists():
        pytest.skip("this machine has a journal")
    with pytest.raises(ConfigError, match="log_format=journal"):
        set_up_logging("info", "journal", {})
