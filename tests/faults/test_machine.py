"""What the machine does to a mount, and what a reader sees then."""

import asyncio
import collections
import errno
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.faults.cases import MACHINE
from tests.faults.limits import cgroup_of, local_clock, needs_cgroups, needs_compiler
from tests.faults.machine import daemon, is_alive, readers
from tests.faults.scene import assert_discreet, complaints
from tests.mount.harness import (
    Customer,
    Mounted,
    both_bindings,
    customer,
    is_readable,
    mounted,
    needs_fuse,
    needs_root,
    run,
    run_twfs,
    wait_for,
)
from twfs.mount.system import is_mounted, is_stale, unmount
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import seal

pytestmark = needs_fuse

MEDIA = 8
SIZE = 3 * 2**20 + 5
LOST = {errno.ENOTCONN, errno.ECONNABORTED}
_ACTED: set[str] = set()

Test = Callable[..., None]


def acts(title: str) -> Callable[[Test], Test]:
    """The test acts out that row of the table."""
    assert title in MACHINE, title
    _ACTED.add(title)
    return lambda test: test


def test_every_row_is_acted_out() -> None:
    assert set(MACHINE) == _ACTED


@pytest.fixture
def media() -> list[bytes]:
    return [random.Random(number).randbytes(SIZE) for number in range(MEDIA)]


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey, media: list[bytes]) -> Iterator[Customer]:
    account = SimulatedAccount()
    for data in media:
        account.add_recording(seal(data, private_key.public_key()))
    with customer(tmp_path, account, private_key) as found:
        yield found


def files(place: Customer) -> dict[Path, bytes]:
    """All files of the mount, and what must be in them."""
    listed = {path.name.split(".")[0]: path for path in (place.mountpoint / "recordings").iterdir()}
    assert len(listed) == MEDIA
    return {path: place.account.plain(sid) for sid, path in listed.items()}


def assert_all_is_right(place: Customer) -> None:
    """The list is whole, and so is every file."""
    for path, plain in files(place).items():
        assert path.stat().st_size == SIZE
        assert path.read_bytes() == plain


def state_file(place: Customer) -> Path:
    """Where the catalogue is kept."""
    (path,) = Path(place.options["state_dir"]).glob("*.sqlite3")
    return path


def mounted_once(place: Customer) -> None:
    """Have everything listed and examined, and remembered."""
    with mounted(place):
        assert_all_is_right(place)


@acts("SIGKILL of twfs while it is read")
def test_a_killed_mount_is_an_error_and_is_replaced(place: Customer) -> None:
    with daemon(place) as pid:
        with readers(files(place)) as reading:
            wait_for(lambda: reading.right > 20)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(reading.errors) == MEDIA)
        assert reading.wrong == []
        assert set(reading.errors) <= LOST
        wait_for(lambda: not is_alive(pid))
        assert is_stale(place.mountpoint)
        with pytest.raises(OSError, match=r"not connected|abort"):
            list(place.mountpoint.iterdir())
        with daemon(place) as another:
            assert another != pid
            assert_all_is_right(place)


@acts("SIGTERM of twfs while it is read")
def test_a_terminated_mount_ends_soon_and_well(place: Customer) -> None:
    with mounted(place, timeout="5") as mount, readers(files(place)) as reading:
        wait_for(lambda: reading.right > 20)
        mount.process.send_signal(signal.SIGTERM)
        # Its timeout, and what a machine that does much else may need besides; an end that hangs never comes.
        mount.process.wait(20)
        wait_for(lambda: len(reading.errors) == MEDIA)
        assert reading.wrong == []
        assert set(reading.errors) <= LOST | {errno.EIO}
        assert not is_mounted(place.mountpoint)


@acts("the state file is cut short")
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_state_file_is_begun_anew(place: Customer, part: float) -> None:
    mounted_once(place)
    os.truncate(state_file(place), int(state_file(place).stat().st_size * part))
    with mounted(place) as mount:
        assert_all_is_right(place)
    assert len(complaints(mount.log, "state file")) == (1 if part else 0), mount.log
    assert_discreet(mount.log, place.account)


@acts("bits of the state file are flipped")
@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_of_the_state_file_is_never_believed(place: Customer, seed: int) -> None:
    mounted_once(place)
    chance, path = random.Random(seed), state_file(place)
    content = bytearray(path.read_bytes())
    for _ in range(20):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    with mounted(place) as mount:
        assert_all_is_right(place)
    assert_discreet(mount.log, place.account)


