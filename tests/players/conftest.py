"""Films are made once, mounts are fresh for each test: what one has read would be free for the next."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.harness import needs_fuse, needs_root
from tests.players.browser import Browser, chromium
from tests.players.cinema import Cinema, Programme, opened, programme
from tests.players.film import make_film, rewrap


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What all of this folder needs, and how long the first of them may take."""
    needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
    # Encoding the films takes 20 s of processor time, and on a busy core as many times that as others share it.
    patient = pytest.mark.timeout(1200)
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for mark in (needs_fuse, needs_root, needs_ffmpeg, patient):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    """A film in each container, named after it."""
    folder = tmp_path_factory.mktemp("films")
    webm = make_film(folder / "film.webm")
    mkv, mp4 = rewrap(webm, folder / "film.mkv"), make_film(folder / "film.mp4")
    return programme({film.container: film for film in (mp4, webm, mkv)})


@pytest.fixture
def cinema(shown: Programme, request: pytest.FixtureRequest) -> Iterator[Cinema]:
    """All films, in a fresh mount; its parameter is options of the mount."""
    folder = Path(tempfile.mkdtemp(prefix="twfs-cinema-"))
    try:
        folder.chmod(0o755)  # Other users shall reach the mount; the secrets beside it are 0600.
        with opened(folder, shown, **getattr(request, "param", {})) as place:
            yield place
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests; each visits another server."""
    with chromium() as window:
        yield window
