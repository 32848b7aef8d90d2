"""The data plane: nginx as a bucket over https, over http and as far away as S3; its access log, and the round trip."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from urllib.request import urlopen

import certifi

from tests.benchmarks.objects import SealedFile
from tests.benchmarks.processes import PATIENCE, Failed, running, wait_for


@dataclass(frozen=True, slots=True)
class Shape:
    """How far away the data are."""

    name: str
    latency: float
    """Seconds to the first byte of each answer, of the bucket and of Twilio's API."""
    rate: str
    """Bytes per second and connection as nginx writes it; empty: no limit."""
    is_secure: bool = True
    """Whether it is served over https."""


HTTPS = Shape("https", 0.0, "")
"""At loopback speed: the processor is the limit."""
HTTP = Shape("http", 0.0, "", is_secure=False)
S3_LIKE = Shape("S3-like", 0.030, "60m")
"""30 ms to the first byte and 60 MB/s per connection over https: S3 from a machine in the same region."""

_SHAPES = (HTTPS, HTTP, S3_LIKE)
_TRUST = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""What twfs, curl, and rclone and Python read the trusted authorities from."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What was asked of the bucket."""

    requests: int
    bytes_sent: int


class DataPlane:
    """nginx, serving sealed files to twfs and plain ones to its peers, once in each shape."""

    def __init__(self, folder: Path, ports: dict[Shape, int]) -> None:
        """Files in `folder`/sealed and `folder`/plain are served at once, whenever they come."""
        self.sealed = folder / "sealed"
        self.plain = folder / "plain"
        self._log = folder / "access.log"
        self._ports = ports

    def publish(self, sealed: SealedFile) -> None:
        """Send envelope and ETag along with a file of `sealed`."""
        lines = [f"x-amz-meta-{name}: {value}\n" for name, value in sealed.metadata.items()]
        lines.append(f'ETag: "{sealed.etag}"\n')
        sealed.path.with_name(f"{sealed.path.name}.headers").write_text("".join(lines))

    def bucket_url(self, shape: Shape, sid: str, sealed: SealedFile) -> str:
        """Where the object of `sid` is; several media may share one file."""
        return f"{self._site(shape)}/bucket/{sid}/{sealed.path.name}"

    def plain_url(self, shape: Shape, name: str = "") -> str:
        """Where the plaintext is, or the listing of all."""
        return f"{self._site(shape)}/plain/{name}"

    def _site(self, shape: Shape) -> str:
        return f"{'https' if shape.is_secure else 'http'}://127.0.0.1:{self._ports[shape]}"

    def mark(self) -> int:
        """A moment, to ask later what happened since."""
        self.wait_until_quiet()
        return self._log.stat().st_size

    def cost_since(self, mark: int) -> Cost:
        """Requests for sealed objects since `mark`, and the bytes of their bodies that left nginx.

        Bytes that a client threw away unread with its socket are among them, as they would be on a bill.
        """
        self.wait_until_quiet()
        with self._log.open() as log:
            log.seek(mark)
            lines = [line.split() for line in log if "/bucket/" in line]
        return Cost(len(lines), sum(int(sent) for _, sent, _ in lines))

    def wait_until_quiet(self) -> None:
        """Until no answer is under way: only then the log is complete.

        Raises:
            Failed: one does not end.
        """
        limit = time.monotonic() + PATIENCE
        while self._writing() > 1:
            if time.monotonic() > limit:
                raise Failed("nginx is still sending, long after everybody has gone")
            time.sleep(0.01)

    def _writing(self) -> int:
        """Answers under way in all shapes, this one among them (ngx_http_stub_status_module)."""
        with urlopen(f"{self._site(HTTP)}/status", timeout=PATIENCE) as answer:
            words: list[str] = answer.read().decode().split()
        return int(words[words.index("Writing:") + 1])


@contextmanager
def data_plane(folder: Path) -> Iterator[DataPlane]:
    """nginx while the block runs. Processes that begin meanwhile trust its certificate.

    Raises:
        Failed: it is not installed, or does not start.
    """
    ports = {shape: free_port() for shape in _SHAPES}
    plane = DataPlane(folder, ports)
    plane.sealed.mkdir()
    plane.plain.mkdir()
    with _trusted(_make_certificate(folder), folder / "authorities.pem"), _nginx(folder, ports):
        yield plane


