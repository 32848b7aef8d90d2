import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from twfs.config.observing import Address
from twfs.errors import ConfigError
from twfs.mount.metrics_file import metrics_handler
from twfs.mount.metrics_server import MOST_CONNECTIONS, MetricsServer, metrics_server


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


def test_idle_connections_cost_no_thread_and_keep_no_scraper_out(server: MetricsServer) -> None:
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", port_of(server))) for _ in range(200)]
    try:
        assert scraped("127.0.0.1", port_of(server)) == {"answer": 42}
        assert threading.active_count() <= before
        with socket.create_connection(("127.0.0.1", port_of(server))) as latest:
            # The oldest made way: its end is closed, while the newest is served.
            assert idle[0].recv(1) == b""
            latest.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert latest.recv(15) == b"HTTP/1.0 200 OK"
        assert len(descriptors_of(server)) <= MOST_CONNECTIONS
    finally:
        for connection in idle:
            connection.close()


def descriptors_of(server: MetricsServer) -> list[Path]:
    """Of this process, those that are the server's ends of connections."""
    inodes = {
        f"socket:[{words[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (words := line.split())[1].endswith(f":{port_of(server):04X}") and words[3] != "0A"
    }
    return [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink() and str(path.readlink()) in inodes]


@pytest.mark.parametrize("beginning", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /" + b"a" * 100_000])
def test_who_does_not_come_to_an_end_is_dropped(registry: CollectorRegistry, beginning: bytes) -> None:
    server = MetricsServer(Address("127.0.0.1", 0), metrics_handler(registry), seconds=0.2)
    server.begin()
    try:
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=20) as slow:
            slow.sendall(beginning)
            assert ended(slow)
    finally:
        server.end()


def test_nor_is_who_takes_no_answer_waited_for(registry: CollectorRegistry) -> None:
    for number in range(20_000):
        Gauge(f"long_{number}", "x" * 500, registry=registry)
    server = MetricsServer(Address("127.0.0.1", 0), metrics_handler(registry), seconds=5)
    server.begin()
    try:
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=60) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert slow.recv(8) == b"HTTP/1.0"
            end = time.monotonic() + 60
            while descriptors_of(server) and time.monotonic() < end:
                time.sleep(0.05)
            assert not descriptors_of(server)
    finally:
        server.end()


def ended(connection: socket.socket) -> bool:
    """Whether the other side has hung up, in order or not."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


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
