"""What the README's nginx site serves, and what it does not."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.mount.harness import PATIENCE
from tests.players.cinema import LOST, VOICE, Cinema
from tests.players.servers import is_installed, nginx
from twfs.simulator.faults import Fault
from twfs.simulator.samples import sample_bytes

pytestmark = pytest.mark.skipif(not is_installed("nginx"), reason="needs nginx: Debian package nginx-light")


@pytest.fixture
def site(cinema: Cinema, tmp_path: Path) -> Iterator[str]:
    """Its URL."""
    with nginx(tmp_path / "nginx", cinema.mount.path) as url:
        yield url


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize(("name", "kind"), [("mp4", "video/mp4"), ("webm", "video/webm"), ("mkv", "video/x-matroska")])
def test_ranges_come_with_their_type_and_cost_what_they_are(cinema: Cinema, site: str, name: str, kind: str) -> None:
    film = cinema.films[name]
    start, end = film.size // 2, film.size // 2 + 100_000
    answer = get(f"{site}/{cinema.name(name)}", Range=f"bytes={start}-{end - 1}")
    assert answer.status_code == 206
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.content == film.path.read_bytes()[start:end]
    assert cinema.fetched() < 8 * 2**20


def test_a_whole_film_is_the_original(cinema: Cinema, site: str) -> None:
    answer = get(f"{site}/{cinema.name('mp4')}")
    assert answer.status_code == 200
    assert answer.content == cinema.films["mp4"].path.read_bytes()


def test_folders_are_listed_and_links_lead_on(cinema: Cinema, site: str) -> None:
    folder, _, name = cinema.link(VOICE).rpartition("/")
    assert name in get(f"{site}/{folder}/").text
    answer = get(f"{site}/{folder}/{name}")
    assert answer.headers["Content-Type"] == "audio/x-matroska"
    assert answer.content == sample_bytes("voice-opus.mka")


def test_the_status_is_nobodys_business(cinema: Cinema, site: str) -> None:
    assert os.access(cinema.mount.path / ".twfs/status", os.R_OK)
    for path in (".twfs/status", ".twfs/metrics", ".twfs/", ".twfs", "%2etwfs/status", "//.twfs/status"):
        assert get(f"{site}/{path}").status_code == 404, path


def test_a_medium_without_a_key_is_an_error_not_an_empty_answer(cinema: Cinema, site: str) -> None:
    answer = get(f"{site}/{cinema.name(LOST)}")
    assert answer.status_code == 500
    assert get(f"{site}/recordings/RT{'0' * 32}.mkv").status_code == 404


def test_an_outage_is_an_error_not_a_short_film(cinema: Cinema, site: str) -> None:
    cinema.path("mkv").stat()
    cinema.simulator.inject(Fault("s3.get", status=403, times=None))
    with pytest.raises(requests.RequestException):
        get(f"{site}/{cinema.name('mkv')}").raise_for_status()


def test_slow_media_hold_up_nobody_else(cinema: Cinema, site: str) -> None:
    """Even more of them than nginx has workers."""
    for name in ("mkv", VOICE):
        assert get(f"{site}/{cinema.name(name)}", Range="bytes=0-0").status_code == 206
    stalled = Fault("s3.get", stall_after=0, times=None, match=cinema.sids["mkv"])
    cinema.simulator.inject(stalled)
    with ThreadPoolExecutor(8) as visitors:
        waiting = [
            visitors.submit(get, f"{site}/{cinema.name('mkv')}", Range=f"bytes={number * 4_000_000}-")
            for number in range(1, 9)
        ]
        while cinema.simulator.strikes(stalled) < 3:
            time.sleep(0.05)
        assert get(f"{site}/{cinema.name(VOICE)}").content == sample_bytes("voice-opus.mka")
        assert not any(future.done() for future in waiting)
        cinema.simulator.remove_fault(stalled)
