"""Thousands of media that are known: listing and stat need no request. How fast they are is for `tests.benchmarks`."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, customer, mounted, needs_fuse, run, run_twfs
from twfs.catalog.all_media import AllMedia
from twfs.catalog.options import CatalogSettings, store_path
from twfs.catalog.store import Store
from twfs.probe import TAIL_SIZE, MediaInfo, MediaState, ObjectFacts
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

pytestmark = needs_fuse

COUNT = 3_000
CONTENT = b"the same in all of them" * 100


def large_account() -> SimulatedAccount:
    """An account of so many recordings in ten rooms; one object serves all."""
    account, stored = SimulatedAccount(), StoredObject(CONTENT)
    rooms = [f"RM{number:032x}" for number in range(10)]
    for number in range(COUNT):
        account.add_recording(stored, room_sid=rooms[number % len(rooms)], track_name=f"track {number}")
    return account


def know_all(place: Customer) -> None:
    """As after a first mount that has examined everything, which takes minutes, by the account's quota."""
    done = run_twfs("ls", place.source, "-o", place.option_text(api_rate="80"))
    assert done.returncode == 0, done.stderr
    info = MediaInfo(
        MediaState.READABLE, len(CONTENT), etag='"e"', facts=ObjectFacts(len(CONTENT), '"e"', {}, CONTENT[-TAIL_SIZE:])
    )
    store = Store(
        store_path(Path(place.options["state_dir"]), place.account.account_sid, place.simulator.url, CatalogSettings())
    )
    assert store.load() is not None
    for sid in list(AllMedia(store)):
        store.save_probe(sid, info)
    store.close()
    place.simulator.clear_requests()


def test_ls_and_stat_of_known_media_ask_nobody(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with customer(tmp_path, large_account(), private_key) as place:
        know_all(place)
        # The kernel keeps nothing: each name and each size is asked for.
        with mounted(place, attr_timeout="0") as mount:
            shown = run(["ls", "-lR", str(mount.path)])
            assert shown.returncode == 0, shown.stderr
            assert shown.stdout.count(f" {len(CONTENT)} ") == COUNT
            assert shown.stdout.count(" -> ") == 2 * COUNT
            with os.scandir(mount.path / "recordings") as entries:
                sizes = [entry.stat().st_size for entry in entries]
            assert sizes == [len(CONTENT)] * COUNT
            assert [place.simulator.count(kind) for kind in ("api.media", "api.fetch", "s3")] == [0, 0, 0]
