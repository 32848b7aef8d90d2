"""`.twfs/metrics`: the same figures for Prometheus. The only module that knows `prometheus_client`.

The figures stay where they arise, and are put into Prometheus' words only when somebody asks: so reading costs nothing
for them.
"""

from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import MetricsHandler
from prometheus_client.registry import Collector

from twfs.catalog.catalog import Catalog
from twfs.metrics import BOUNDS, CallMeter
from twfs.mount.observation import Observation
from twfs.mount.status import presigned_urls

_EDGES = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


def metrics_registry(seen: Observation) -> CollectorRegistry:
    """All figures of a mount, and those of its process (memory, processor time, open descriptors)."""
    registry = CollectorRegistry()
    registry.register(_MountCollector(seen))
    ProcessCollector(registry=registry)
    return registry


def metrics_file(registry: CollectorRegistry) -> Callable[[], bytes]:
    """The file's content in Prometheus' text format, written anew at each call."""
    return lambda: generate_latest(registry)


def metrics_handler(registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    """What answers a scrape, in the format that it asks for."""
    return MetricsHandler.factory(registry)


class _MountCollector(Collector):
    """Asks the mount's parts for their figures; no request, no waiting."""

    def __init__(self, seen: Observation) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """All families."""
        seen, session = self._seen, self._seen.session
        yield _info(seen)
        yield from _calls("twfs_operation", "file system operations", "operation error", seen.calls)
        yield from self._reading()
        yield from self._cache()
        yield from _calls("twfs_http_request", "HTTP requests", "kind outcome", session.traffic.requests)
        yield from self._network()
        yield from _catalogue(session.catalog, session.clock.wall())
        if seen.audit is not None:
            yield _counted(
                "twfs_audit_records", "Records of the access log.", seen.audit.outcomes.snapshot(), "outcome"
            )

    def _reading(self) -> Iterator[Metric]:
        files, fetched = self._seen.open_files, self._seen.session.engine.usage()
        yield GaugeMetricFamily("twfs_open_files", "Media open now.", len(files.present()))
        yield CounterMetricFamily("twfs_opened_files", "Media opened.", files.opened_count)
        yield CounterMetricFamily("twfs_read_bytes", "Plaintext that the kernel has read.", files.bytes_read())
        yield CounterMetricFamily("twfs_fetched_bytes", "Plaintext fetched for reading.", fetched["bytes"])
        yield CounterMetricFamily("twfs_fetched_ranges", "Ranges fetched for reading.", fetched["requests"])
        yield GaugeMetricFamily("twfs_ranges_in_flight", "Ranges being fetched.", fetched["running"])
        yield GaugeMetricFamily("twfs_ranges_queued", "Ranges waiting for a connection.", fetched["queued"])

    def _cache(self) -> Iterator[Metric]:
        cache, windows = self._seen.session.cache.usage(), self._seen.session.library.windows()
        yield CounterMetricFamily("twfs_cache_hits", "Blocks found in the cache.", cache["hits"])
        yield CounterMetricFamily("twfs_cache_misses", "Blocks waited for or fetched.", cache["misses"])
        yield CounterMetricFamily(
            "twfs_wasted_bytes", "Fetched, and dropped before anybody read it.", cache["wasted_bytes"]
        )
        states = {state: cache[f"{state}_bytes"] for state in ("capacity", "allocated", "ready", "filling")}
        yield _labelled("twfs_cache_bytes", "The block cache.", states, "state")
        yield GaugeMetricFamily("twfs_windows", "Streams that media are read by.", windows["streams"])
        yield GaugeMetricFamily("twfs_window_bytes", "Kept asked for ahead of them.", windows["bytes"])

    def _network(self) -> Iterator[Metric]:
        session = self._seen.session
        traffic, skew = session.traffic, session.traffic.clock_skew()
        urls = presigned_urls(traffic.requests)
        yield CounterMetricFamily("twfs_presigned_urls", "Pre-signed URLs obtained, renewals included.", urls)
        yield GaugeMetricFamily("twfs_api_requests_per_second", "Over the last 10 s.", traffic.api_rate())
        yield GaugeMetricFamily("twfs_api_rate_limit", "Option api_rate.", session.config.api_rate)
        if skew is not None:
            yield GaugeMetricFamily("twfs_clock_skew_seconds", "This clock less that of the last answer.", skew)


def _catalogue(catalog: Catalog, now: float) -> Iterator[Metric]:
    state = catalog.status()
    yield _labelled("twfs_media", "Media in the catalogue.", state["media"], "kind")
    yield _labelled("twfs_media_states", "The same by what reading them comes to.", state["states"], "state")
    yield GaugeMetricFamily("twfs_media_bytes", "Plain size of all media, as far as known.", state["plain_bytes"])
    yield GaugeMetricFamily("twfs_media_unsettled", "Media not completed yet.", state["unsettled"])
    yield GaugeMetricFamily("twfs_media_in_doubt", "Media that may have been deleted.", state["in_doubt"])
    if state["last_refresh"] is not None:
        age = max(0.0, now - state["last_refresh"])
        yield GaugeMetricFamily("twfs_refresh_age_seconds", "Since the catalogue was last true.", age)
    failing = {"refresh": int(state["refresh_error"] is not None), "probe": int(state["probe_error"] is not None)}
    yield _labelled("twfs_catalogue_failing", "1 while it cannot be brought up to date.", failing, "what")


def _calls(name: str, of_what: str, labels: str, meter: CallMeter) -> Iterator[Metric]:
    """Durations by the first label (of HTTP requests until their headers came), and outcomes by both."""
    label, outcome = labels.split()
    durations = HistogramMetricFamily(f"{name}_duration_seconds", f"Time that {of_what} took.", labels=[label])
    for call, times in meter.durations().items():
        durations.add_metric([call], list(zip(_EDGES, accumulate(times.counts), strict=True)), times.seconds)
    yield durations
    ends = CounterMetricFamily(f"{name}_{outcome}s", f"How {of_what} ended.", labels=[label, outcome])
    for words, count in meter.outcomes.snapshot().items():
        ends.add_metric(words, count)
    yield ends


def _info(seen: Observation) -> Metric:
    family = GaugeMetricFamily("twfs_info", "What is mounted by what.", labels=["version", "libfuse", "account_sid"])
    words = [version("twfs"), seen.binding.libfuse_version, seen.session.config.account_sid]
    family.add_metric(words, 1)
    return family


def _labelled(name: str, text: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _counted(name: str, text: str, values: Mapping[str, int], label: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family
