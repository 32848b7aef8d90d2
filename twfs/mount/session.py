"""Everything it takes to list and read an account, built from a `Config`: what the mount and the commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twfs.catalog.catalog import Catalog
from twfs.catalog.options import CatalogSettings, store_path
from twfs.catalog.state_file import check_state
from twfs.catalog.store import Store
from twfs.clock import Clock, SystemClock
from twfs.config.config import Config
from twfs.config.reload import Reloading
from twfs.config.secrets import Credentials
from twfs.crypto.unlock import Unlocker
from twfs.event_loop import LoopThread
from twfs.media.block_cache import BlockCache
from twfs.media.range_engine import RangeEngine
from twfs.media.reader import MediaLibrary, ReadingSettings
from twfs.media.repeats import Repeats
from twfs.mount.traffic import MeteredApiPool, MeteredTransport, Traffic
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.rest import RestApi
from twfs.remote.retry import RateLimit
from twfs.remote.s3 import Network
from twfs.remote.store import MediaStore
from twfs.remote.twilio import TwilioApi

_BLOCKING = 16
"""Threads for what blocks, begun as they are needed: each of so many small media that are read at once asks Twilio
first where it is."""


@dataclass(frozen=True, slots=True)
class Session:
    """The objects of one account. No thread runs, and no connection is open, before they are used or started."""

    config: Config
    clock: Clock
    api: TwilioApi
    catalog: Catalog
    cache: BlockCache
    engine: RangeEngine
    library: MediaLibrary
    stored: MediaStore
    traffic: Traffic
    reloading: Reloading

    def start(self) -> None:
        """Start the background threads; after the daemonising fork."""
        self.engine.start()
        self.catalog.start()

    def stop(self) -> None:
        """End them."""
        self.catalog.stop()
        self.engine.stop()

    def know_something(self) -> None:
        """Have a complete listing: an earlier one if there is one, else Twilio's now.

        Raises:
            RemoteError, CredentialsRefused: nothing was known and Twilio did not answer.
        """
        if not self.catalog.load():
            self.catalog.first_listing()


@contextmanager
def open_session(config: Config) -> Iterator[Session]:
    """A session that is stopped, and its connections closed, at the end of the block.

    Raises:
        ConfigError: the state cannot be believed, for somebody else can have written it.
    """
    clock = SystemClock()
    traffic = Traffic(clock)
    authorization = _authorization(config.credentials)
    api_pool = MeteredApiPool(config.connections, authorization, traffic)
    limit = RateLimit(config.api_rate, clock)
    reloading = Reloading(config, clock, lambda new: authorization.replace(*_login(new)))
    api = TwilioApi(
        api_pool, config.api_url, limit, clock, config.timeout, look_for_credentials=reloading.for_credentials
    )
    # Without credentials: Authorization must never reach S3.
    network = Network(MeteredTransport(config.connections, traffic), LoopThread(_BLOCKING))
    session = _build(config, clock, api, network, traffic, reloading)
    try:
        yield session
    finally:
        session.stop()
        network.close()
        api_pool.close()


@contextmanager
def open_rest(config: Config) -> Iterator[RestApi]:
    """The API alone, with what changes an account; its connections are closed at the end of the block."""
    clock = SystemClock()
    pool = HttpPool(1, _authorization(config.credentials))
    try:
        yield RestApi(pool, config.api_url, RateLimit(config.api_rate, clock), clock, config.timeout)
    finally:
        pool.close()


def _authorization(credentials: Credentials) -> Authorization:
    return Authorization(*_login(credentials))


def _login(credentials: Credentials) -> tuple[str, str, str]:
    return credentials.user, credentials.secret.reveal(), credentials.origin


def _build(  # noqa: PLR0917 - a composition root: what it is made of
    config: Config, clock: Clock, api: TwilioApi, network: Network, traffic: Traffic, reloading: Reloading
) -> Session:
    settings = CatalogSettings(
        config.refresh, config.kind, config.room, config.since, config.until, timeout=config.timeout
    )
    path = store_path(config.state_dir, config.account_sid, config.api_url, settings)
    check_state(path)
    store = Store(path)
    stored = MediaStore(api, network, config.media_hosts, clock)
    unlocker = Unlocker(config.keyring, reloading.for_keys)
    catalog = Catalog(api, stored, unlocker, store, settings, clock)
    reloading.attach(on_keys=catalog.keys_added, on_credentials=catalog.try_again)
    # What is deleted must be what was copied.
    cache = BlockCache(config.cache_size, Repeats() if config.allow_delete else None)
    engine = RangeEngine(stored, network.loop, config.connections, clock)
    library = MediaLibrary(
        unlocker=unlocker,
        cache=cache,
        engine=engine,
        settings=ReadingSettings(config.readahead, config.timeout),
        clock=clock,
        on_changed=catalog.has_changed,
    )
    return Session(config, clock, api, catalog, cache, engine, library, stored, traffic, reloading)