@acts("the state file is damaged while Twilio cannot be reached")
def test_what_cannot_be_known_is_not_mounted(place: Customer) -> None:
    mounted_once(place)
    os.truncate(state_file(place), 5000)
    place.simulator.inject(Fault("api", status=503, times=None))
    failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text(timeout="1"))
    assert failed.returncode == 32
    assert "nothing is known of this account yet" in failed.stderr
    assert not is_mounted(place.mountpoint)


@needs_root
@acts("the state folder is read-only")
def test_a_state_folder_that_is_read_only(place: Customer) -> None:
    mounted_once(place)
    folder = place.options["state_dir"]
    assert run(["mount", "--bind", folder, folder]).returncode == 0
    try:
        assert run(["mount", "-o", "remount,bind,ro", folder]).returncode == 0
        with mounted(place) as mount:
            assert_all_is_right(place)
    finally:
        assert run(["umount", folder]).returncode == 0
    assert len(complaints(mount.log, "kept in memory and lost at unmount")) == 1, mount.log
    assert_discreet(mount.log, place.account)


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """A disk of that size at `folder`."""
    folder.mkdir(mode=0o700)
    done = run(["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k,mode=700", "tmpfs", str(folder)])
    assert done.returncode == 0, done.stderr
    try:
        yield folder
    finally:
        assert run(["umount", str(folder)]).returncode == 0


@needs_root
@acts("the disk of the state file is full")
@pytest.mark.parametrize("kibibytes", [4, 24, 64])
def test_a_full_disk(place: Customer, kibibytes: int) -> None:
    with small_disk(Path(place.options["state_dir"]), kibibytes):
        with mounted(place) as mount:
            assert_all_is_right(place)
        assert len(complaints(mount.log, "kept in memory and lost at unmount")) == 1, mount.log
        assert_discreet(mount.log, place.account)


@needs_root
@acts("the disk of the state file becomes full")
def test_a_disk_that_fills_up(place: Customer, private_key: RSAPrivateKey) -> None:
    with small_disk(Path(place.options["state_dir"]), 2000) as disk:
        with mounted(place, refresh="1") as mount:
            assert_all_is_right(place)
            fill(disk / "filler")
            new = place.account.add_recording(seal(b"new", private_key.public_key()))
            wait_for(lambda: any(path.name.startswith(new) for path in (place.mountpoint / "recordings").iterdir()))
            assert mount.file(new).read_bytes() == b"new"
        assert len(complaints(mount.log, "state file")) == 1, mount.log
        (disk / "filler").unlink()
    assert_discreet(mount.log, place.account)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    endless = itertools.repeat(bytes(4096))
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        collections.deque(map(file.write, endless), maxlen=0)


@acts("the state folder is deleted while mounted")
def test_a_deleted_state_folder_is_made_anew(place: Customer) -> None:
    with mounted(place) as mount:
        assert_all_is_right(place)
        shutil.rmtree(place.options["state_dir"])
        assert_all_is_right(place)
    assert len(complaints(mount.log, "state file")) == 1, mount.log
    place.simulator.inject(Fault("api.list", status=503, times=None))
    with mounted(place, timeout="2"):
        assert_all_is_right(place)


@acts("others may write to the state folder")
def test_a_state_folder_of_many_is_not_believed(place: Customer) -> None:
    mounted_once(place)
    Path(place.options["state_dir"]).chmod(0o777)
    failed = run_twfs("mount", place.source, str(place.mountpoint), "-o", place.option_text())
    assert failed.returncode == 1  # permissions, as mount(8) has it: nothing was tried
    assert f"run: chmod go-w {place.options['state_dir']}" in failed.stderr
    assert not is_mounted(place.mountpoint)


@needs_root
@acts("somebody else's state file takes the place of ours while mounted")
def test_a_state_file_that_was_swapped_is_not_believed(place: Customer, private_key: RSAPrivateKey) -> None:
    with mounted(place, refresh="1") as mount:
        assert_all_is_right(place)
        theirs = place.folder / "theirs"
        shutil.copy(state_file(place), theirs)
        os.chown(theirs, 65534, 65534)
        theirs.replace(state_file(place))
        assert_new_media_appear(mount, place.account, private_key)
        wait_for(lambda: "belongs to nobody" in mount.log)
        for path in (mount.path / "recordings").iterdir():
            assert path.read_bytes() == place.account.plain(path.name.split(".")[0])
    assert state_file(place).stat().st_uid == 65534
    assert len(complaints(mount.log, "kept in memory and lost at unmount")) == 1, mount.log


