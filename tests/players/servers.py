"""Servers that hand the mount on, each in a process of its own, configured as the README says."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mount.harness import PATIENCE
from tests.players.readme import example

_NGINX = """\
daemon off;
user www-data;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{}}
http {{
    access_log off;
    limit_rate {line};
    include /etc/nginx/mime.types;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@contextmanager
def nginx(folder: Path, mountpoint: Path, line: str = "0") -> Iterator[str]:
    """The README's site with `mountpoint` behind it; its URL, without a slash at the end.

    `line` is how many bytes per second a visitor's line takes, as nginx writes it; 0: as many as come.
    """
    port = free_port()
    site = example("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("/srv/recordings", str(mountpoint))
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, server=site, line=line))
    with running(["nginx", "-c", str(configuration), "-e", str(folder / "error.log")], folder, answers(port)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: Sequence[str], folder: Path, is_ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """A server while the block runs, ready at its beginning; it and its children are gone afterwards."""
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        end = time.monotonic() + PATIENCE
        while not is_ready():
            assert server.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < end, (folder / "output").read_text()
            time.sleep(0.05)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(PATIENCE)
        finally:
            _kill_group(server.pid)


def answers(port: int) -> Callable[[], bool]:
    """Whether somebody listens at a port of this machine."""

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return listens


def free_port() -> int:
    """A port of loopback that nobody has; none of those that outgoing connections get, for one might be next."""
    return next(number for number in random.sample(range(20_000, 30_000), 1000) if _is_free(number))


def _is_free(port: int) -> bool:
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_installed(*programs: str) -> bool:
    """Whether all of them are."""
    return all(shutil.which(program) for program in programs)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
