"""What `twfs top` makes of two states, on terminals of all widths."""

import io
from typing import Any

import pytest
from rich.console import Console

from twfs.cli.top_view import frame

NAME = "RT" + "8" * 32 + ".mkv"


def opened(number: int, size: int = 999 * 2**30, **more: object) -> dict[str, Any]:
    values = {
        "sid": NAME.partition(".")[0],
        "path": f"/recordings/{NAME}",
        "size": size,
        "uid": 0,
        "pid": number,
        "command": "a-long-command!",
        "opened_at": 100.0,
        "bytes_read": 0,
        "position": size // 2,
    }
    return values | more


def state(now: float, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {
        "now": now,
        "source": "twilio:demo",
        "mountpoint": "/srv/recordings",
        "pid": 7,
        "mounted_at": 40.0,
        "memory_bytes": 2**26,
        "catalog": {
            "media": {"recordings": 11, "compositions": 2},
            "states": {"readable": 11, "locked": 1, "damaged": 0},
            "last_refresh": 99.0,
            "refresh_error": None,
            "probe_error": None,
        },
        "read": {"bytes": 0},
        "fetched": {"bytes": 0, "running": 3, "queued": 1},
        "cache": {"capacity_bytes": 2**28, "ready_bytes": 2**20, "hits": 0, "misses": 0, "wasted_bytes": 0},
        "windows": {"streams": 2, "bytes": 2**22},
        "requests": {"list": {"outcomes": {"200": 4, "404": 1, "Unreachable": 2}}},
        "api": {"requests_per_second": 1.25, "limit": 40.0},
        "open_files": list(files),
    }
    return values | more


def shown(before: dict[str, Any], now: dict[str, Any], width: int) -> list[str]:
    """The lines on a terminal."""
    file = io.StringIO()
    Console(file=file, width=width, height=30).print(frame(before, now))
    return file.getvalue().splitlines()


def row(lines: list[str], pid: int) -> list[str]:
    (line,) = [line for line in lines if f" {pid} " in line]
    return line.split()


@pytest.mark.parametrize("width", [80, 99, 100, 250])
def test_figures_are_never_cut(width: int) -> None:
    before = state(101, opened(4194304))
    now = state(102, opened(4194304, bytes_read=999 * 2**20))
    lines = shown(before, now, width)
    assert max(map(len, lines)) <= width
    figures = [cell for cell in row(lines, 4194304)[1:] if not cell.startswith("━")]
    assert figures == ["a-long-command!", "4194304", "root", "999.0G", "50%", "999.0M", "999.0M/s"]
    assert any("━" in line for line in lines) == (width >= 100)


def test_a_name_has_what_room_there_is() -> None:
    lines = shown(state(101), state(102, opened(4711)), 200)
    assert row(lines, 4711)[0] == NAME
    assert row(shown(state(101), state(102, opened(4711)), 80), 4711)[0].startswith("RT8888")


def test_those_that_are_read_fastest_come_first() -> None:
    before = state(101, *(opened(pid, bytes_read=1000) for pid in (11, 22, 33)))
    now = state(102, opened(11, bytes_read=1000), opened(22, bytes_read=9000), opened(33, bytes_read=2000))
    lines = shown(before, now, 120)
    places = [next(at for at, line in enumerate(lines) if f" {pid} " in line) for pid in (22, 33, 11)]
    assert places == sorted(places)


def test_a_rate_is_since_it_was_opened() -> None:
    """Not since the look before, when it was not open yet."""
    now = state(110, opened(4711, opened_at=109.0, bytes_read=2**20))
    assert row(shown(state(101), now, 80), 4711)[-1] == "1.0M/s"


def test_the_first_millisecond_makes_no_rate() -> None:
    now = state(110, opened(4711, opened_at=109.999, bytes_read=2**20))
    assert row(shown(state(109), now, 80), 4711)[-1] == "1.0M/s"


def test_head() -> None:
    cache = {"capacity_bytes": 2**28, "ready_bytes": 2**20, "hits": 3, "misses": 1, "wasted_bytes": 1}
    lines = shown(state(100), state(102, read={"bytes": 2**21}, cache=cache), 120)
    assert [line.rstrip() for line in lines] == [
        "twilio:demo at /srv/recordings, pid 7, up 1:02",
        "11 recordings, 2 compositions, 1 locked; refreshed 0:03 ago",
        "0 open files; read 1.0M/s; fetched 0/s, requests: 3 running, 1 waiting",
        "cache 1.0M of 256.0M, 75% hits, 1 wasted; prefetch 4.0M in 2 windows",
        "API 1.2 of 40 requests/s; failed requests: 3; memory 64.0M",
        "",
        "no medium is open",
    ]


def test_troubles_are_shown_and_cannot_colour_the_screen() -> None:
    trouble = state(102)
    trouble["catalog"]["refresh_error"] = "Twilio \x1b[2J is down"
    trouble["open_files"] = [opened(4711, command="\x1b[31m", uid=4_000_000_000)]
    text = "\n".join(shown(state(101), trouble, 120))
    assert "! Twilio \\x1b[2J is down" in text
    assert "\x1b" not in text
    assert " 4000000…" in text or " 4000000000" in text
