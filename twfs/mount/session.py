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
from twfs.media.block_cache import BlockCache
from twfs.media.fetcher import Fetcher
from twfs.media.reader import MediaLibrary, ReadingSettings
from twfs.mount.traffic import MeteredApiPool, MeteredMediaPool, Traffic
from twfs.remote.http import Authorization, HttpPool
from twfs.remote.rest import RestApi
from twfs.remote.retry import RateLimit
from twfs.remote.store import MediaStore
from twfs.remote.twilio import TwilioApi


@dataclass(frozen=True, slots=True)
class Session:
    """The objects of one account. No thread runs, and no connection is open, before they are used or started."""

    config: Config
    clock: Clock
    api: TwilioApi
    catalog: Catalog
    cache: BlockCache
    fetcher: Fetcher
    library: MediaLibrary
    stored: MediaStore
    traffic: Traffic
    reloading: Reloading

    def start(self) -> None:
        """Start the background threads; after the daemonising fork."""
        self.fetcher.start()
        self.catalog.start()

    def stop(self) -> None:
        """End them."""
        self.catalog.stop()
        self.fetcher.stop()

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
    # Its own pool, without credentials: Authorization must never reach S3.
    media_pool = MeteredMediaPool(config.connections, Authorization(), traffic)
    limit = RateLimit(config.api_rate, clock)
    reloading = Reloading(config, clock, lambda new: authorization.replace(*_login(new)))
    api = TwilioApi(
        api_pool, config.api_url, limit, clock, config.timeout, look_for_credentials=reloading.for_credentials
    )
    stored = MediaStore(api, media_pool, config.media_hosts, clock)
    session = _build(config, clock, api, stored, traffic, reloading)
    try:
        yield session
    finally:
        session.stop()
        api_pool.close()
        media_pool.close()


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
    config: Config, clock: Clock, api: TwilioApi, stored: MediaStore, traffic: Traffic, reloading: Reloading
) -> Session:
    settings = CatalogSettings(
        config.refresh, config.kind, config.room, config.since, config.until, timeout=config.timeout
    )
    path = store_path(config.state_dir, config.account_sid, config.api_url, settings)
    check_state(path)
    store = Store(path)
    unlocker = Unlocker(config.keyring, reloading.for_keys)
    catalog = Catalog(api, stored, unlocker, store, settings, clock)
    reloading.attach(on_keys=catalog.keys_added, on_credentials=catalog.try_again)
    cache = BlockCache(config.cache_size)
    fetcher = Fetcher(cache, config.connections, clock, config.timeout)
    library = MediaLibrary(
        stored=stored,
        unlocker=unlocker,
        cache=cache,
        fetcher=fetcher,
        settings=ReadingSettings(config.readahead),
        clock=clock,
        on_changed=catalog.has_changed,
    )
    return Session(config, clock, api, catalog, cache, fetcher, library, stored, traffic, reloading)
