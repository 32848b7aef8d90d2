"""Planted secrets, and everything that processes write or show while much goes wrong."""

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.mount.harness import (
    PATIENCE,
    Customer,
    Mounted,
    clean,
    customer,
    mounted,
    needs_fuse,
    needs_root,
    run,
    run_twfs,
    secret_file,
    take_away,
    wait_for,
    wait_until_ready,
)
from tests.soak.weather import S3, TWILIO
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal

API_SECRET = "planted0api0secret0of0thirty2chars"
AUTH_TOKEN = "planted0auth0token0of0thirty2chars"
PASSPHRASE = "planted passphrase of a private key"
PLAIN = b"planted words that somebody said in confidence. " * 6000
_SHORTEST = 20
"""Characters of a query's value that is a secret: dates, algorithms and durations are shorter."""


@contextmanager
def planted(folder: Path, key: RSAPrivateKey, media: int = 3) -> Iterator[Customer]:
    """An account full of secrets, and their files."""
    account = SimulatedAccount(api_secret=API_SECRET, auth_token=AUTH_TOKEN)
    for number in range(media):
        account.add_recording(seal(PLAIN, key.public_key()), track_name=f"track {number}")
    with customer(folder, account, key) as place:
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode()))
        place.options["private_key"] = str(secret_file(folder / "locked.pem", locked))
        passphrase = secret_file(folder / "passphrase", PASSPHRASE.encode())
        place.options["private_key_passphrase_file"] = str(passphrase)
        yield place


def secrets_of(place: Customer, key: RSAPrivateKey) -> dict[str, bytes]:
    """What must show nowhere, by what it is."""
    account = place.account
    unlocked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    found = {"API secret": API_SECRET, "auth token": AUTH_TOKEN, "passphrase": PASSPHRASE}
    for user, secret in account.credentials.items():
        found[f"Authorization of {user[:2]}"] = base64.b64encode(f"{user}:{secret}".encode()).decode()
    pem_lines = [
        *unlocked.decode().splitlines()[1:-1],
        *Path(place.options["private_key"]).read_text().split("\n")[1:-2],
    ]
    found |= {f"line {number} of a key": line for number, line in enumerate(pem_lines) if len(line) > _SHORTEST}
    for request in place.simulator.requests:
        for name, value in parse_qsl(request.query_string) if request.kind == "s3.get" else ():
            if len(value) > _SHORTEST and "Credential" not in name:
                found[f"{name} {value[:6]}"] = value
    secrets = {what: text.encode() for what, text in found.items()} | {"plaintext": PLAIN[:40]}
    return secrets | content_keys(account, key)


def content_keys(account: SimulatedAccount, key: RSAPrivateKey) -> dict[str, bytes]:
    """Unwrapped, in every form in which one might write them."""
    found = {}
    for medium in account.media(Kind.RECORDING):
        if isinstance(medium.stored, StoredObject):
            content_key = key.decrypt(base64.b64decode(medium.stored.metadata["x-amz-key"]), PKCS1v15())
            found[f"content key of {medium.sid}"] = content_key
            found[f"hex content key of {medium.sid}"] = content_key.hex().encode()
            found[f"base64 content key of {medium.sid}"] = base64.b64encode(content_key)
    assert found
    return found


def assert_discreet(shown: Mapping[str, bytes], secrets: Mapping[str, bytes]) -> None:
    """No secret in anything."""
    leaks = [
        f"{what} in {where}"
        for where, content in shown.items()
        for what, secret in secrets.items()
        if secret in content
    ]
    assert leaks == []


