"""What `twfs doctor` finds out about options that a mount may fail with: each is tried as the mount does it."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler

from twfs.cli.finding import OK, PROBLEM, Finding
from twfs.cli.logging import log_handler
from twfs.config.config import Config
from twfs.config.observing import Address
from twfs.errors import ConfigError
from twfs.media.block_cache import BlockCache
from twfs.mount.audit import JOURNAL, check_audit
from twfs.mount.log_destination import log_place
from twfs.mount.metrics_server import MetricsServer


def option_findings(config: Config) -> Iterator[Finding]:
    """Whether what is asked for can be had; nothing of it is there afterwards."""
    yield _tried("cache", partial(BlockCache, config.cache_size), "cache_size: so much memory can be reserved")
    if config.metrics is not None:
        # A mount of the same profile may have it, so that this is no mistake.
        mend = "give another HOST:PORT, or end what listens there, which may be a mount; run: ss -ltnp"
        yield _tried("metrics", partial(_listen, config.metrics), f"metrics: {config.metrics} can be had", mend)
    if config.audit is not None:
        mend = "give a file instead" if config.audit == JOURNAL else ""
        yield _tried("audit", partial(check_audit, config.audit), f"audit: {config.audit} can be written", mend)
    yield _log_finding(config)
    if config.log_format == JOURNAL:
        there = partial(log_handler, config.log_format, os.environ)
        yield _tried("log", there, "log_format: systemd's journal answers", "give log_format=text")


def _log_finding(config: Config) -> Finding:
    """Where to look for what a mount in the background says."""
    try:
        return Finding(OK, "log place", f"log: a mount in the background writes it to {log_place(config)}")
    except ConfigError as error:
        return Finding(PROBLEM, "log place", str(error))


def _tried(check: str, try_it: Callable[[], object], text: str, mend: str = "") -> Finding:
    """`text` if it goes well, else what is wrong with it."""
    try:
        try_it()
    except ConfigError as error:
        return Finding(PROBLEM, check, str(error), mend)
    return Finding(OK, check, text)


def _listen(address: Address) -> None:
    MetricsServer(address, BaseHTTPRequestHandler).end()
