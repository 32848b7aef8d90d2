import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.cli.running import Account, twfs
from tests.cli.terminal import lines_of, on_a_terminal
from tests.cli.test_get import of_track
from tests.cli.test_ls import INFO, MEDIUM
from twfs.cli.media_table import show_media
from twfs.cli.tables import complete, show_rows
from twfs.resources import Kind
from twfs.simulator.account import PublicKey

SID = re.compile(r"(?<![0-9a-zA-Z])(?:RT|CJ|RM|CR)[0-9a-f]{32}\b")


@pytest.mark.parametrize(
    "command",
    [
        "ls SOURCE --probe",
        "ls SOURCE --summary",
        "verify SOURCE --all",
        "get SOURCE --all -o OUT",
        "export SOURCE OUT",
        "rm SOURCE --unverified SID",
        "encryption show SOURCE",
        "public-key list SOURCE",
    ],
)
def test_tables_fit_80_columns_and_have_sids_in_full(account: Account, tmp_path: Path, command: str) -> None:
    simulated, sid = account.simulated.simulator.account, of_track(account, "erin-screen")
    name = "[red]株式会社[/red] is a name as long as names of keys may be"
    simulated.put_public_key(PublicKey("CR" + "1" * 32, name, "", simulated.now(), simulated.now()))
    places = {"SOURCE": account.source, "OUT": str(tmp_path / "out"), "SID": sid}
    shown = on_a_terminal(*(places.get(word, word) for word in command.split()), *account.flags)
    # Complaints are no tables.
    lines = [line for line in lines_of(shown) if not line.startswith("twfs: ")]
    assert max(map(cell_len, lines)) <= 80, "\n".join(lines)
    expected = {
        "ls SOURCE --probe": {
            medium.sid for kind in Kind for medium in simulated.media(kind) if medium.status == "completed"
        },
        "export SOURCE OUT": {sid},
        "rm SOURCE --unverified SID": {sid},
        "public-key list SOURCE": {"CR" + "1" * 32},
    }
    assert expected.get(command, set()) <= set(SID.findall("\n".join(lines)))


def test_verify_has_all_sids_and_reasons_in_full(account: Account) -> None:
    lines = lines_of(on_a_terminal("verify", account.source, "--all", *account.flags))
    assert lines[0].split() == ["SID", "SIZE", "OUTCOME", "MD5", "KEY"]
    assert len(set(SID.findall("\n".join(lines)))) == 13
    told = " ".join("\n".join(lines[14:]).split())
    assert f"{of_track(account, 'dave-muted')} Twilio has no media for it" in told
    assert re.search(f"{of_track(account, 'dave-lost-key')} the private key at hand does not fit; add the one", told)


def test_states_have_colours_unless_they_are_unwanted(account: Account) -> None:
    words = ["ls", account.source, "--probe", *account.flags]
    shown = on_a_terminal(*words)
    assert "\x1b[32mreadable\x1b[0m" in shown
    assert "\x1b[33mlocked\x1b[0m" in shown
    assert "\x1b" not in on_a_terminal(*words, NO_COLOR="1").replace("\x1b[K", "")
    assert "\x1b" not in on_a_terminal(*words, TERM="dumb").replace("\x1b[K", "")


@pytest.mark.parametrize("wish", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "COLUMNS"])
def test_a_pipe_gets_all_columns_and_no_colour(account: Account, wish: str) -> None:
    plain = twfs("ls", account.source, *account.flags)
    assert twfs("ls", account.source, *account.flags, environ={wish: "40"}).out == plain.out
    assert twfs("ls", account.source, "--wide", *account.flags).out == plain.out
    heading, *rows = plain.out.splitlines()
    assert heading.split()[-3:] == ["SID", "TRACK", "WHO"]
    assert len(rows) == 13
    assert "\x1b" not in plain.out
    assert "…" not in plain.out


def test_wide_is_all_columns_on_a_terminal_too(account: Account) -> None:
    lines = lines_of(on_a_terminal("ls", account.source, "--wide", *account.flags))
    assert [line.rstrip() for line in lines] == twfs("ls", account.source, *account.flags).out.splitlines()


def test_a_narrow_terminal_wraps_lines_but_cuts_no_sid(account: Account) -> None:
    lines = lines_of(on_a_terminal("ls", account.source, *account.flags, columns=40))
    assert max(map(cell_len, lines)) <= 80
    assert len(set(SID.findall("\n".join(lines))) - {MEDIUM.sid}) > 13


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(account: Account, encoding: str) -> None:
    shown = on_a_terminal("ls", account.source, *account.flags, PYTHONIOENCODING=encoding)
    assert len([line for line in lines_of(shown) if line.startswith("RT")]) == 11


def test_the_mend_of_a_finding_is_one_line_to_be_pasted(account: Account) -> None:
    # A reserve that no machine has is a problem with a mend on each.
    words = ["doctor", account.source, "--cache-size", "100000G", *account.flags]
    lines = lines_of(on_a_terminal(*words))
    mends = {line.strip() for line in lines if re.match(r" {9}(run|give|install) ?", line)}
    assert all(cell_len(line) <= 80 for line in lines if line.strip() not in mends)
    # What else is found may change meanwhile.
    assert mends & set(re.findall(r"; ((?:run|give|install)[^\n]*)", twfs(*words).out))


HOSTILE = [
    "[red]x[/red]",
    ":smile:",
    "\x1b[31mred",
    "\u202eexe.gpj",
    "株式会社" * 9,
    "a\nb\tc",
    "שלום",
    "👩\u200d👧" * 9,
]
NAMES = st.one_of(st.text(max_size=60), st.sampled_from(HOSTILE))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(track=NAMES, codec=NAMES)
def test_no_name_breaks_a_table(track: str, codec: str, capsys: pytest.CaptureFixture[str]) -> None:
    medium = MEDIUM._replace(track_name=track, codec=codec)
    show_media([(medium, INFO)])
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    assert len(lines) == 4
    assert all(line.isprintable() and cell_len(line) <= 80 for line in lines)
    assert lines[3].startswith(medium.sid)
    assert lines[3].endswith(str(medium.room_sid))


def test_a_name_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_media([(MEDIUM._replace(track_name="[red]x[/] :smile:"), INFO)])
    assert "[red]x[/] :smile:" in capsys.readouterr().out


def test_a_long_table_is_shown_in_parts_with_one_heading(capsys: pytest.CaptureFixture[str]) -> None:
    show_media([(MEDIUM, INFO)] * 1100)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines.count(lines[0])) == (2 + 2 * 1100, 1)


def test_cells_under_each_other_whatever_their_width_on_the_screen() -> None:
    lines = [["a", "b", "c"], ["株式", "1", "x"], ["s", "100", ""]]
    assert complete(lines, right=(1,)).splitlines() == ["a       b  c", "株式    1  x", "s     100"]
    assert complete([["a", "b"]]) == "a  b"


def test_nothing_to_show_is_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(("SID", "SIZE"), [])
    show_media([])
    assert capsys.readouterr().out.splitlines()[0] == "SID  SIZE"