def _make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1, which is its own authority; its key lies beside it."""
    certificate = folder / "certificate.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(folder / "certificate.key"), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


@contextmanager
def _trusted(certificate: Path, authorities: Path) -> Iterator[None]:
    """Add it to the usual authorities, which take their time to be read, too."""
    authorities.write_text(Path(certifi.where()).read_text() + certificate.read_text())
    before = {name: os.environ.get(name) for name in _TRUST}
    os.environ.update(dict.fromkeys(_TRUST, str(authorities)))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def _nginx(folder: Path, ports: dict[Shape, int]) -> Iterator[None]:
    """It keeps its files in `folder`.

    Raises:
        Failed: it is not installed, or does not start.
    """
    if shutil.which("nginx") is None:
        raise Failed("nginx is missing; run: python -m tests.benchmarks --setup")
    (folder / "nginx.conf").write_text(_configuration(folder, ports))
    log = folder / "nginx.log"
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(log), "-g", "daemon off;"]
    with running(command, log) as process:
        wait_for(lambda: all(_answers(port) for port in ports.values()), process, log, "nginx")
        yield


def free_port() -> int:
    """A port of loopback that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, ports: dict[Shape, int]) -> str:
    servers = "\n".join(_server(folder, shape, port) for shape, port in ports.items())
    return _NGINX.replace("FOLDER", str(folder)).replace("SERVERS", servers)


def _server(folder: Path, shape: Shape, port: int) -> str:
    # Its own ETag is none of S3's, and it would compare If-Match with that.
    delay = f"access_by_lua_block {{ ngx.req.clear_header('If-Match'); ngx.sleep({shape.latency}) }}"
    rate = f"limit_rate {shape.rate};" if shape.rate else ""
    text = _SERVER.replace("PORT", f"{port}{_TLS if shape.is_secure else ';'}").replace("FOLDER", str(folder))
    return text.replace("DELAY", delay).replace("RATE", rate)


_TLS = """\
 ssl;
        ssl_certificate FOLDER/certificate.pem;
        ssl_certificate_key FOLDER/certificate.key;"""


_NGINX = """\
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
user root;
worker_processes 2;
pid FOLDER/nginx.pid;
error_log FOLDER/nginx.log;
events { worker_connections 4096; }
http {
    log_format cost '$status $body_bytes_sent $uri';
    access_log FOLDER/access.log cost;
    client_body_temp_path FOLDER/temp; proxy_temp_path FOLDER/temp; fastcgi_temp_path FOLDER/temp;
    uwsgi_temp_path FOLDER/temp; scgi_temp_path FOLDER/temp;
    etag off;
    sendfile on; tcp_nopush on; keepalive_requests 1000000; keepalive_timeout 600s;
SERVERS
}
"""
_SERVER = """\
    server {
        listen 127.0.0.1:PORT
        location ~ ^/bucket/[A-Za-z0-9]+/(?<object>[A-Za-z0-9.-]+)$ {
            alias FOLDER/sealed/$object;
            default_type application/octet-stream;
            DELAY
            RATE
            header_filter_by_lua_block {
                envelopes = envelopes or {}
                local object = ngx.var.object
                if envelopes[object] == nil then
                    local found = {}
                    for line in io.lines("FOLDER/sealed/" .. object .. ".headers") do
                        local name, value = line:match("^(%S+): (.*)$")
                        found[name] = value
                    end
                    envelopes[object] = found
                end
                for name, value in pairs(envelopes[object]) do ngx.header[name] = value end
            }
        }
        # httpdirfs takes the slash away.
        location = /plain { rewrite ^ /plain/ last; }
        location /plain/ { alias FOLDER/plain/; autoindex on; add_header Accept-Ranges bytes; DELAY RATE }
        location = /status { stub_status; access_log off; }
    }
"""


def round_trip(url: str, count: int = 15) -> float:
    """Seconds of one small ranged GET on a connection that stands already: what no reader can beat (median)."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=PATIENCE)
    try:
        return median([_timed_get(connection, parts.path) for _ in range(count + 1)][1:])
    finally:
        connection.close()


def _timed_get(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path, headers={"Range": "bytes=0-65535"})
    connection.getresponse().read()
    return time.perf_counter() - began
