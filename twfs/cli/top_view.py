"""One frame of `twfs top`: two states of a mount, made a picture of the time between.

The only module that knows `rich`.
"""

import pwd
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from twfs.cli.figures import counted, human_duration, human_size
from twfs.cli.output import one_line

State = Mapping[str, Any]
"""What `.twfs/status` holds."""

_BAR = 20
_WIDE = 100
"""Columns of a terminal with room for bars."""
_STATES = {"locked": "locked", "damaged": "damaged", "unknown": "not looked at yet"}


def frame(before: State, now: State) -> RenderableType:
    """What was going on between two states of one mount; `before` is the earlier one."""
    seconds = max(now["now"] - before["now"], 1e-3)
    first, *rest = _head(before, now, seconds)
    troubles = filter(None, (now["catalog"]["refresh_error"], now["catalog"]["probe_error"]))
    return Group(
        Text(first, style="bold"),
        Text("\n".join(rest)),
        *(Text(f"! {one_line(trouble)}", style="red") for trouble in troubles),
        Text(),
        _Files(before, now),
    )


def _head(before: State, now: State, seconds: float) -> Iterator[str]:
    cache, api, ranges, windows = now["cache"], now["api"], now["fetched"], now["windows"]
    age = human_duration(now["now"] - now["mounted_at"])
    yield one_line(f"{now['source']} at {now['mountpoint']}, pid {now['pid']}, up {age}")
    yield f"{_media(now['catalog'])}; {_refreshed(now)}"
    read, fetched = (_rate(before, now, seconds, what) for what in ("read", "fetched"))
    files = counted(len(now["open_files"]), "open files")
    yield f"{files}; read {read}; fetched {fetched}, requests: {ranges['running']} running, {ranges['queued']} waiting"
    yield (
        f"cache {human_size(cache['ready_bytes'])} of {human_size(cache['capacity_bytes'])}, "
        f"{_hits(before['cache'], cache)} hits, {human_size(cache['wasted_bytes'])} wasted; "
        f"prefetch {human_size(windows['bytes'])} in {counted(windows['streams'], 'windows')}"
    )
    yield (
        f"API {api['requests_per_second']:.1f} of {api['limit']:g} requests/s; "
        f"failed requests: {_failures(now['requests'])}; memory {human_size(now['memory_bytes'])}"
    )


def _media(catalog: State) -> str:
    counts = [counted(count, kind) for kind, count in catalog["media"].items()]
    states = catalog["states"]
    return ", ".join(counts + [f"{states[name]} {words}" for name, words in _STATES.items() if states.get(name)])


def _refreshed(now: State) -> str:
    last = now["catalog"]["last_refresh"]
    return "never refreshed" if last is None else f"refreshed {human_duration(max(0, now['now'] - last))} ago"


def _rate(before: State, now: State, seconds: float, what: str) -> str:
    return f"{human_size(max(0, int((now[what]['bytes'] - before[what]['bytes']) / seconds)))}/s"


def _hits(before: State, now: State) -> str:
    """The share since `before`; a dash if nothing was asked for."""
    hits, misses = (now[name] - before[name] for name in ("hits", "misses"))
    return f"{hits / (hits + misses):.0%}" if hits + misses > 0 else "-"


def _failures(requests: State) -> int:
    """Requests that did not end with a status below 400."""
    ends = [end for kind in requests.values() for end in kind["outcomes"].items()]
    return sum(count for outcome, count in ends if not (outcome.isdigit() and int(outcome) < 400))


class _Files:
    """The open files, those first that are read fastest: what does not fit on the screen is the rest."""

    def __init__(self, before: State, now: State) -> None:
        was = {_key(file): file["bytes_read"] for file in before["open_files"]}
        self._rows = [(self._rate(file, was, before["now"], now["now"]), file) for file in now["open_files"]]
        self._rows.sort(key=lambda row: -row[0])

    @staticmethod
    def _rate(file: State, was: Mapping[tuple[object, ...], int], before: float, now: float) -> int:
        """Bytes per second, since it was opened if that was later than `before`; its first moments make no rate."""
        seconds = max(now - max(before, file["opened_at"]), min(1.0, now - before), 1e-3)
        return int((file["bytes_read"] - was.get(_key(file), 0)) / seconds)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As wide as the screen: names are cut, figures never."""
        if not self._rows:
            yield Text("no medium is open")
            return
        is_wide = options.max_width >= _WIDE
        table = Table(box=None, padding=(0, 1, 0, 0), expand=True)
        table.add_column("FILE", ratio=1, no_wrap=True, overflow="ellipsis")
        for name, width, right in (("COMMAND", 15, False), ("PID", 7, True), ("USER", 8, False), ("SIZE", 6, True)):
            table.add_column(name, width=width, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
        table.add_column("AT", width=4, justify="right", no_wrap=True)
        if is_wide:
            table.add_column(width=_BAR)
        for name, width in (("READ", 6), ("RATE", 8)):
            table.add_column(name, width=width, justify="right", no_wrap=True)
        for rate, file in self._rows:
            table.add_row(*_cells(file, rate, is_wide=is_wide))
        yield table


def _cells(file: State, rate: int, *, is_wide: bool) -> Iterator[RenderableType]:
    yield Text(one_line(file["path"].rpartition("/")[2]))
    yield Text(one_line(file["command"] or "?"))
    yield Text(str(file["pid"]))
    yield Text(_user(file["uid"]))
    yield Text(human_size(file["size"]))
    total = max(file["size"], 1)
    yield Text(f"{min(file['position'] / total, 1):.0%}")
    if is_wide:
        yield ProgressBar(total=total, completed=file["position"], width=_BAR)
    yield Text(human_size(file["bytes_read"]))
    yield Text(f"{human_size(rate)}/s")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _key(file: State) -> tuple[object, ...]:
    """What tells one opening from another, well enough for a second."""
    return (file["sid"], file["pid"], file["opened_at"])