def shown_by(mount: Mounted, place: Customer) -> dict[str, bytes]:
    """Everything of a mount that others may see or that lasts."""
    pid = mount.process.pid
    shown = {f"/proc/PID/{name}": Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ", "comm")}
    shown |= {str(path): path.read_bytes() for path in (place.folder / "state").rglob("*") if path.is_file()}
    for path in (mount.path / "recordings").iterdir():
        attributes = [os.getxattr(path, name) for name in os.listxattr(path)]
        shown[f"attributes of {path.name}"] = b"\n".join(attributes)
    for path in (mount.path / ".twfs").iterdir():
        shown[path.name] = path.read_bytes()
    return shown | {"log": mount.log.encode(), "mounts": Path("/proc/mounts").read_bytes()}


@needs_fuse
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_shows_whatever_goes_wrong_in_a_mount(
    tmp_path: Path, private_key: RSAPrivateKey, log_format: str
) -> None:
    faults = every_fault()
    with planted(tmp_path, private_key, len(faults)) as place:
        options = {"timeout": "5", "log_level": "debug", "log_format": log_format, "refresh": "1", "connections": "40"}
        with mounted(place, **options) as mount, ThreadPoolExecutor(len(faults)) as pool:
            paths = sorted((mount.path / "recordings").iterdir())
            assert {path.stat().st_size for path in paths} == {len(PLAIN)}
            place.simulator.expire_urls()
            for path, fault in zip(paths, faults, strict=True):
                place.simulator.inject(struck_only(path, fault))
            assert list(pool.map(can_be_read, paths)).count(False) > len(faults) // 2
            shown = shown_by(mount, place)
            secrets = secrets_of(place, private_key)
        assert_discreet(shown | {"log at the end": mount.log.encode()}, secrets)
        assert any("Signature" in what for what in secrets)
        assert mount.log.count("\n") > len(faults)


def every_fault() -> list[Fault]:
    """Those that do not just take time."""
    made = [*S3, *(make("api.media") for make in TWILIO)]
    return [
        fault for fault in made if not (fault.delay or fault.rate or fault.endless or fault.stall_after is not None)
    ]


def struck_only(path: Path, fault: Fault) -> Fault:
    """The same fault, for good, and of one medium only."""
    return replace(
        fault, times=None, match=lambda request: path.name[:34] in request.path and fault.fits(fault.on, request)
    )


def can_be_read(path: Path) -> bool:
    """Whether something in the middle can be; if so it is right."""
    try:
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            assert os.pread(file.fileno(), 100, len(PLAIN) // 2) == PLAIN[len(PLAIN) // 2 :][:100]
    except OSError:
        return False
    return True


def test_no_secret_shows_in_what_commands_say(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with planted(tmp_path, private_key) as place:
        flags = [word for name, value in place.options.items() for word in (f"--{name.replace('_', '-')}", value)]
        shown: dict[str, bytes] = {}

        def say(*words: str, environ: Mapping[str, str] | None = None) -> None:
            done = run_twfs(*words, environ=environ)
            shown[" ".join(words[:3]) + str(len(shown))] = done.stdout.encode() + done.stderr.encode()

        say("ls", place.source, "-v", "--probe", "--json", *flags)
        for fault in (Fault("s3.get", status=403, times=None), Fault("api.media", status=500, times=None)):
            place.simulator.inject(fault)
            say("get", place.source, "--all", "-v", "-o", str(tmp_path / "out"), *flags, "--timeout", "1")
            say("verify", place.source, "--all", "-v", *flags, "--timeout", "1")
            place.simulator.clear_faults()
        say("doctor", place.source, "-v", *flags)
        place.simulator.inject(Fault("api.list", status=401, times=None))
        say("ls", place.source, "-v", *flags, "--state-dir", str(tmp_path / "fresh"))
        Path(place.options["private_key_passphrase_file"]).write_text("wrong")
        say("ls", place.source, "-v", *flags)
        credentials = Path(place.options["credentials"])
        credentials.write_text(f"{credentials.read_text()}\n{API_SECRET}\n")
        say("ls", place.source, "-v", *flags)
        say("ls", place.source, "-v", environ={"TWILIO_API_KEY": API_SECRET, "TWILIO_API_SECRET": API_SECRET})
        say("mount", place.source, str(place.mountpoint), "-v", "-o", f"api_secret={API_SECRET}")
        assert all(shown.values())
        assert_discreet(shown, secrets_of(place, private_key))


@needs_fuse
def test_no_child_inherits_a_secret(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    """The service manager's watchdog makes the mount start a child every now and then."""
    with planted(tmp_path, private_key) as place:
        del place.options["credentials"]
        secrets = {"TWILIO_ACCOUNT_SID": place.account.account_sid, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
        supervised = {"NOTIFY_SOCKET": f"@twfs-test-{os.getpid()}", "WATCHDOG_USEC": "30000"}
        with mounting(place, secrets | supervised) as mount:
            environments = environments_of_children(mount.process.pid)
        assert environments
        for environment in environments:
            assert AUTH_TOKEN.encode() not in environment


@needs_fuse
@needs_root
def test_the_helper_of_mount_gives_umount_no_secret(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    """It takes a dead mount away by umount(8), before it makes a new one."""
    seen = tmp_path / "seen"
    tool = tmp_path / "bin/umount"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nenv >"{seen}"\nexec /usr/bin/umount "$@"\n')
    tool.chmod(0o755)
    with planted(tmp_path, private_key) as place, mounting(place, {}) as mount:
        os.kill(mount.process.pid, signal.SIGKILL)
        mount.process.wait()
        del place.options["credentials"]
        secrets = {"TWILIO_ACCOUNT_SID": place.account.account_sid, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
        command = [sys.executable, "-m", "twfs.cli.helper", place.source, str(place.mountpoint)]
        path = {"PATH": f"{tool.parent}:{os.environ['PATH']}"}
        done = run([*command, "-o", place.option_text()], secrets | path)
        assert done.returncode == 0, done.stderr
        assert "PATH=" in seen.read_text()
        assert AUTH_TOKEN not in seen.read_text()


@needs_fuse
def test_what_twilio_echoes_of_a_signed_url_shows_nowhere(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    signed = "https://media.s3.amazonaws.com/k?X-Amz-Signature=planted0signature0of0a0url&X-Amz-Expires=60"
    body = json.dumps({"code": 20500, "message": f"cannot sign {signed}", "status": 500})
    with planted(tmp_path, private_key) as place:
        options = {"refresh": "1", "timeout": "2", "log_level": "debug"}
        with mounted(place, **options) as mount:
            place.simulator.inject(Fault("api.list", status=500, body=body, times=None))
            status = mount.path / ".twfs/status"
            wait_for(lambda: "cannot sign" in str(json.loads(status.read_bytes())["catalog"]["refresh_error"]))
            shown = shown_by(mount, place)
    assert_discreet(shown | {"log at the end": mount.log.encode()}, {"signature": b"planted0signature"})


@needs_fuse
def test_no_core_is_dumped(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    with planted(tmp_path, private_key) as place, cores_allowed(), mounting(place, {}) as mount:
        limits = Path(f"/proc/{mount.process.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]
        mount.process.send_signal(signal.SIGSEGV)
        ended = os.waitid(os.P_PID, mount.process.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert (ended.si_status, ended.si_code) == (signal.SIGSEGV, os.CLD_KILLED)


def test_its_own_user_cannot_attach_to_it() -> None:
    script = (
        "import ctypes; from twfs.mount.hardening import refuse_core_dumps as r; r(); print(ctypes.CDLL(None).prctl(3))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@contextmanager
def mounting(place: Customer, environ: Mapping[str, str]) -> Iterator[Mounted]:
    """As `mounted`, with an environment, and however it ends."""
    log_file = place.folder / "log"
    command = [sys.executable, "-m", "twfs", "mount", place.source, str(place.mountpoint), "-f"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command, "-o", place.option_text()], stdout=log, stderr=log, env={**clean(), **environ}, cwd=place.folder
        )
    mount = Mounted(place.mountpoint, process, log_file)
    try:
        wait_until_ready(mount)
        yield mount
    finally:
        take_away(mount)


def environments_of_children(pid: int) -> list[bytes]:
    """Of those that it starts: it is stopped at some moment when one of them waits for its answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        os.kill(pid, signal.SIGSTOP)
        try:
            found = [environ for child in children_of(pid) if (environ := environment_of(child))]
        finally:
            os.kill(pid, signal.SIGCONT)
        if found:
            return found
        time.sleep(0.003)
    return []


def children_of(pid: int) -> list[int]:
    """Children of all its threads."""
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for text in lists for word in text.split()]


def environment_of(pid: int) -> bytes:
    """Nothing of one that has ended, or is still its parent's copy."""
    try:
        program = Path(f"/proc/{pid}/exe").readlink().name
        return b"" if program.startswith("python") else b"=" + Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextmanager
def cores_allowed() -> Iterator[None]:
    """Whatever is started may dump core, unless it refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
