"""`.twfs/status`: what this mount is and does, as JSON for people and scripts."""

import json
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from twfs.metrics import CallMeter, Distribution
from twfs.mount.log_destination import present_destination
from twfs.mount.observation import Observation, resident_bytes
from twfs.mount.open_files import Access
from twfs.mount.traffic import MEDIA_URL
from twfs.redaction import redacted_tree

_GRANTED = frozenset(("200", "301", "302", "303", "307", "308"))
"""How `/Media` answers when it names a URL."""


def status_of(seen: Observation) -> Callable[[], dict[str, Any]]:
    """What tells the present state at each call, JSON-able; no request, no secret. Bytes, seconds, and since 1970."""
    session, config = seen.session, seen.session.config
    fixed = {
        "twfs": version("twfs"),
        "source": seen.source,
        "mountpoint": str(seen.place),
        "account_sid": config.account_sid,
        "api_url": config.api_url,
        "pid": os.getpid(),
        "mounted_at": session.clock.wall(),
        "binding": f"{seen.binding.name}, libfuse {seen.binding.libfuse_version}",
    }

    def state() -> dict[str, Any]:
        return {
            **fixed,
            "now": session.clock.wall(),
            "private_keys": [{"name": key.name, "fingerprint": key.fingerprint} for key in config.keyring],
            "credentials": {"user": session.reloading.credentials.user, "from": session.reloading.credentials.origin},
            "warnings": config.keyring.shortcomings(),
            "memory_bytes": resident_bytes(),
            "catalog": redacted_tree(session.catalog.status()),
            "read": {"opened": seen.open_files.opened_count, "bytes": seen.open_files.bytes_read()},
            "fetched": session.engine.usage(),
            "cache": session.cache.usage(),
            "windows": session.library.windows(),
            "operations": _calls(seen.calls),
            "requests": _calls(session.traffic.requests),
            "presigned_urls": presigned_urls(session.traffic.requests),
            "api": {"requests_per_second": session.traffic.api_rate(), "limit": config.api_rate},
            "clock_skew": session.traffic.clock_skew(),
            "log": present_destination(),
            "audit": seen.audit.outcomes.snapshot() if seen.audit is not None else None,
            "open_files": [_open_file(access) for access in seen.open_files.present()],
        }

    return state


def status_file(state: Callable[[], Mapping[str, Any]]) -> Callable[[], bytes]:
    """The file's content, written anew at each call."""
    return lambda: json.dumps(state(), indent=2, ensure_ascii=True).encode() + b"\n"


def presigned_urls(requests: CallMeter) -> int:
    """URLs that Twilio has handed out: first ones and renewals."""
    ends = requests.outcomes.snapshot().items()
    return sum(count for (kind, outcome), count in ends if kind == MEDIA_URL and outcome in _GRANTED)


def _calls(meter: CallMeter) -> dict[str, Any]:
    """Per name: how often, how long, and how they ended."""
    outcomes: dict[str, dict[str, int]] = {}
    for (name, outcome), count in meter.outcomes.snapshot().items():
        outcomes.setdefault(name, {})[outcome] = count
    return {name: _times(times) | {"outcomes": outcomes.get(name, {})} for name, times in meter.durations().items()}


def _times(times: Distribution) -> dict[str, Any]:
    return {
        "count": times.count,
        "seconds": round(times.seconds, 6),
        "half_within": times.quantile(0.5),
        "most_within": times.quantile(0.99),
    }


def _open_file(access: Access) -> dict[str, Any]:
    return {
        "sid": access.medium.sid,
        "path": access.path,
        "size": access.plain_size,
        "uid": access.uid,
        "pid": access.process.pid,
        "command": access.process.command,
        "opened_at": access.opened_at,
        "bytes_read": access.bytes_read,
        "position": access.position,
    }
