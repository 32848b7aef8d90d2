"""One frame of `twfs top`: two states of a mount, made a picture of the time between.

The only module that knows `rich`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from twfs.cli.figures import human_duration, human_size
from twfs.cli.output import one_line

State = Mapping[str, Any]
"""What `.twfs/status` holds."""

_BAR = 20


def frame(before: State, now: State) -> RenderableType:
    """What was going on between two states of one mount; `before` is the earlier one."""
    seconds = max(now["now"] - before["now"], 1e-3)
    return Group(Text("\n".join(_head(before, now, seconds))), _files(before, now, seconds))


def _head(before: State, now: State, seconds: float) -> Iterator[str]:
    catalog, cache, api = now["catalog"], now["cache"], now["api"]
    age = human_duration(now["now"] - now["mounted_at"])
    yield one_line(f"{now['source']} at {now['mountpoint']}, pid {now['pid']}, up {age}")
    counts = ", ".join(f"{count} {kind}" for kind, count in catalog["media"].items())
    yield f"{counts}; {_refreshed(now)}"
    read, fetched = (_rate(before, now, seconds, what) for what in ("read", "fetched"))
    ranges = now["fetched"]
    yield f"read {read}, fetched {fetched} by {ranges['running']} ranges, {ranges['queued']} waiting"
    yield (
        f"cache {human_size(cache['ready_bytes'])} of {human_size(cache['capacity_bytes'])}, "
        f"{_hits(before['cache'], cache)} hits, {human_size(cache['wasted_bytes'])} wasted; "
        f"{now['windows']['streams']} windows, {human_size(now['windows']['bytes'])}"
    )
    yield (
        f"API {api['requests_per_second']:.1f} of {api['limit']:g} requests/s, "
        f"{_failures(now['requests'])} requests failed; memory {human_size(now['memory_bytes'])}"
    )
    for trouble in filter(None, (catalog["refresh_error"], catalog["probe_error"])):
        yield f"! {one_line(trouble)}"


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


def _files(before: State, now: State, seconds: float) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    for name, right in (
        ("FILE", False),
        ("READER", False),
        ("SIZE", True),
        ("AT", False),
        ("READ", True),
        ("RATE", True),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "READER", overflow="ellipsis")
    was = {_key(file): file["bytes_read"] for file in before["open_files"]}
    for file in now["open_files"]:
        rate = int((file["bytes_read"] - was.get(_key(file), 0)) / seconds)
        reader = Text(one_line(f"{file['command'] or '?'} {file['pid']} uid {file['uid']}"))
        bar = ProgressBar(total=max(file["size"], 1), completed=file["position"], width=_BAR)
        figures: list[RenderableType] = [
            human_size(file["size"]),
            bar,
            human_size(file["bytes_read"]),
            f"{human_size(rate)}/s",
        ]
        table.add_row(Text(one_line(file["path"].rpartition("/")[2])), reader, *figures)
    if not now["open_files"]:
        table.add_row("no medium is open")
    return table


def _key(file: State) -> tuple[object, ...]:
    """What tells one opening from another, well enough for a second."""
    return (file["sid"], file["pid"], file["opened_at"])
