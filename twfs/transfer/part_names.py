"""What an unfinished file is called: after the file it becomes, and never longer than a file system takes."""

import re
from hashlib import blake2b

_LONGEST = 143
"""Bytes of UTF-8. eCryptfs takes no longer names (its documentation); the other file systems of Linux take 255."""

_TOKEN = re.compile(r"[0-9a-f]+")
_END = ".part"


def part_name(goal_name: str, token: str) -> str:
    """`.NAME.TOKEN.part`; of a name too long for that its beginning and a digest of all of it."""
    room = _LONGEST - len(f"..{token}{_END}")
    return f".{_shortened(goal_name, room)}.{token}{_END}"


def is_part_of(name: str, goal_name: str, token_size: int) -> bool:
    """Whether `part_name` gives `name` to a part of `goal_name`, with a token of so many hexadecimal digits."""
    token = name.removesuffix(_END)[-token_size:]
    is_token = len(token) == token_size and _TOKEN.fullmatch(token) is not None
    return is_token and name == part_name(goal_name, token)


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