@acts("no more threads can be started")
def test_too_few_threads_are_told_with_what_limits_them(place: Customer) -> None:
    mounting = [sys.executable, "-m", "twfs", "mount", place.source, str(place.mountpoint), "-o", place.option_text()]
    failed = run(["bash", "-c", 'ulimit -v 600000; exec "$@"', "bash", *mounting])
    assert failed.returncode == 32
    assert "can't start new thread: the address space is limited to 600000 KiB (ulimit -v)" in failed.stderr
    assert not is_mounted(place.mountpoint)


@acts("no file descriptor is left")
def test_without_descriptors_reads_fail_and_go_on_later(place: Customer) -> None:
    with mounted(place, timeout="2", refresh="1") as mount:
        content = files(place)
        for path in content:
            path.stat()
        soft, hard = resource.prlimit(mount.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(mount.process.pid, resource.RLIMIT_NOFILE, (3, hard))
        # No connection that is open already helps.
        place.simulator.inject(Fault("s3", reset_after=0, times=None))
        path = next(iter(content))
        with pytest.raises(OSError, match=r"\[Errno") as failed:
            path.read_bytes()
        wait_for(lambda: fails_without_a_request(path, place))
        place.simulator.clear_faults()
        with pytest.raises(OSError, match=r"\[Errno") as failed_too:
            path.read_bytes()
        assert {failed.value.errno, failed_too.value.errno} <= {errno.EIO, errno.ETIMEDOUT}
        assert set(files(place)) == set(content)
        resource.prlimit(mount.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        wait_for(lambda: is_readable(path))
        assert_all_is_right(place)
    assert_discreet(mount.log, place.account)
    assert complaints(mount.log, f"{path.name}: read failed"), mount.log


def fails_without_a_request(path: Path, place: Customer) -> bool:
    """Whether it cannot be read, and nothing is asked of S3 for it."""
    before = place.simulator.count("s3")
    return not is_readable(path) and place.simulator.count("s3") == before


@contextmanager
def starved(mount: Mounted) -> Iterator[None]:
    """The daemon gets no more memory from the kernel while the block runs."""
    soft, hard = resource.prlimit(mount.process.pid, resource.RLIMIT_AS)
    resource.prlimit(mount.process.pid, resource.RLIMIT_AS, (2**20, hard))
    try:
        yield
    finally:
        resource.prlimit(mount.process.pid, resource.RLIMIT_AS, (soft, hard))


@acts("no memory is left")
@both_bindings
def test_without_memory_there_are_errors_and_nothing_untrue(place: Customer, fuse: str) -> None:
    with mounted(place, timeout="10", fuse=fuse, attr_timeout="0") as mount:
        path, plain = next(iter(files(place).items()))
        link = next(path for path in (mount.path / "by-room").rglob("*") if path.is_symlink())
        with path.open("rb", buffering=0) as file:
            # Each of them comes back to twfs every time: nothing is kept by the kernel but pages that were read.
            questions: dict[str, Callable[[], object]] = {
                "a folder": lambda: {path.name for path in (mount.path / "recordings").iterdir()},
                "a size": lambda: path.stat().st_size,
                "a link": link.readlink,
                "attributes": lambda: set(os.listxattr(path)),
                "an attribute": lambda: os.getxattr(path, "user.twilio.sid"),
                "a file": lambda: hash(path.read_bytes()),
                "a piece": lambda: os.pread(file.fileno(), 5000, 2**21),
                "what there is": lambda: os.statvfs(mount.path).f_blocks,
            }
            truth = {name: ask() for name, ask in questions.items() if name != "a piece"}
            truth["a piece"] = plain[2**21 : 2**21 + 5000]
            with starved(mount), ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda name: (name, answer(questions[name])), [*questions] * 8))
        wrong = [(name, got) for name, got in answers if got not in (truth[name], errno.EIO, errno.ENOMEM)]
        assert wrong == []
        wait_for(lambda: is_readable(path))
        assert_all_is_right(place)


def answer(question: Callable[[], object]) -> object:
    """The answer, or the number of an error."""
    try:
        return question()
    except OSError as failure:
        return failure.errno


CACHE = 16 * 2**20
ROOM = 48 * 2**20
"""Bytes beside the cache for what a process that is mounted already still needs."""


@needs_cgroups
@acts("a cgroup limits memory, to somewhat more than `cache_size`")
def test_a_cgroup_that_leaves_room_for_the_cache_is_enough(place: Customer) -> None:
    with ExitStack() as stack:
        pid = stack.enter_context(daemon(place, cache_size=str(CACHE)))
        cgroup = stack.enter_context(cgroup_of(pid))
        # It goes before its cgroup does.
        stack.callback(unmount, place.mountpoint)
        cgroup.limit(CACHE + ROOM)
        for _ in range(3):
            with readers(files(place)) as reading:
                wait_for(lambda: reading.right > 300 or bool(reading.errors))
            assert (reading.wrong, reading.errors) == ([], [])
            drop_pages(place.mountpoint)
        assert_all_is_right(place)
        assert CACHE // 2 < cgroup.peak <= CACHE + ROOM


