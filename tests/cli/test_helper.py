import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Run, python
from twfs.cli.helper import main

SOURCE = "twilio:AC" + "1" * 32


def helper(*words: str | Path, environ: dict[str, str] | None = None) -> Run:
    return python("-I", "-m", "twfs.cli.helper", *words, environ=environ)


@pytest.mark.parametrize(
    "words",
    [
        f"{SOURCE} /mnt -f",
        f"{SOURCE} /mnt -f -o rw",
        f"{SOURCE} /mnt -sfnv -o ro,noatime,foo=1",
        f"{SOURCE} /mnt -n -f -t fuse.twfs -o _netdev,x-systemd.automount,cache_size=1G",
        f"{SOURCE} /mnt -o ro,user=joe,comment=x -f -N /proc/1/ns/mnt",
        f"-f -o ro {SOURCE} /mnt",
    ],
)
def test_fake_mounts_nothing_and_succeeds(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    assert main(shlex.split(words)) == 0
    assert capsys.readouterr().err == ""
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " /mnt " in line] == [
        line for line in mounts.splitlines() if " /mnt " in line
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (f"{SOURCE} /mnt -f -o cachesize=1G", "did you mean cache_size?"),
        (f"{SOURCE} /mnt -f -o api_secret=x -s", "is a secret"),
        ("/dev/sda1 /mnt -f", "write twilio:AC... for an account"),
        (f"{SOURCE}", "required: DIR"),
        (f"{SOURCE} ''", "argument DIR: a path is needed"),
        (f"{SOURCE} /mnt -o ro", "no credentials for AC111"),
        (f"{SOURCE} /mnt -x", "unrecognized arguments: -x"),
    ],
)
@pytest.mark.usefixtures("home")
def test_usage_errors_are_1_and_one_line(words: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(words)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mount.twfs: ")
    assert complaint in line


def test_verbose_says_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([SOURCE, "/mnt", "-fv"]) == 0
    assert capsys.readouterr().out == f"mount.twfs: {SOURCE} on /mnt (not really)\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "SOURCE DIR" in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_empty_home_and_minimal_path_are_enough(tmp_path: Path) -> None:
    run = helper(SOURCE, tmp_path, environ={"HOME": "", "PATH": "/sbin"})
    assert run.code == 1
    assert run.complaint.startswith("mount.twfs: no credentials for AC111")


@pytest.mark.usefixtures("home")
def test_unreachable_account_is_32_and_says_why(tmp_path: Path) -> None:
    """Nothing listens at port 1."""
    environ = {
        "TWILIO_ACCOUNT_SID": SOURCE.removeprefix("twilio:"),
        "TWILIO_AUTH_TOKEN": "hunter2",
    }
    options = f"api_url=http://127.0.0.1:1,timeout=1,state_dir={tmp_path / 'state'}"
    (tmp_path / "mnt").mkdir()
    run = helper(SOURCE, tmp_path / "mnt", "-o", options, environ=environ)
    assert run.code == 32
    assert "Twilio cannot be asked" in run.err
    assert "hunter2" not in run.err


@pytest.mark.usefixtures("home")
def test_missing_folder_is_32(tmp_path: Path) -> None:
    environ = {"TWILIO_ACCOUNT_SID": SOURCE.removeprefix("twilio:"), "TWILIO_AUTH_TOKEN": "hunter2"}
    run = helper(SOURCE, tmp_path / "nowhere", environ=environ)
    assert run.code == 32
    assert "no such folder" in run.complaint


@pytest.fixture
def namespace() -> Iterator[Path]:
    """A mount namespace of its own."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("a mount namespace cannot be made here")
    # cat ends when its standard input does; its first output shows that unshare is done.
    with subprocess.Popen([*command, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.read(1)
        yield Path(f"/proc/{process.pid}/ns/mnt")
        process.stdin.close()


def test_namespace_is_entered_for_good(namespace: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from twfs.cli.helper import enter_mount_namespace; "
        "enter_mount_namespace(Path(sys.argv[1])); print(os.readlink('/proc/self/ns/mnt'))"
    )
    run = python("-c", program, namespace)
    assert run.out.strip() == str(namespace.readlink())
    assert run.out.strip() != str(Path("/proc/self/ns/mnt").readlink())


def test_namespace_that_is_none_is_a_system_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "c").write_text(f"account_sid={SOURCE.removeprefix('twilio:')}\nauth_token=hunter2\n")
    (home / "c").chmod(0o600)
    assert main([SOURCE, "/mnt", "-o", f"credentials={home / 'c'}", "-N", str(home / "c")]) == 2
    assert capsys.readouterr().err.startswith(f"mount.twfs: {home / 'c'}: ")
