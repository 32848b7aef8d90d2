import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import python
from twfs.cli.output import complain, escaped, one_line


@given(st.text())
def test_nothing_unprintable_is_left(text: str) -> None:
    assert escaped(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_printable_stays(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("a\nb", "a\\nb"), ("\u202egpj", "\\u202egpj"), ("\udc80", "\\udc80")],
)
def test_hostile_characters_are_spelled_out(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_questions_stay() -> None:
    assert one_line("unknown; did you mean cache_size? or x=1?") == "unknown; did you mean cache_size? or x=1?"


def test_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("twfs", "a\nb")
    assert capsys.readouterr().err == "twfs: a\\nb\n"


def test_what_the_terminal_cannot_show_is_spelled_out() -> None:
    run = python(
        "-c", "from twfs.cli.output import say; say('caf\\xe9 \\udc80')", environ={"PYTHONIOENCODING": "ascii"}
    )
    assert (run.code, run.out) == (0, "caf\\xe9 \\udc80\n")