@needs_cgroups
@acts("a cgroup limits memory to less than twfs needs")
def test_a_cgroup_that_is_too_small_ends_twfs_and_nothing_is_short(place: Customer) -> None:
    with daemon(place, cache_size=str(CACHE)) as pid, cgroup_of(pid) as cgroup:
        cgroup.limit(CACHE // 4)
        with readers(files(place)) as reading:
            wait_for(lambda: len(reading.errors) == MEDIA)
        assert reading.wrong == []
        assert set(reading.errors) <= LOST
        wait_for(lambda: not is_alive(pid))
        with daemon(place):
            assert_all_is_right(place)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Twice as many processes that only compute as there are cores."""
    count = 2 * (os.cpu_count() or 1)
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@acts("all cores are busy")
def test_on_busy_cores_all_is_right(place: Customer) -> None:
    with busy_cores(), mounted(place, cache_size="8M") as mount, readers(files(place)) as reading:
        wait_for(lambda: reading.right > 200 or bool(reading.errors))
        assert (reading.wrong, reading.errors) == ([], [])
    assert complaints(mount.log, "") == []


class Skewed:
    """Twilio's and S3's clock, so many seconds ahead of this machine's."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@acts("a clock is a day wrong, or jumps by a day")
@pytest.mark.parametrize("ahead", [-86_400.0, 86_400.0])
def test_a_wrong_clock_changes_nothing(
    tmp_path: Path, private_key: RSAPrivateKey, media: list[bytes], ahead: float
) -> None:
    clock = Skewed(ahead)
    account = SimulatedAccount(clock=clock)
    sids = [account.add_recording(seal(data, private_key.public_key())) for data in media]
    with customer(tmp_path, account, private_key) as place, mounted(place, refresh="1") as mount:
        assert_new_media_appear(mount, account, private_key)
        with mount.file(sids[0]).open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            assert os.pread(file.fileno(), 5000, 0) == media[0][:5000]
            clock.ahead = -ahead
            assert os.pread(file.fileno(), 5000, 2**21) == media[0][2**21 : 2**21 + 5000]
        assert all(mount.file(sid).read_bytes() == data for sid, data in zip(sids, media, strict=True))
    assert complaints(mount.log, "") == []


@needs_compiler
@acts("a clock is a day wrong, or jumps by a day")
@pytest.mark.parametrize("ahead", [-86_400, 86_400])
def test_this_machines_clock_may_be_wrong_too(
    place: Customer, private_key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    clock = local_clock(place.folder, ahead)
    for name, value in clock.environ.items():
        monkeypatch.setenv(name, value)
    with mounted(place, refresh="1", attr_timeout="0") as mount:
        assert abs(status_time(mount) - time.time() - ahead) < 60
        assert_all_is_right(place)
        listed = count_of(mount)
        for jump in (-ahead, ahead, 0):
            clock.set_ahead(jump)
            assert abs(status_time(mount) - time.time() - jump) < 60
            assert_new_media_appear(mount, place.account, private_key)
            place.simulator.expire_urls()
            drop_pages(mount.path)
            for path in (mount.path / "recordings").iterdir():
                assert path.read_bytes() == place.account.plain(path.name.split(".")[0])
        assert count_of(mount) == listed + 3
    # A mount that finds a catalogue from the future, or from long ago, knows all of it.
    clock.set_ahead(-ahead)
    with mounted(place) as mount:
        assert count_of(mount) == listed + 3
    assert complaints(mount.log, "") == []


def count_of(mount: Mounted) -> int:
    """How many recordings are listed."""
    return sum(1 for _ in (mount.path / "recordings").iterdir())


def status_time(mount: Mounted) -> float:
    """The wall clock of the mounting process: twfs' own files are of this moment."""
    return (mount.path / ".twfs" / "status").stat().st_mtime


def drop_pages(root: Path) -> None:
    """Have the kernel forget what it has read."""
    for path in (root / "recordings").iterdir():
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def assert_new_media_appear(mount: Mounted, account: SimulatedAccount, key: RSAPrivateKey) -> None:
    """A recording that is made now is listed soon, and can be read."""
    new = account.add_recording(seal(b"new", key.public_key()))
    wait_for(lambda: any(path.name.startswith(new) for path in (mount.path / "recordings").iterdir()))
    assert mount.file(new).read_bytes() == b"new"
