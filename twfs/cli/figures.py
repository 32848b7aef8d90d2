"""Numbers and moments as people read them."""

from datetime import UTC, datetime


def counted(count: int, plural: str) -> str:
    """`1 recording`, `2 recordings`."""
    return f"{count} {plural.removesuffix('s') if count == 1 else plural}"


def human_size(size: int) -> str:
    """`176.7K`; K, M, G and T are binary, as in the options."""
    if size < 1024:
        return str(size)
    exponent = next((power for power in range(1, 4) if size / 1024**power < 999.95), 4)
    return f"{size / 1024**exponent:.1f}{'KMGT'[exponent - 1]}"


def human_duration(seconds: float) -> str:
    """`1:02:03`, or `0:08`."""
    whole = int(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def moment(seconds: int | None) -> str | None:
    """`2017-11-23T16:47:17Z` from seconds since 1970 UTC; None if there are none, or the calendar does not reach."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
