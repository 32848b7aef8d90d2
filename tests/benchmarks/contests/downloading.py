"""One large encrypted file as a local copy, the processor being the limit: `twfs get`, and `cp` from a mount."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import md5
from pathlib import Path
from tempfile import mkdtemp

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.benchmarks.bench import Bench, Contest, Contestant, Scale
from tests.benchmarks.customer import Customer, Customers, recording
from tests.benchmarks.dataplane import PLAIN, DataPlane, Shape, free_port, nginx
from tests.benchmarks.figures import GIB, MIB, Figures, Row, at_least, ratio, value_of
from tests.benchmarks.objects import SealedFile, chunks_of, digest, seal_file, write_noise
from tests.benchmarks.processes import Failed, clean_environment
from tests.benchmarks.readers import children_cpu_seconds
from tests.benchmarks.service import numbered_sid

_GET = "get"
_UNPROVEN = "get --no-md5"
_CP = "cp"
_CP_IN_FULL = "cp from the mount, which compares no MD5"


def _rows(work: str, contestant: str) -> tuple[Row, ...]:
    speed, cp_cpu = f"{contestant} MB/s", f"{_CP} CPU s/GiB"
    return (
        Row(work, _CP_IN_FULL, ratio(speed, f"{_CP} MB/s"), target=at_least(1.0)),
        Row(work, f"{_CP_IN_FULL}, get's start included", ratio(f"{contestant} whole MB/s", f"{_CP} MB/s")),
        Row(work, f"{_CP_IN_FULL}, CPU seconds, start included", ratio(f"{contestant} CPU s/GiB", cp_cpu)),
        Row(work, "itself", value_of(speed), "MB/s"),
    )


class Download(Contest):
    """`twfs get`, proof by MD5 included, once it runs; `cp` from a mount, once it stands."""

    name = "download"

    @staticmethod
    def rows(scale: Scale) -> tuple[Row, ...]:
        work = f"get of {scale.object // MIB} MiB, plain shape"
        return (*_rows(work, _GET), *_rows(f"{work}, --no-md5", _UNPROVEN))

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self._bench = bench
        # Beside what nginx serves, which is in memory if there is room: no disk is to be measured.
        folder = Path(mkdtemp(prefix="download-", dir=bench.plane.plain.parent))
        stack.callback(shutil.rmtree, folder)
        self._plain = write_noise(folder / "plain", bench.scale.object)
        key = generate_private_key(65537, 2048)
        sealed = seal_file(self._plain, folder / "object", key.public_key())
        plane = stack.enter_context(_bucket(folder, sealed))
        customers = Customers(plane, bench.scratch, key)
        self._customer = stack.enter_context(customers.with_media(PLAIN, [("mkv", sealed)]))
        self._goal = folder / "copy"
        for contestant in self.contestants().values():
            contestant()
            if digest(self._goal) != digest(self._plain):
                raise Failed("what was downloaded is not what was encrypted")

    def contestants(self) -> Mapping[str, Contestant]:
        return {_GET: self._get, _CP: self._cp, _UNPROVEN: partial(self._get, "--no-md5")}

    def _get(self, *flags: str) -> Figures:
        self._prepare()
        words = [sys.executable, "-m", "twfs", "get", f"twilio:{self._customer.spec.account_sid}", numbered_sid(0)]
        before = children_cpu_seconds()
        began = time.perf_counter()
        report = _run([*words, *_account_flags(self._customer), "-o", str(self._goal), "--json", *flags])
        whole = time.perf_counter() - began
        cpu = children_cpu_seconds() - before
        seconds: float = json.loads(report)["media"][0]["seconds"]
        return self._figures(seconds, cpu) | {"whole MB/s": self._bench.scale.object / whole / 1e6}

    def _cp(self) -> Figures:
        self._prepare()
        with self._customer.mounted() as mount:
            before = mount.cpu_seconds + children_cpu_seconds()
            began = time.perf_counter()
            _run(["cp", str(recording(mount, 0)), str(self._goal)])
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

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, {PLAIN: port})
        self._port = port

    def bucket_url(self, shape: Shape, sid: str, sealed: SealedFile) -> str:
        return f"http://127.0.0.1:{self._port}/{sealed.path.name}?{sid}"


@contextmanager
def _bucket(folder: Path, sealed: SealedFile) -> Iterator[_Bucket]:
    port = free_port()
    headers = {f"x-amz-meta-{name}": value for name, value in sealed.metadata.items()}
    headers["ETag"] = f'"{_md5(sealed.path)}"'
    lines = "\n".join(f"add_header {name} '{value}';" for name, value in headers.items())
    configuration = _NGINX.replace("FOLDER", str(folder)).replace("PORT", str(port)).replace("HEADERS", lines)
    with nginx(folder, configuration, port):
        yield _Bucket(folder, port)


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
    server {
        listen 127.0.0.1:PORT;
        root FOLDER;
        etag off;
        access_by_lua_block { ngx.req.clear_header("If-Match") }
        HEADERS
    }
}
"""
