"""A small mount of made-up media, served in the foreground: `python -m tests.fuse.served DIR --fuse 3`.

`media()` is what it serves; the tests compare with it.
"""

import argparse
import ctypes
import itertools
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from tests.fs.fakes import FakeCatalog, FakeLibrary, FakeRemover, composition, readable, recording
from twfs.clock import Deadline, SystemClock
from twfs.errors import Unreachable
from twfs.fs.options import FsSettings
from twfs.fs.vfs import Vfs
from twfs.fuse.binding import load_binding
from twfs.fuse.operations import Operations
from twfs.probe import MediaInfo, MediaState
from twfs.resources import Medium

SIZES = (1, 15, 16, 17, 4095, 4096, 4097, 2**20 - 1, 2**20, 2**20 + 1, 3_000_001)

ABSENT = recording(101, track_name="muted")
LOCKED = recording(102, track_name="other key")
DAMAGED = recording(103, track_name="damaged")
UNREACHABLE = recording(104, track_name="unreachable")
BROKEN = recording(105, track_name="broken")
COMPOSITION = composition(106, completed_at=1_511_460_000)
HOSTILE = recording(107, track_name="../../etc/pas\0swd\u202egpj.exe\n:*?")
UNDATED = recording(108, created_at=None, room_sid=None)

FIRST_OF_MANY = 1000
CALLS = "calls: "
"""Begins the last line but one: how often each callback was called, as JSON."""

STATUS = b'{"state": "ready"}\n'


def readable_media() -> dict[Medium, MediaInfo]:
    """Whole media of all sizes."""
    media = {recording(number): readable(size) for number, size in enumerate(SIZES)}
    return media | {COMPOSITION: readable(5000), HOSTILE: readable(10, encrypted=False), UNDATED: readable(20)}


def media() -> dict[Medium, MediaInfo]:
    """All that is mounted."""
    return readable_media() | {
        ABSENT: MediaInfo(MediaState.ABSENT, 0),
        LOCKED: MediaInfo(MediaState.LOCKED, 1234, encrypted=True, reason="no private key fits"),
        DAMAGED: MediaInfo(MediaState.DAMAGED, 4321, reason="the padding is wrong"),
        UNREACHABLE: readable(1),
        BROKEN: readable(1),
    }


SECOND_ETAG = '"e2"'


GROWN = recording(3)
GROWTH = 5000


class ChangingCatalog(FakeCatalog):
    """Every readable object is another one as soon as a file exists, and one of them is larger then."""

    def __init__(self, changed: Path | None, excess: int, many: int) -> None:
        super().__init__(media() | {recording(FIRST_OF_MANY + number): readable(1) for number in range(many)})
        self._changed = changed
        if excess:
            self.claims = {medium.sid: info.plain_size + excess for medium, info in readable_media().items()}

    def info(self, sid: str, deadline: Deadline) -> MediaInfo:
        info = super().info(sid, deadline)
        if self._changed is None or not self._changed.exists() or info.state is not MediaState.READABLE:
            return info
        growth = GROWTH if sid == GROWN.sid else 0
        return replace(info, etag=SECOND_ETAG, plain_size=info.plain_size + growth)


def _vfs(catalog: FakeCatalog, stall: float, timeout: float, *, allow_delete: bool) -> Vfs:
    clock = SystemClock()
    library = FakeLibrary(clock, stall=stall)
    catalog.failures[UNREACHABLE.sid] = Unreachable("the API cannot be reached")
    catalog.failures[BROKEN.sid] = ZeroDivisionError("https://example.test/?X-Amz-Signature=secret")
    settings = FsSettings(uid=os.getuid(), gid=os.getgid(), timeout=timeout)
    counter = itertools.count(1)

    def metrics() -> bytes:
        count = next(counter)
        return f"{count} {len(library.reads)} {library.open_now} {'#' * count}\n".encode()

    remover = FakeRemover(catalog, {recording(len(SIZES) - 1).sid}) if allow_delete else None
    return Vfs(catalog, library, settings, clock, {"status": lambda: STATUS, "metrics": metrics}, remover=remover)


_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def deny_write_execute() -> None:
    """From now on no page of this process may be written and executed.

    Raises:
        OSError: Linux before 6.3.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--fuse", choices=("auto", "3", "2"), default="auto")
    parser.add_argument("--attr-timeout", type=float, default=60.0)
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--changed", type=Path)
    parser.add_argument("--excess", type=int, default=0, help="bytes that sizes told on trust are too large")
    parser.add_argument("--many", type=int, default=0, help="further recordings")
    parser.add_argument("--allow-other", action="store_true")
    parser.add_argument("--allow-delete", action="store_true")
    parser.add_argument("--fail-at-init", action="store_true")
    parser.add_argument("--deny-write-execute", action="store_true", help="as systemd's MemoryDenyWriteExecute")
    parser.add_argument("--ready", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    if options.deny_write_execute:
        deny_write_execute()
    binding = load_binding(options.fuse)

    def begin() -> None:
        if options.fail_at_init:
            raise LookupError("nothing to serve")
        # Complete as soon as it is there.
        beside = options.ready.with_suffix(".part")
        beside.write_text(f"{binding.name} {binding.libfuse_version}")
        beside.replace(options.ready)

    catalog = ChangingCatalog(options.changed, options.excess, options.many)
    vfs = _vfs(catalog, options.stall, options.timeout, allow_delete=options.allow_delete)
    operations = Operations(vfs, binding.caller)
    binding.run(
        operations,
        options.directory,
        fsname="twilio:test",
        attr_timeout=options.attr_timeout,
        allow_other=options.allow_other,
        read_only=not options.allow_delete,
        on_init=begin,
    )
    counts = {name: distribution.count for name, distribution in operations.calls.durations().items()}
    sys.stderr.write(f"{CALLS}{json.dumps(counts)}\nended\n")


if __name__ == "__main__":
    main()
