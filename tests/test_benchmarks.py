"""The bench's own parts: figures, verdicts, table, JSON, objects and the order of turns; nothing is measured here."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.bench import QUICK, Bench, Contest, Scale
from tests.benchmarks.figures import (
    NotMeasured,
    Outcome,
    Row,
    at_least,
    at_most,
    difference,
    growth,
    outcome,
    ratio,
    value_of,
    with_unit,
)
from tests.benchmarks.objects import seal_file, seal_hole
from tests.benchmarks.processes import Failed, end, peak_mib, running
from tests.benchmarks.readers import read_together, read_whole
from tests.benchmarks.report import Report, as_json, table
from tests.benchmarks.runner import CONTESTS, Record, run_contest
from tests.benchmarks.service import Crowd, ServedMedium, Spec, build_account, numbered_sid, read_spec
from twfs.crypto.keyring import Keyring, PrivateKey
from twfs.crypto.unlock import Unlocker
from twfs.probe import TAIL_SIZE, MediaState, ObjectFacts


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


class Steady(Contest):
    """A contest of three, of which one falls out in its second turn."""

    name = "steady"
    turns: list[str] = []  # noqa: RUF012 - cleared by the test that reads it

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        return (
            Row("work", "itself", value_of("ours s"), "s"),
            Row("work", "theirs", ratio("ours s", "theirs s"), target=at_most(0.5)),
            Row("work", "frail | one", ratio("ours s", "frail s"), target=at_most(1)),
        )

    def __init__(self, bench: Bench | None, stack: ExitStack) -> None:
        stack.callback(self.turns.append, "taken away")

    def contestants(self):  # type: ignore[no-untyped-def]
        return {"ours": lambda: self._turn("ours", 1), "theirs": lambda: self._turn("theirs", 4), "frail": self._fall}

    def _turn(self, name: str, seconds: float) -> dict[str, float]:
        self.turns.append(name)
        return {"s": seconds}

    def _fall(self) -> dict[str, float]:
        if self.turns.count("frail"):
            raise Failed("it crashed")
        return self._turn("frail", 2)


class NoBench:
    """What a contest without needs gets."""

    scale = QUICK


@pytest.fixture
def record() -> Record:
    Steady.turns.clear()
    return run_contest(Steady, NoBench(), 3, lambda _text: None)  # type: ignore[arg-type]


def test_contestants_take_turns_and_a_failed_one_is_out_for_good(record: Record) -> None:
    assert Steady.turns == ["ours", "theirs", "frail", "theirs", "ours", "ours", "theirs", "taken away"]
    assert record.series == {"ours s": [1, 1, 1], "theirs s": [4, 4, 4]}
    assert record.failures == {"frail": "it crashed"}


def test_rows_tell_what_was_met_and_why_one_was_not_measured(record: Record) -> None:
    assert [outcome.verdict for outcome in record.outcomes] == ["-", "ok", "not measured: it crashed"]
    assert [outcome.is_met for outcome in record.outcomes] == [True, True, False]


def test_the_table_is_markdown_with_one_line_per_row(record: Record) -> None:
    lines = table(Report({"processor": "one"}, [record])).splitlines()
    assert len(lines) == 2 + 3 + 2
    cells = [re.split(r"(?<!\\)\|", line) for line in lines[:5]]
    assert {len(line) for line in cells} == {8}
    assert cells[4][2].strip() == r"frail \| one"
    assert [cell.strip() for cell in cells[3][3:7]] == ["0.25x", "0.25 to 0.25", "<= 0.5x", "ok"]
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[-1] == "1 of 2 targets met. processor one."


def test_json_holds_every_figure(record: Record) -> None:
    written = json.loads(json.dumps(as_json(Report({"processor": "one"}, [record]))))
    assert written["contests"]["steady"]["series"]["theirs s"] == [4, 4, 4]
    assert written["rows"][1]["values"] == [0.25, 0.25, 0.25]
    assert written["rows"][1]["target"] == {"limit": 0.5, "at_least": False}
    assert written["rows"][2]["median"] is None


def test_the_picture_is_drawn_of_whatever_was_measured(record: Record, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    from tests.benchmarks.picture import draw  # noqa: PLC0415 - optional, as above

    machine = {"processor": "one", "memory": "2 GiB", "kernel": "6", "date": "2026-01-01"}
    draw(Report(machine, [record]), tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (at_least(1.0, goal=1.25), 1.3, "ok"),
        (at_least(1.0, goal=1.25), 1.1, "ok, goal 1.25 not reached"),
        (at_least(1.0), 0.9, "missed by 10%"),
        (at_least(8.0), 2.0, "missed by a factor of 4.0"),
        (at_most(4.0), 4.0, "ok"),
        (at_most(4.0), 5.0, "missed by 25%"),
        (at_most(0.0), 0.25, "missed by 0.25"),
        (at_most(100.0), -3.0, "ok"),
    ],
)
def test_verdicts(target, value: float, verdict: str) -> None:  # type: ignore[no-untyped-def]
    assert target.verdict(value) == verdict


def test_ratios_are_of_the_same_round() -> None:
    series = {"a s": [1.0, 10.0], "b s": [2.0, 5.0]}
    assert ratio("a s", "b s")(series) == [0.5, 2.0]
    assert difference("a s", 1.0)(series) == [0.0, 9.0]
    with pytest.raises(NotMeasured, match="c s"):
        ratio("a s", "c s")(series)


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=6))
def test_growth_is_flat_exactly_if_the_largest_is_no_worse_than_the_best(costs: list[float]) -> None:
    series = {str(number): [cost] for number, cost in enumerate(costs)}
    (worse,) = growth(list(series))(series)
    assert (worse <= 1) == all(costs[-1] <= cost for cost in costs)


def test_a_contest_that_could_not_begin_says_so_in_all_its_rows() -> None:
    row = Row("work", "itself", value_of("ours s"), "s", at_most(1))
    assert outcome(row, {}, {"": "no nginx"}).verdict == "not measured: no nginx"
    assert Outcome(row, (3.0, 1.0, 0.5)).value == 1.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1.2345, "x", "1.23x"), (123.4, "MB/s", "123 MB/s"), (4.0, "", "4"), (0.0123, "s", "0.0123 s")],
)
def test_numbers_are_shown_with_three_digits(value: float, unit: str, text: str) -> None:
    assert with_unit(value, unit) == text


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
@pytest.mark.parametrize("scale", [Scale(), QUICK], ids=["full", "quick"])
def test_every_contest_has_rows_and_no_two_are_alike(contest: type[Contest], scale: Scale) -> None:
    rows = contest.rows(scale)
    assert rows
    assert len({(row.work, row.against, row.unit) for row in rows}) == len(rows)


def test_names_of_contests_are_unique() -> None:
    assert len({contest.name for contest in CONTESTS}) == len(CONTESTS)


@pytest.mark.parametrize("size", [33, 48, 5_000_001])
def test_a_sealed_file_is_what_openssl_decrypts(size: int, key: RSAPrivateKey, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(number % 251 for number in range(size)))
    sealed = seal_file(plain, tmp_path / "sealed", key.public_key())
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", sealed.content_key.hex(), "-iv", sealed.iv.hex()]
    opened = subprocess.run([*command, "-in", str(sealed.path)], check=True, capture_output=True)
    assert opened.stdout == plain.read_bytes()


@pytest.mark.parametrize("size", [33, 4096, 2**34 + 7])
def test_a_hole_of_any_size_is_a_readable_object_and_takes_no_space(
    size: int, key: RSAPrivateKey, tmp_path: Path
) -> None:
    hole = seal_hole(size, tmp_path / "hole", key.public_key())
    with hole.path.open("rb") as file:
        file.seek(-TAIL_SIZE, 2)
        facts = ObjectFacts(hole.stored_size, '"etag"', hole.metadata, file.read())
    info = Unlocker(Keyring([PrivateKey(key, "test")])).interpret(facts)
    assert (info.state, info.plain_size) == (MediaState.READABLE, size)
    assert hole.path.stat().st_blocks * 512 <= 64 * 1024


def test_a_spec_describes_the_same_account_everywhere(tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(bytes(48))
    media = [ServedMedium(numbered_sid(0), "mp4", 48, {"x-amz-iv": "…"}, "http://127.0.0.1:1/bucket/x/y")]
    crowd = Crowd(3, str(tmp_path / "sealed"), 40, {"x-amz-iv": "…"})
    for spec in (Spec("AC1", "SK1", "s", 0.03, media), Spec("AC1", "SK1", "s", 0.0, [], crowd)):
        again = read_spec(spec.write(tmp_path / "spec.json"))
        assert again == spec
        account = build_account(again)
        assert account.medium(numbered_sid(0)).has_media
    assert [account.medium(numbered_sid(number)).size for number in range(3)] == [40, 40, 40]


def test_readers_read_all_and_share(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(bytes(3_000_000))
    assert read_whole(tmp_path / "0") > 0
    together = read_together([tmp_path / f"{number}" for number in range(3)])
    assert together.seconds > 0
    assert max(together.shares) == 1
    assert 0 <= together.least_share <= 1


def test_processes_end_with_the_block_and_say_what_they_used(tmp_path: Path) -> None:
    with running([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log") as process:
        assert peak_mib(process.pid) > 0
    assert process.returncode is not None
    end(process)
