"""An account to export, and what must come of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twfs.catalog.options import CatalogSettings
from twfs.cli.simulated import Simulated
from twfs.config.load import load_config
from twfs.export.job import name_of
from twfs.mount.session import Session, open_session
from twfs.resources import Medium
from twfs.simulator.exchange import Request
from twfs.transfer.choice import everything

SOURCE = "twilio:demo"


def flags(simulated: Simulated, **more: str) -> dict[str, str]:
    """Options by name."""
    return {"config": str(simulated.config_file), **more}


@contextmanager
def listed(simulated: Simulated, **more: str) -> Iterator[tuple[Session, list[Medium]]]:
    """A session, and all media."""
    with open_session(load_config(SOURCE, flags(simulated, **more), {"HOME": str(simulated.folder)})) as session:
        yield session, everything(session, CatalogSettings())


def expected(simulated: Simulated, media: list[Medium]) -> dict[str, bytes]:
    """Content by name of all media that can be exported."""
    account = simulated.simulator.account
    readable = [medium for medium in media if medium.track_name not in ("dave-lost-key", "dave-muted")]
    return {name_of(medium): account.plain(medium.sid) for medium in readable}


def tree(folder: Path) -> dict[str, bytes]:
    """All files below, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_of_bytes(request: Request) -> bool:
    """Whether it is no probe."""
    return not request.headers["range"].startswith("bytes=-")
