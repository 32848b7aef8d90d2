"""`.twfs/status`: what this mount is and does, as JSON for people and scripts."""

import json
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from twfs.fuse.binding import Binding
from twfs.mount.session import Session


def status_file(session: Session, source: str, place: Path, binding: Binding) -> Callable[[], bytes]:
    """What writes the file's content anew at each call; no request, no secret."""
    config = session.config
    fixed = {
        "twfs": version("twfs"),
        "source": source,
        "mountpoint": str(place),
        "account_sid": config.account_sid,
        "api_url": config.api_url,
        "pid": os.getpid(),
        "mounted_at": session.clock.wall(),
        "binding": f"{binding.name}, libfuse {binding.libfuse_version}",
        "private_keys": [{"name": key.name, "fingerprint": key.fingerprint} for key in config.keyring],
    }

    def content() -> bytes:
        fetcher = session.fetcher
        state = {
            **fixed,
            "now": session.clock.wall(),
            "catalog": session.catalog.status(),
            "cache": session.cache.usage(),
            "fetched": {"requests": fetcher.fetches, "bytes": fetcher.bytes_fetched},
        }
        return json.dumps(state, indent=2, ensure_ascii=True).encode() + b"\n"

    return content
