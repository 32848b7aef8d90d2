import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from twfs.config.observing import Address
from twfs.errors import ConfigError
from twfs.mount.metrics_file import metrics_handler
from twfs.mount.metrics_server import MetricsServer, metrics_server


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answer", "To everything.", registry=registry).set(42)
    return registry


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[MetricsServer]:
    with metrics_server(Address("127.0.0.1", 0), metrics_handler(registry)) as server:
        assert server is not None
        server.begin()
        yield server


def port_of(server: MetricsServer) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


def scraped(host: str, port: int) -> dict[str, float]:
    connection = HTTPConnection(host, port, timeout=20)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return {family.name: family.samples[0].value for family in text_string_to_metric_families(text)}


def test_a_scrape_gets_the_figures(server: MetricsServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert scraped("127.0.0.1", port_of(server)) == {"answer": 42}


def test_who_goes_away_halfway_disturbs_nobody(server: MetricsServer, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port_of(server))) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert scraped("127.0.0.1", port_of(server)) == {"answer": 42}
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_told_at_once(server: MetricsServer, registry: CollectorRegistry) -> None:
    address = Address("127.0.0.1", port_of(server))
    with pytest.raises(ConfigError, match=f"{address}.*Address already in use"):
        MetricsServer(address, metrics_handler(registry))


def test_a_name_that_nobody_has_is_told_at_once(registry: CollectorRegistry) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.invalid:9469"):
        MetricsServer(Address("nowhere.invalid", 9469), metrics_handler(registry))


def test_the_end_gives_the_port_back_begun_or_not(registry: CollectorRegistry) -> None:
    server = MetricsServer(Address("127.0.0.1", 0), metrics_handler(registry))
    port = port_of(server)
    server.end()
    again = MetricsServer(Address("127.0.0.1", port), metrics_handler(registry))
    again.begin()
    assert scraped("127.0.0.1", port) == {"answer": 42}
    again.end()
    with pytest.raises(ConnectionRefusedError):
        scraped("127.0.0.1", port)


def test_without_an_address_nobody_listens(registry: CollectorRegistry) -> None:
    with metrics_server(None, metrics_handler(registry)) as server:
        assert server is None
