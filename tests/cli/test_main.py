import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.main import COMMANDS, build_parser, main
from twfs.invocation import twfs_command

ACCOUNT = "twilio:AC" + "1" * 32
EMPTY_PATHS = [
    *(["umount", ""], ["top", ""], ["demo", ""], ["keygen", ""], ["keygen", "/d", "--passphrase-file", ""]),
    *(["install", "--prefix", ""], ["install", "--package", ""], ["simulator", "--media", ""]),
    *(["simulator", "--public-key", ""], ["public-key", "create", "", "--name", "x"], ["decrypt", "", "-o", "x"]),
    *(["decrypt", "x", "-o", ""], ["encryption", "enable", "--key", "CR" + "1" * 32, "--pem", ""]),
]
"""As of a variable that is not set: none of them may mean the current folder."""


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ([], 2, "a command is missing: mount, umount"),
        (["mnt"], 2, "invalid choice: 'mnt'"),
        (["mount"], 1, "the following arguments are required: DIR; see {twfs} mount --help"),
        (["mount", ACCOUNT], 1, f"argument DIR: '{ACCOUNT}' is a source; say where to mount it, too; see"),
        (["mount", ACCOUNT[7:], "/mnt"], 1, f"'{ACCOUNT[7:]}' lacks its scheme; write {ACCOUNT}"),
        (["ls", f"twilio:/{ACCOUNT[7:]}/"], 2, f"is no source; write {ACCOUNT}"),
        (["ls", "clinic"], 2, "'clinic' is no source; write twilio:clinic for the profile of that name"),
        (["get", ACCOUNT[7:], "RT" + "1" * 32], 2, f"for the source write {ACCOUNT}"),
        (["public-key", "delete", "clinic", "CR" + "1" * 32], 2, "for the source write twilio:clinic"),
        (["public-key", "list", "twilio:a", "--source", "twilio:b"], 2, "name one account"),
        (["public-key", "delete", "twilio:a"], 2, "name the public keys to delete"),
        (["mount", "s3:x", "/mnt"], 1, "write twilio:AC... for an account"),
        (["mount", ACCOUNT, "/mnt"], 1, "no credentials for AC111"),
        (["mount", ACCOUNT, "/mnt", "-o", "cachesize=1G"], 1, "did you mean cache_size?"),
        (["mount", ACCOUNT, "/mnt", "--cachesize", "1G"], 1, "did you mean --cache-size?"),
        (["mount", ACCOUNT, "/mnt", "more"], 1, "too many arguments from 'more' on"),
        ([ACCOUNT, "/mnt", "-o", "cachesize=1G"], 1, "did you mean cache_size?"),
        ([ACCOUNT, "/mnt", "-o", "ro,dev,suid"], 1, "no credentials for AC111"),
        (["umount", "/nowhere"], 32, "no twfs is mounted there"),
        (["umount"], 1, "required: DIR"),
        (["mount", ACCOUNT, ""], 1, "argument DIR: a path is needed; see {twfs} mount --help"),
        *((words, 1 if "umount" in words else 2, "a path is needed") for words in EMPTY_PATHS),
        (["ls", "--jsonn"], 2, "did you mean --json?"),
        (["ls", "twilio:nobody"], 2, "no profile 'nobody'"),
        (["ls", "--since", "yesterday"], 2, "option since: 'yesterday' is no date"),
        (["public-key"], 2, "required: ACTION; see {twfs} public-key --help"),
        (["encryption", "show", "--jsno"], 2, "did you mean --json?; see {twfs} encryption show --help"),
        (["simulator", "--port", "x"], 2, "argument --port: 'x' is not a number; give one between 0 and 65535"),
        (["keygen", "/d", "--bits", "x"], 2, "argument --bits: 'x' is not a number; give one between 2048 and 8192"),
        (["top", "/d", "--interval", "x"], 2, "argument --interval: 'x' is not a number; give one between 0.1 and"),
        (["simulator", "--port", "70000"], 2, "argument --port: 70000 is out of range; it must be between 0 and 65535"),
        (["simulator", "--media", "/nowhere"], 2, "/nowhere"),
        (["simulator", "--public-key", "/nowhere"], 2, "/nowhere cannot be read"),
    ],
)
@pytest.mark.usefixtures("home")
def test_failure_is_an_exit_code_and_one_line(
    words: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twfs: ")
    assert complaint.replace("{twfs}", twfs_command()) in line


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["mount", ACCOUNT, "/mnt"], 1, "no credentials for AC111"),
        (["ls", ACCOUNT, "--credentials", "/nowhere"], 2, "option credentials: '/nowhere' cannot be read"),
        (["ls", ACCOUNT, "--credentials", "file"], 2, "option credentials: file: the current folder was deleted"),
        (["umount", "mnt"], 1, "mnt: the current folder was deleted; change to another, or give an absolute path"),
        (["demo"], 2, "twfs-demo: the current folder was deleted"),
    ],
)
@pytest.mark.usefixtures("home")
def test_in_a_deleted_folder_only_what_is_relative_to_it_fails(  # noqa: PLR0917 - pytest's
    words: list[str],
    code: int,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert main(words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: twfs {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("twfs 0.")


def test_every_command_takes_verbose() -> None:
    needed = {
        "mount": ["twilio:", "/d"],
        "umount": ["/d"],
        "top": ["/d"],
        "keygen": ["/d"],
        "public-key": ["list"],
        "encryption": ["show"],
        "export": ["/d"],
        "decrypt": ["f", "-o", "g"],
        "rm": ["RT"],
    }
    for name in COMMANDS:
        assert build_parser().parse_args([name, *needed.get(name, []), "-v"]).verbose


@pytest.mark.usefixtures("home")
def test_secret_in_argv_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--api-secret", "hunter2"], ["--api-secert=hunter2"], ["-o", "api_secret=hunter2"]):
        assert main(["ls", *words]) == 2
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "is_verbose"),
    [
        (["mount", ACCOUNT, "/mnt"], False),
        (["mount", ACCOUNT, "/mnt", "-v"], True),
        (["mount", ACCOUNT, "/mnt", "--verbose"], True),
        (["mount", ACCOUNT, "/mnt", "-fv"], True),
        (["mount", ACCOUNT, "/mnt", "-fvoro"], True),
        (["mount", ACCOUNT, "/mnt", "-foserver=x"], False),
        (["ls", "-oprivate_key=/nonexistent"], False),
        (["get", ACCOUNT, "RT" + "0" * 32, "-o/srv/out"], False),
    ],
)
def test_traceback_only_with_v(words: list[str], is_verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) != 0
    assert ("Traceback" in capsys.readouterr().err) == is_verbose


def test_unreadable_credentials_say_chmod(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "c"
    path.write_text("account_sid=x\n")
    path.chmod(0o644)
    assert main(["ls", "--credentials", str(path)]) == 2
    assert f"run: chmod 600 {path}" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_reader_that_has_seen_enough_is_no_error() -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "twfs", "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    command.stdout.close()
    assert command.stderr is not None
    with command.stderr:
        assert command.stderr.read() == ""
    assert command.wait(SECONDS) == 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "redirection", "code", "complaint"),
    [
        ("ls twilio:nobody", "2>&-", 2, ""),
        ("umount /nowhere", "2>&-", 32, ""),
        ("ls twilio:nobody -v", "2>/dev/full", 2, ""),
        ("doctor", ">&-", 1, "twfs: Bad file descriptor"),
        ("doctor", ">/dev/full", 1, "twfs: No space left on device"),
    ],
)
def test_streams_that_take_nothing(words: str, redirection: str, code: int, complaint: str) -> None:
    script = f"exec {sys.executable} -m twfs {words} {redirection}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr.rstrip("\n")) == (code, "", complaint)


def test_a_command_starts_without_what_the_others_are_made_of() -> None:
    words = ["ls", "--help"]
    code = f"import sys; from twfs.cli.main import main; main({words}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    imported = done.stdout.split()
    assert "twfs.cli.ls" in imported
    assert not {"twfs.cli.doctor", "twfs.cli.install", "twfs.cli.simulator"} & set(imported)
