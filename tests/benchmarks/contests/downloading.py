"""One large encrypted file as a local copy: `twfs get`, `cp` from a mount, and `cp` with as much hashing as `get`.

Once at the speed of loopback, the processor being the limit; and once as from S3: https, 30 ms away.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import md5
from pathlib import Path
from tempfile import mkdtemp

import certifi
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import Customer, Customers, recording
from tests.benchmarks.dataplane import PLAIN, S3_LIKE, DataPlane, Shape, free_port, nginx
from tests.benchmarks.figures import GIB, MIB, Figures, Row, at_least, ratio, value_of
from tests.benchmarks.objects import SealedFile, chunks_of, digest, seal_file, write_noise
from tests.benchmarks.processes import Failed, clean_environment
from tests.benchmarks.readers import children_cpu_seconds
from tests.benchmarks.service import numbered_sid

_GET = "get"
_UNPROVEN = "get --no-md5"
_CP = "cp"
_HASHED_CP = "cp and md5sum"
_CP_IN_FULL = "cp from the mount, which compares no MD5"
_HASHED_CP_IN_FULL = "cp from the mount and md5sum, get's start included"
_TITLES = {PLAIN: "plain shape", S3_LIKE: "S3-like shape, https"}


def _rows(work: str, contestant: str, shape: Shape) -> tuple[Row, ...]:
    speed, whole, cp = (f"{shape.name} {name}" for name in (f"{contestant} MB/s", f"{contestant} whole MB/s", _CP))
    cpu = f"{shape.name} {contestant} CPU s/GiB"
    return (
        Row(work, _CP_IN_FULL, ratio(speed, f"{cp} MB/s"), target=at_least(1.0)),
        Row(work, f"{_CP_IN_FULL}, get's start included", ratio(whole, f"{cp} MB/s")),
        Row(work, f"{_CP_IN_FULL}, CPU seconds, start included", ratio(cpu, f"{cp} CPU s/GiB")),
        Row(work, "itself", value_of(speed), "MB/s"),
    )


class Download(Contest):
    """`twfs get`, proof by MD5 included, once it runs; `cp` from a mount, once it stands."""

    name = "download"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        rows: list[Row] = []
        for shape, title in _TITLES.items():
            work = f"get of {scale.object // MIB} MiB, {title}"
            hashed_cp = ratio(f"{shape.name} {_GET} whole MB/s", f"{shape.name} {_HASHED_CP} MB/s")
            rows += _rows(work, _GET, shape)
            rows += [Row(work, _HASHED_CP_IN_FULL, hashed_cp, target=at_least(1.0))]
            rows += _rows(f"{work}, --no-md5", _UNPROVEN, shape)
        return tuple(rows)

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        # Beside what nginx serves, which is in memory if there is room: no disk is to be measured.
        folder = Path(mkdtemp(prefix="download-", dir=bench.plane.plain.parent))
        stack.callback(shutil.rmtree, folder)
        self._plain = write_noise(folder / "plain", bench.scale.object)
        key = generate_private_key(65537, 2048)
        sealed = seal_file(self._plain, folder / "object", key.public_key())
        stack.enter_context(_trusted(_make_certificate(folder), folder / "authorities.pem"))
        customers = Customers(stack.enter_context(_bucket(folder, sealed)), bench.scratch, key)
        self._customers = {
            shape: stack.enter_context(customers.with_media(shape, [("mkv", sealed)])) for shape in _TITLES
        }
        self._goal = folder / "copy"
        for contestant in self.contestants().values():
            contestant()
            if digest(self._goal) != digest(self._plain):
                raise Failed("what was downloaded is not what was encrypted")

    def contestants(self) -> Mapping[str, Contestant]:
        return {
            f"{shape.name} {name}": partial(measure, customer)
            for shape, customer in self._customers.items()
            for name, measure in self._ways.items()
        }

    @property
    def _ways(self) -> Mapping[str, Callable[[Customer], Figures]]:
        return {
            _GET: self._get,
            _CP: self._cp,
            _UNPROVEN: partial(self._get, flags=("--no-md5",)),
            _HASHED_CP: partial(self._cp, is_hashed=True),
        }

    def _get(self, customer: Customer, flags: tuple[str, ...] = ()) -> Figures:
        self._prepare()
        words = [sys.executable, "-m", "twfs", "get", f"twilio:{customer.spec.account_sid}", numbered_sid(0)]
        before = children_cpu_seconds()
        began = time.perf_counter()
        report = _run([*words, *_account_flags(customer), "-o", str(self._goal), "--json", *flags])
        whole = time.perf_counter() - began
        cpu = children_cpu_seconds() - before
        seconds: float = json.loads(report)["media"][0]["seconds"]
        return self._figures(seconds, cpu) | {"whole MB/s": self._bench.scale.object / whole / 1e6}

    def _cp(self, customer: Customer, *, is_hashed: bool = False) -> Figures:
        self._prepare()
        with customer.mounted() as mount:
            before = mount.cpu_seconds + children_cpu_seconds()
            began = time.perf_counter()
            _run(["cp", str(recording(mount, 0)), str(self._goal)])
            if is_hashed:
                _run(["md5sum", str(self._goal)])
            seconds = time.perf_counter() - began
            return self._figures(seconds, mount.cpu_seconds + children_cpu_seconds() - before)

    def _prepare(self) -> None:
        self._goal.unlink(missing_ok=True)
        self._bench.cool_down()

    def _figures(self, seconds: float, cpu_seconds: float) -> Figures:
        size = self._bench.scale.object
        return {"MB/s": size / seconds / 1e6, "CPU s/GiB": cpu_seconds * GIB / size}


def _account_flags(customer: Customer) -> list[str]:
    return [
        *("--credentials", str(customer.folder / "credentials")),
        *("--private-key", str(customer.folder / "key.pem")),
        *("--api-url", customer.api_url),
        *("--state-dir", str(customer.state)),
    ]


def _run(command: list[str]) -> str:
    """What it prints.

    Raises:
        Failed: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class _Bucket(DataPlane):
    """One object, whose ETag is its MD5 as in S3: nginx' own is none, and its If-Match knows no other."""

    def __init__(self, folder: Path, ports: dict[Shape, int]) -> None:
        super().__init__(folder, ports)
        self._sites = {
            PLAIN: f"http://127.0.0.1:{ports[PLAIN]}",
            S3_LIKE: f"https://127.0.0.1:{ports[S3_LIKE]}",
        }

    def bucket_url(self, shape: Shape, sid: str, sealed: SealedFile) -> str:
        return f"{self._sites[shape]}/{sealed.path.name}?{sid}"


