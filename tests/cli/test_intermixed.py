import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from twfs.cli.main import build_parser, main
from twfs.invocation import twfs_command

SID, OTHER = "RT" + "1" * 32, "CJ" + "2" * 32


def mixtures(operands: list[str], flags: list[list[str]]) -> Iterator[list[str]]:
    """Operands and flags in every order that keeps the operands' own."""
    units = [[operand] for operand in operands] + flags
    for order in itertools.permutations(range(len(units))):
        if [number for number in order if number < len(operands)] == list(range(len(operands))):
            yield [word for number in order for word in units[number]]


@pytest.mark.parametrize(
    ("command", "operands", "flags", "expected"),
    [
        ("get", ["twilio:x", SID, OTHER], [["--json"], ["-o", "out"]], {"words": ["twilio:x", SID, OTHER]}),
        ("verify", ["twilio:x", SID], [["--json"], ["--timeout", "5"]], {"option_timeout": "5"}),
        ("rm", ["twilio:x", SID], [["--yes"], ["-o", "timeout=5"]], {"mount_options": ["timeout=5"]}),
        ("ls", ["twilio:x"], [["--plain"], ["--room", "RM"]], {"source": "twilio:x"}),
        ("export", ["twilio:x", "/d"], [["--json"], ["--no-md5"]], {"source": "twilio:x", "destination": "/d"}),
        ("export", ["/d"], [["--json"], ["--no-md5"]], {"source": "twilio:", "destination": "/d"}),
        ("mount", ["/d"], [["-f"], ["-o", "ro"]], {"source": "twilio:", "directory": Path("/d")}),
        ("mount", ["twilio:x", "/d"], [["-f"], ["-o", "ro"]], {"source": "twilio:x", "mount_options": ["ro"]}),
    ],
)
def test_order_does_not_matter(
    command: str, operands: list[str], flags: list[list[str]], expected: dict[str, object]
) -> None:
    meant = vars(build_parser().parse_args([command, *operands, *itertools.chain(*flags)]))
    assert meant.items() >= expected.items()
    for words in mixtures(operands, flags):
        assert vars(build_parser().parse_args([command, *words])) == meant


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["get", "twilio:x", "--jsno", SID], "unknown flag --jsno; did you mean --json?"),
        (["ls", "twilio:x", "--json", "more"], "too many arguments from 'more' on"),
        (["ls", "--json", "twilio:x", "--plain"], "not allowed with argument --json"),
        (["export", "--json"], "the following arguments are required: DEST"),
        (["rm", "--yes"], "the following arguments are required: [SOURCE] SID"),
        (["decrypt", "file", "--iv", "x"], "the following arguments are required: -o/--output"),
        (
            ["public-key", "list", "twilio:", "more"],
            "too many arguments from 'more' on; see {twfs} public-key list --help",
        ),
    ],
)
def test_what_is_wrong_is_still_told(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    assert complaint.replace("{twfs}", twfs_command()) in capsys.readouterr().err


def test_operands_after_two_dashes() -> None:
    assert build_parser().parse_args(["get", "--json", "--", SID]).words == [SID]
