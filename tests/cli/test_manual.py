import argparse
import shutil
import subprocess

import pytest

from tests.cli.running import SECONDS
from twfs.cli.grammar import commands_of
from twfs.cli.main import add_commands
from twfs.cli.manual import manual_page
from twfs.cli.outcome import Parser
from twfs.config.documentation import default_text
from twfs.config.table import TABLE


def subparsers() -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    made: argparse._SubParsersAction[argparse.ArgumentParser] = Parser().add_subparsers(parser_class=Parser)
    add_commands(made)
    return made


def page() -> str:
    return manual_page(commands_of(subparsers()), "1.2.3")


@pytest.fixture(scope="module")
def read() -> str:
    """The page as people see it, in lines that never break."""
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=900n", "-P-cbou"],
        input=page(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_every_command_and_option_stands_there(read: str) -> None:
    assert "twfs 1.2.3" in read
    for command in commands_of(subparsers()):
        for leaf in command.leaves():
            assert f"\n   {' '.join(('twfs', *leaf.words, *map(str, leaf.operands)))}\n" in read
    for option in TABLE:
        assert f"\n       {option.name}" + ("\n" if option.is_switch else f"={option.metavar}") in read
        assert " ".join(option.help.split()) in " ".join(read.split())


def test_defaults_stand_there(read: str) -> None:
    for option in TABLE:
        if default_text(option):
            assert f"[{default_text(option)}]" in read


def test_flags_can_be_copied(read: str) -> None:
    """A hyphen that groff makes a typographic one is no flag in a shell."""
    assert "-f, --foreground\n" in read
    assert "twfs@clinic" in read
    assert "~/twfs-demo" in read


def test_texts_are_not_taken_for_requests() -> None:
    subparsers_ = subparsers()
    parser = subparsers_.add_parser("odd", description=".so /etc/passwd\n'br\nback\\slash")
    parser.add_argument("--odd", help=".PP 100%%")
    source = manual_page(commands_of(subparsers_), "1")
    assert "\n\\&.so /etc/passwd\n\\&\\(aqbr\nback\\eslash\n" in source
    assert "\n\\&.PP 100%\n" in source
