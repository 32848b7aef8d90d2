"""Destinations that are full, refuse something or are not there: what the commands leave and say."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.cli.running import Account
from tests.mount.harness import needs_root
from tests.transfer.awkward import Ways, awkward
from twfs.cli.main import main
from twfs.simulator.exchange import Request
from twfs.simulator.faults import Fault

FETCHED = 11
"""Of the demo's media: one is muted, one locked."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """With room for about half of the demo's media."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def complaints(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines on standard error that are not about a medium of the demo with a trouble of its own."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "add the one it was encrypted for" not in line and ": absent: " not in line]


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@needs_root
def test_get_to_a_full_disk(account: Account, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["get", account.source, "--all", "-o", str(disk), *account.flags]
    assert main(words) == 1
    why, count = complaints(capsys)
    assert f"{disk}: No space left on device: make room there, then run the same command again" in why
    assert "of 13 media were not begun or not finished" in count
    assert all(path.stat().st_size for path in all_files(disk))
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    main(words)
    assert complaints(capsys) == []
    assert len(all_files(disk)) == FETCHED
    assert {path.suffix for path in all_files(disk)} == {".mkv", ".mka", ".mp4", ".webm"}


@needs_root
def test_export_to_a_full_disk(account: Account, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", account.source, str(disk / "x"), *account.flags]
    assert main(words) == 1
    (why,) = complaints(capsys)
    assert why.startswith(f"twfs: {disk / 'x'}: No space left on device: make room there, then run the same command")
    assert not [path for path in all_files(disk) if path.name.startswith(".")]
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    main(words)
    assert complaints(capsys) == []
    assert len(all_files(disk)) == FETCHED


def words_of(command: str, account: Account, place: str) -> list[str]:
    where = ["--all", "-o", place] if command == "get" else [place]
    return [command, account.source, *where, *account.flags]


@needs_root
@pytest.mark.parametrize("command", ["get", "export"])
def test_read_only_destination(account: Account, disk: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert main(words_of(command, account, str(disk))) == 1
    (why, *_) = complaints(capsys)
    assert f"{disk}: Read-only file system: mount it for writing" in why


@pytest.mark.parametrize(
    "case",
    [
        ({}, "s3://archive/x", "s3://archive: Unable to locate credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        ({"AWS_PROFILE": "none"}, "s3://archive/x", "could not be found: name one of ~/.aws/config in AWS_PROFILE"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
            "s3://archive/x",
            'Could not connect to the endpoint URL: "http://127.0.0.1:1": check the address',
        ),
        ({}, "ftp://127.0.0.1:1/x", "ftp://127.0.0.1:1: [Errno 111] Connection refused: check the address"),
    ],
    ids=["no credentials", "no profile", "no server", "no ftp server"],
)
def test_one_cause_is_one_line(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: tuple[dict[str, str], str, str],
) -> None:
    variables, url, why = case
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**nothing, **variables}.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert main(words_of("export", account, url)) == 1
    (line,) = complaints(capsys)
    assert why in line


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_file_in_the_place_of_the_folder(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert main(words_of("export", account, str(tmp_path / place))) == 1
    (line,) = complaints(capsys)
    assert line == f"twfs: {tmp_path / 'file'}: Not a directory: name a folder"


@needs_root
@pytest.mark.parametrize(
    "case",
    [
        (Ways({"utimens": errno.EPERM}), 1),
        (Ways({"flock": errno.ENOTSUP}), 1),
        (Ways({"fsync": errno.EINVAL}), 1),
        (Ways(step=2), 0),
        (Ways(step=0), 1),
        (Ways({"utimens": errno.EPERM}, mode=0o777, uid=65_534), 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["get", "export"])
def test_what_was_fetched_is_never_fetched_again(
    account: Account,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    case: tuple[Ways, int],
) -> None:
    ways, warnings = case
    with awkward(tmp_path, ways) as folder:
        words = words_of(command, account, str(folder))
        main(words)
        said = complaints(capsys)
        assert len(said) == warnings
        assert all("warning: the destination " in line for line in said)
        account.simulated.simulator.clear_requests()
        main(words)
        assert account.simulated.simulator.count("s3.get") == 0
        files = all_files(folder)
        assert len(files) == FETCHED
        assert not [path for path in files if path.name.startswith(".")]


@needs_root
@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"create": errno.EACCES}, "Permission denied: name a folder that you may write to"),
        ({"rename": errno.EPERM}, "Operation not permitted: name a folder that you may write to"),
        ({"write": errno.ETIMEDOUT}, "Connection timed out: the server behind it does not answer; run the same"),
        ({"write": errno.EHOSTDOWN}, "Host is down: the server behind it does not answer; run the same command"),
        ({"create": errno.ENOMEM}, "Cannot allocate memory: this machine or the server behind it is short of memory"),
    ],
    ids=str,
)
def test_what_the_server_of_the_destination_refuses_is_said_once(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: dict[str, int], why: str
) -> None:
    with awkward(tmp_path, Ways(refused)) as folder:
        assert main(words_of("get", account, str(folder))) == 1
        line, count = complaints(capsys)
    assert f"failed: {folder}: {why}" in line
    assert "of 13 media were not begun or not finished" in count


@pytest.mark.parametrize("in_its_place", ["nothing", "a file"])
@pytest.mark.parametrize("command", ["get", "export"])
def test_folder_that_is_deleted_meanwhile(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, in_its_place: str
) -> None:
    folder = tmp_path / "x"

    def delete(_request: Request) -> bool:
        if folder.is_dir() and any(folder.rglob(".*")):
            shutil.rmtree(folder, ignore_errors=True)
            if in_its_place == "a file":
                folder.touch()
        return False

    account.simulated.simulator.inject(Fault("s3.get", match=delete, times=None))
    assert main(words_of(command, account, str(folder))) == 1
    # Its files went before it did: whoever writes one then cannot know why.
    why, *count = [line for line in complaints(capsys) if "took the unfinished file away" not in line]
    assert str(folder) in why
    assert len(count) == (command == "get")


def test_destination_whose_name_is_too_long(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words_of("export", account, str(tmp_path / ("x" * 256)))) == 1
    (line,) = complaints(capsys)
    assert line.startswith("twfs: File name too long: the destination takes no name of this length")


@pytest.mark.parametrize("command", ["get", "export"])
def test_files_are_the_users_alone(account: Account, tmp_path: Path, command: str) -> None:
    before = os.umask(0o022)
    try:
        main(words_of(command, account, str(tmp_path / "x")))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in all_files(tmp_path / "x")} == {0o600}


def test_longest_name(account: Account, tmp_path: Path) -> None:
    sid = next(path.name for path in fetched(account, tmp_path / "x") if path.suffix == ".mka")[:34]
    goal = tmp_path / ("a" * 251 + ".mka")
    assert main(["get", account.source, sid, "-o", str(goal), *account.flags]) == 0
    assert goal.stat().st_size


def fetched(account: Account, folder: Path) -> list[Path]:
    main(words_of("get", account, str(folder)))
    return all_files(folder)
