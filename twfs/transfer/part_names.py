"""What an unfinished file is called: after the file it becomes, and never longer than a file system takes."""

import re
from hashlib import blake2b

_LONGEST = 143
"""Bytes of UTF-8. eCryptfs takes no longer names (its documentation); the other file systems of Linux take 255."""

_PART = re.compile(r"(.*)\.([0-9a-f]+)\.part", re.DOTALL)
_END = ".part"

Stem = tuple[str, int]
"""What the parts of one file have in common: the beginning of their names, and how long their tokens are."""


def part_name(goal_name: str, token: str) -> str:
    """`.NAME.TOKEN.part`; of a name too long for that its beginning and a digest of all of it."""
    room = _LONGEST - len(f"..{token}{_END}")
    return f".{_shortened(goal_name, room)}.{token}{_END}"


def stem_of(name: str) -> Stem | None:
    """That of a name as `part_name` gives them; None for any other."""
    match = _PART.fullmatch(name)
    return (match[1], len(match[2])) if match else None


def part_stem(goal_name: str, token_size: int) -> Stem:
    """That of the parts of `goal_name` whose tokens have so many hexadecimal digits, and of no other file's."""
    return part_name(goal_name, "0" * token_size)[: -token_size - len(f".{_END}")], token_size


def _shortened(name: str, room: int) -> str:
    if _size(name) <= room:
        return name
    mark = f"~{blake2b(_bytes(name), digest_size=8).hexdigest()}"
    # By whole characters: some file systems take valid UTF-8 only.
    while _size(name) > room - len(mark):
        name = name[:-1]
    return name + mark


def _size(name: str) -> int:
    return len(_bytes(name))


def _bytes(name: str) -> bytes:
    # A byte that is no UTF-8 counts as three this way, so the name may come out shorter than it had to.
    return name.encode("utf-8", "surrogatepass")
