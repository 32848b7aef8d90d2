import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from twfs.cli.grammar import Command, commands_of
from twfs.cli.main import COMMANDS, add_commands, build_parser, main
from twfs.cli.outcome import Parser
from twfs.config.documentation import default_text
from twfs.config.table import TABLE
from twfs.invocation import twfs_command


def told() -> tuple[Command, ...]:
    made: argparse._SubParsersAction[argparse.ArgumentParser] = Parser().add_subparsers(parser_class=Parser)
    add_commands(made)
    return commands_of(made)


LEAVES = [leaf for command in told() for leaf in (command, *command.leaves())]
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
        (["mnt"], 2, "there is no command 'mnt'; did you mean mount?; see {twfs} help"),
        ([ACCOUNT[7:], "/mnt"], 2, f"for the source write {ACCOUNT}; see"),
        (["help", "mnt"], 2, "did you mean mount?"),
        (["mount"], 1, "the following arguments are required: DIR; see {twfs} mount --help"),
        (["mount", ACCOUNT], 1, f"argument DIR: '{ACCOUNT}' is a source; say where to mount it, too; see"),
        (["mount", ACCOUNT[7:], "/mnt"], 1, f"'{ACCOUNT[7:]}' lacks its scheme; write {ACCOUNT}"),
        (["ls", f"twilio:/{ACCOUNT[7:]}/"], 2, f"is no source; write {ACCOUNT}"),
        (["ls", ACCOUNT[:-1]], 2, f"'{ACCOUNT[7:-1]}' is no account SID, which is AC and 32 of the digits 0-9 and a-f"),
        (["ls", "--allow-other=yes"], 2, "argument --allow-other: it takes no value; see"),
        (["ls", "--timeout"], 2, "argument --timeout: its value is missing; see"),
        (["public-key", "lits"], 2, "argument ACTION: there is no 'lits'; choose from "),
        (["verify", "--all", "-o", "out.json"], 2, "unknown option 'out.json'; all of them: {twfs} help options"),
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


@pytest.mark.parametrize("words", [["help", *leaf.words] for leaf in LEAVES] + [["help"], ["--help"]])
def test_help_fits_a_terminal(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    # How long the path is that twfs was called by, nobody can say.
    assert [line for line in lines if len(line) > 79 and twfs_command() not in line] == []


def test_help_shows_what_is_particular_and_its_defaults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["help", "get"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: twfs get [FLAGS] [[SOURCE] SID ...]\n")
    assert re.search(r"--kind KIND +which media: all, recordings or compositions \[all\]\n", shown)
    assert "--umask" not in shown
    assert f"\nOptions of all commands: {twfs_command('help', 'options')}\n" in shown
    main(["get", "--help"])
    assert capsys.readouterr().out == shown
    main(["help", "encryption", "enable"])
    assert capsys.readouterr().out.startswith("usage: twfs encryption enable [FLAGS] --key CR... [SOURCE]\n")
    main(["help"])
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


def test_help_options_shows_all_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "options"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for option in TABLE:
        default = "" if option.is_switch or not default_text(option) else f" [{default_text(option)}]"
        assert f"--{option.name.replace('_', '-')} " in shown
        assert " ".join(f"{option.help}{default}".split()) in shown
    assert "api-secret" not in shown


def test_help_profiles_names_those_of_the_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "mine.toml").write_text('[profiles.ward]\n[profiles."odd \\u001b name"]\n')
    assert main(["help", "profiles", "--config", str(home / "mine.toml")]) == 0
    assert capsys.readouterr().out == "ward\nodd \\x1b name\n"
    assert main(["help", "profiles", "--config", str(home / "none.toml")]) == 2


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
        "help": ["options"],
    }
    for name in COMMANDS:
        assert build_parser().parse_args([name, *needed.get(name, []), "-v"]).verbose


@pytest.mark.usefixtures("home")
def test_secret_in_argv_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--api-secret", "hunter2"], ["--api-secert=hunter2"], ["-o", "api_secret=hunter2"]):
        assert main(["ls", *words]) == 2
    assert "hunter2" not in capsys.readouterr().err


FAILING = {
    "mount": [ACCOUNT, "/mnt"],
    "umount": ["/nowhere"],
    "demo": ["/nowhere/d"],
    "simulator": ["--media", "/nowhere"],
    "ls": ["twilio:nobody"],
    "get": ["twilio:nobody", "--all"],
    "verify": ["twilio:nobody", "--all"],
    "decrypt": ["/nowhere", "-o", "x", "--key", "x", "--iv", "y"],
    "export": ["twilio:nobody", "/nowhere"],
    "rm": ["twilio:nobody", "RT" + "0" * 32],
    "keygen": ["/proc/keys"],
    "top": ["/nowhere"],
    "install": ["--nonsense"],
    "public-key": ["list", "twilio:nobody"],
    "encryption": ["show", "twilio:nobody"],
    "doctor": ["-o", "nonsense"],
    "help": ["nonsense"],
}
"""What goes wrong at once, in each command."""


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", COMMANDS)
def test_v_is_one_line_more_and_vv_the_traceback(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for flags in ((), ("-v",), ("--verbose",), ("-vv",), ("-v", "--verbose")):
        assert main([command, *FAILING[command], *flags]) != 0
        said[flags] = capsys.readouterr().err.splitlines()
    assert len(said[()]) == 1
    assert said["-v",] == said["--verbose",]
    assert (said["-v",][0], len(said["-v",])) == (*said[()], 2)
    assert re.fullmatch(r"twfs: that is \w+ of /.*\.py, line \d+, in \w+.*; -vv shows the traceback", said["-v",][1])
    assert said["-vv",] == said["-v", "--verbose"]
    assert (said["-vv",][0], said["-vv",][-1]) == ("Traceback (most recent call last):", *said[()])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["mount", ACCOUNT, "/mnt", "-fv"], 2),
        (["mount", ACCOUNT, "/mnt", "-fvoro"], 2),
        (["mount", ACCOUNT, "/mnt", "-foserver=x"], 1),
        (["ls", "-oprivate_key=/nonexistent"], 1),
        (["get", ACCOUNT, "RT" + "0" * 32, "-o/srv/out"], 1),
    ],
)
def test_v_among_other_letters(words: list[str], lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) != 0
    assert len(capsys.readouterr().err.splitlines()) == lines


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
