import errno
import os
import resource

import pytest

from twfs.cli.outcome import MOUNT_CODES, ExitCodes, Parser, UsageError, run_reported
from twfs.errors import ConfigError, CredentialsRefused, TwfsError, Unreachable
from twfs.mount.system import MountFailed


def failing(error: BaseException, codes: ExitCodes, *, verbosity: int = 0) -> int:
    def run() -> int:
        raise error

    return run_reported(run, "twfs", codes, verbosity=verbosity)


@pytest.mark.parametrize(
    ("error", "of_mount", "of_others"),
    [
        (UsageError("x"), 1, 2),
        (ConfigError("x"), 1, 2),
        (MountFailed("x"), 32, 1),
        (Unreachable("x"), 32, 1),
        (CredentialsRefused("x"), 32, 1),
        (TwfsError("x"), 32, 1),
        (OSError(errno.EPERM, "x"), 2, 1),
        (ValueError("x"), 4, 1),
        (OSError("x"), 4, 1),
        (KeyboardInterrupt(), 8, 130),
    ],
)
def test_exit_codes(error: BaseException, of_mount: int, of_others: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(error, MOUNT_CODES) == of_mount
    assert failing(error, ExitCodes()) == of_others
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("twfs: ") for line in lines)


def test_result_is_passed_on() -> None:
    assert run_reported(lambda: 7, "twfs", ExitCodes()) == 7


def test_system_error_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    failing(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/sbin/mount.twfs"), ExitCodes())
    assert capsys.readouterr().err == "twfs: /sbin/mount.twfs: Permission denied\n"


def test_too_many_open_files_names_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    failing(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), ExitCodes())
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert capsys.readouterr().err == f"twfs: Too many open files: the limit is {limit}; raise it (ulimit -n)\n"


def test_traceback_only_when_verbose_and_without_queries(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("at https://bucket/key?X-Amz-Signature=abc")
    failing(error, ExitCodes())
    assert "Traceback" not in capsys.readouterr().err
    failing(error, ExitCodes(), verbosity=2)
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "abc" not in shown


def test_parser_raises_and_refuses_abbreviations() -> None:
    parser = Parser(prog="twfs")
    parser.add_argument("--cache-size")
    with pytest.raises(UsageError, match="twfs --help"):
        parser.parse_args(["--cache", "1G"])
