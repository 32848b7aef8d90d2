"""Standard error, heard for a while."""

import os
import subprocess

from twfs.fuse.overheard import Overheard


def say(text: str) -> None:
    """As fusermount does, a program of its own."""
    subprocess.run(["sh", "-c", 'printf "$1" >&2', "sh", text], check=True)


def test_what_programs_say_is_heard_and_later_ones_are_not() -> None:
    before = os.readlink("/proc/self/fd/2")  # noqa: PTH115 - it names no path
    overheard = Overheard()
    say("fusermount3: no write access\n\n  and more\n")
    assert overheard.end() == "fusermount3: no write access; and more"
    assert os.readlink("/proc/self/fd/2") == before  # noqa: PTH115
    assert overheard.end() == ""


def test_silence_is_no_words() -> None:
    assert Overheard().end() == ""


def test_who_says_more_than_is_kept_is_not_held_up() -> None:
    overheard = Overheard()
    subprocess.run(["sh", "-c", "yes | head -c 1000000 >&2"], check=False)
    assert overheard.end().startswith("y; y; ")


def test_no_descriptor_is_left() -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    Overheard().end()
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
