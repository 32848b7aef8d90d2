"""Each fault of a single medium, seen through one mount that reads the others meanwhile."""

import random
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.faults.cases import MANY_RANGES, OBJECTS, QUOTA, S3, TIMEOUT, TWILIO, UNRESOLVABLE, Case
from tests.faults.scene import ABSENT, Scene, Seen, assert_discreet, gist, read_file, spells
from tests.mount.harness import Customer, Mounted, customer, mounted, needs_fuse
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault

pytestmark = needs_fuse

CASES = (*TWILIO, *S3, *OBJECTS)
ALL = (*CASES, *QUOTA)
SLOW_LANES = 10
OPTIONS = {
    "timeout": f"{TIMEOUT:g}",
    "refresh": "3600",
    "connections": "64",
    "attr_timeout": "0",
    "media_hosts": f"amazonaws.com:localhost:{UNRESOLVABLE}",
}
RECOVERY = 11.0
"""Seconds: the longest that a connection may be silent before it is given up, and some more."""
SLACK = 4.0
"""Seconds beyond `timeout` for a machine that does much else."""


@dataclass
class Story:
    """What happened to one case's medium."""

    first: Seen
    again: Seen
    """Read once more while the fault still strikes."""
    struck: bool
    afterwards: Seen
    """Read when the fault was taken away."""
    complaints: list[list[str]]
    """What the log said of it, by spells."""


class Lane:
    """One mount, and the cases that are acted out in it, so many at once."""

    def __init__(self, cases: Sequence[Case], at_once: int, key: RSAPrivateKey, **options: str) -> None:
        self.cases = cases
        self.at_once = at_once
        self.key = key
        self.options = OPTIONS | options
        self.account = SimulatedAccount()
        self.account.store_settings(Kind.RECORDING, {"encryption_enabled": True})
        self.sids = {
            case.title: self.account.add_recording(case.stored(plain_of(case), key.public_key())) for case in cases
        }
        self.faults: dict[str, tuple[Fault, ...]] = {}

    def play(self, folder: Path) -> dict[str, Story]:
        """What happened, by title."""
        with customer(folder, self.account, self.key) as place:
            for case in self.cases:
                if case.when == "new":
                    self._strike(case, place)
            with mounted(place, **self.options) as mount, ThreadPoolExecutor(self.at_once) as pool:
                stories = list(pool.map(lambda case: self._act(case, place, mount), self.cases))
            assert_discreet(mount.log, self.account)
        return {case.title: story for case, story in zip(self.cases, stories, strict=True)}

    def _strike(self, case: Case, place: Customer) -> None:
        scene = Scene(self.sids[case.title], place.simulator)
        self.faults[case.title] = tuple(case.strike(scene))
        for fault in self.faults[case.title]:
            place.simulator.inject(fault)

    def _act(self, case: Case, place: Customer, mount: Mounted) -> Story:
        path = mount.file(self.sids[case.title])
        first = read_file(path, after_first=lambda: None if case.when == "new" else self._strike(case, place))
        again = read_file(path)
        said = spells(mount.log, self.sids[case.title])
        faults = self.faults.get(case.title, ())
        struck = case.title in self.faults and (not faults or any(place.simulator.strikes(fault) for fault in faults))
        for fault in faults:
            place.simulator.remove_fault(fault)
        return Story(
            first,
            again,
            struck,
            again if case.lasts else read_until_well(path, RECOVERY),
            said,
        )


def read_until_well(path: Path, seconds: float) -> Seen:
    """What a reader sees who tries again for a while: a request begun during the fault may still be waited for."""
    end = time.monotonic() + seconds
    while (seen := read_file(path)).error and time.monotonic() < end:
        time.sleep(0.1)
    return seen


def plain_of(case: Case) -> bytes:
    """The plaintext of a case's medium."""
    return random.Random(case.title).randbytes(case.size)


def lanes(key: RSAPrivateKey) -> list[Lane]:
    """What may stall a lookup has few companions: libfuse before 3.14 looks up one name of a folder at a time."""
    assert len({case.title for case in ALL}) == len(ALL)
    by_chance = [case for case in CASES if case.size == MANY_RANGES]
    others = [case for case in CASES if case not in by_chance]
    quick = [case for case in others if case.when == "open" or case in OBJECTS]
    slow = [case for case in others if case not in quick]
    alone = [Lane(slow[start::SLOW_LANES], 1, key) for start in range(SLOW_LANES)]
    dice = Lane(by_chance, len(by_chance), key, readahead="256K")
    return [Lane(quick, 12, key), dice, Lane(QUOTA[:-1], 1, key), Lane(QUOTA[-1:], 1, key), *alone]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory, private_key: RSAPrivateKey) -> dict[str, Story]:
    """All cases are acted out at once: most of their time is waiting."""
    playing = lanes(private_key)
    folders = [tmp_path_factory.mktemp("lane") for _ in playing]
    with ThreadPoolExecutor(len(playing)) as pool:
        played = pool.map(lambda lane, folder: lane.play(folder), playing, folders)
        return {title: story for stories in played for title, story in stories.items()}


def params() -> list[object]:
    """All cases; those with a bug are expected to fail."""
    marks = [[pytest.mark.xfail(strict=True, reason=case.bug)] if case.bug else [] for case in ALL]
    return [pytest.param(case, id=case.title, marks=mark) for case, mark in zip(ALL, marks, strict=True)]


every_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.title) for case in ALL])


def judge(seen: Seen, case: Case, sees: tuple[str, ...]) -> None:
    """Whether that is what must be seen, and never anything but the truth."""
    plain = plain_of(case)
    if sees == (ABSENT,):
        is_true = (seen.error, seen.data, seen.is_absent) == (None, b"", True)
    elif sees:
        assert seen.error in sees, (seen.call, seen.error)
        is_true = seen.data == plain[: len(seen.data)]
    else:
        assert seen.error is None, (seen.call, seen.error)
        is_true = seen.data == plain
    # Not the bytes themselves: pytest takes minutes to show how a megabyte of them differs from another.
    assert is_true, (seen.call, len(seen.data))
    assert seen.slowest < TIMEOUT + SLACK, seen.call


@pytest.mark.parametrize("case", params())
def test_a_reader_sees_what_is_promised(case: Case, stories: dict[str, Story]) -> None:
    story = stories[case.title]
    assert story.struck, "the fault never struck: the test proves nothing"
    judge(story.first, case, case.sees)
    judge(story.again, case, case.sees)


@every_case
def test_it_is_over_when_the_fault_is_over(case: Case, stories: dict[str, Story]) -> None:
    # What had no media is asked for again after a minute only.
    if not case.lasts and case.sees != (ABSENT,):
        judge(stories[case.title].afterwards, case, ())


@every_case
def test_the_log_says_why_once(case: Case, stories: dict[str, Story]) -> None:
    said = stories[case.title].complaints
    if not case.log:
        assert not any(said), said
        return
    assert any(re.search(case.log, line) for spell in said for line in spell), said
    for spell in said:
        gists = [gist(line) for line in spell if "in the background is paused" not in line]
        assert len(set(gists)) == len(gists), said