@contextmanager
def _bucket(folder: Path, sealed: SealedFile) -> Iterator[_Bucket]:
    ports = {PLAIN: free_port(), S3_LIKE: free_port()}
    headers = {f"x-amz-meta-{name}": value for name, value in sealed.metadata.items()}
    headers["ETag"] = f'"{_md5(sealed.path)}"'
    lines = "\n".join(f"add_header {name} '{value}';" for name, value in headers.items())
    configuration = _NGINX.replace("FOLDER", str(folder)).replace("DELAY", str(S3_LIKE.latency))
    configuration = configuration.replace("FAST", str(ports[PLAIN])).replace("FAR", str(ports[S3_LIKE]))
    configuration = configuration.replace("RATE", S3_LIKE.rate).replace("HEADERS", lines)
    with nginx(folder, configuration, *ports.values()):
        yield _Bucket(folder, ports)


def _make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1, which is its own authority; its key lies beside it."""
    certificate = folder / "certificate.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(folder / "certificate.key"), "-out", str(certificate)]
    _run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files])
    return certificate


@contextmanager
def _trusted(certificate: Path, authorities: Path) -> Iterator[None]:
    """Processes begun while the block runs trust it beside all others, which take their time to be read, too."""
    authorities.write_text(Path(certifi.where()).read_text() + certificate.read_text())
    name = "REQUESTS_CA_BUNDLE"
    before = os.environ.get(name)
    os.environ[name] = str(authorities)
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _md5(path: Path) -> str:
    state = md5(usedforsecurity=False)
    for chunk in chunks_of(path):
        state.update(chunk)
    return state.hexdigest()


_NGINX = """\
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
user root;
worker_processes 2;
pid FOLDER/nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path FOLDER/temp; proxy_temp_path FOLDER/temp; fastcgi_temp_path FOLDER/temp;
    uwsgi_temp_path FOLDER/temp; scgi_temp_path FOLDER/temp;
    sendfile on; tcp_nopush on; keepalive_requests 1000000; keepalive_timeout 600s;
    root FOLDER;
    etag off;
    HEADERS
    server {
        listen 127.0.0.1:FAST;
        access_by_lua_block { ngx.req.clear_header("If-Match") }
    }
    server {
        listen 127.0.0.1:FAR ssl;
        ssl_certificate FOLDER/certificate.pem;
        ssl_certificate_key FOLDER/certificate.key;
        access_by_lua_block { ngx.req.clear_header("If-Match"); ngx.sleep(DELAY) }
        limit_rate RATE;
    }
}
"""
