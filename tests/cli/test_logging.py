import json
import logging
from types import TracebackType

from tests.cli.running import python
from twfs.cli.logging import JournalFormatter, JsonFormatter, TextFormatter

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
