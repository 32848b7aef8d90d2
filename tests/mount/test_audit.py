import errno
import json
import logging
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.mount.fake_journal import fake_journal
from tests.mount.harness import needs_root
from twfs.errors import ConfigError
from twfs.mount.audit import Audit, AuditFile, AuditJournal, audit_writer
from twfs.mount.journald import Journal
from twfs.mount.open_files import Access
from twfs.mount.processes import Process
from twfs.resources import Kind, Medium

NOBODY = 65534
SID = "RT" + "1" * 32
ACCESS = Access(Medium(SID, Kind.RECORDING), "/recordings/x", 99, 1000, Process(7, "mpv"), 1511455637.25, 42, 50)
RECORD = {
    "opened": "2017-11-23T16:47:17.250000Z",
    "closed": "2017-11-23T16:48:00.000000Z",
    "uid": 1000,
    "pid": 7,
    "command": "mpv",
    "sid": SID,
    "path": "/recordings/x",
    "size": 99,
    "bytes_read": 42,
    "mountpoint": "/mnt",
}


def closed_at() -> float:
    return 1511455680.0


class Broken:
    """Cannot write."""

    def __call__(self, record: Mapping[str, Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_access_is_one_line_of_json(tmp_path: Path) -> None:
    audit = Audit(AuditFile(tmp_path / "audit"), closed_at, mountpoint="/mnt")
    audit(ACCESS)
    audit(ACCESS)
    lines = (tmp_path / "audit").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [RECORD, RECORD]
    assert audit.outcomes.snapshot() == {"written": 2}


def test_file_is_its_owners_only_and_what_is_in_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    old = os.umask(0)
    try:
        AuditFile(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("earlier\n")
    AuditFile(path)({"sid": SID})
    assert path.read_text() == f'earlier\n{{"sid": "{SID}"}}\n'


def test_a_rotated_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    write = AuditFile(path)
    write({"n": 1})
    path.rename(tmp_path / "audit.1")
    write({"n": 2})
    assert (path.read_text(), (tmp_path / "audit.1").read_text()) == ('{"n": 2}\n', '{"n": 1}\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602])
def test_a_file_open_to_others_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "audit"
    path.touch()
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        AuditFile(path)


def test_what_cannot_be_written_or_is_no_file_is_told_at_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        AuditFile(tmp_path / "nothing" / "audit")
    with pytest.raises(ConfigError, match="Is a directory"):
        AuditFile(tmp_path)
    with pytest.raises(ConfigError, match="no regular file"):
        AuditFile(Path(os.devnull))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="No such device"):
        AuditFile(tmp_path / "pipe")
    with (
        os.fdopen(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)),
        pytest.raises(ConfigError, match="no regular"),
    ):
        AuditFile(tmp_path / "pipe")


@needs_root
def test_a_file_that_somebody_else_has_put_there_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    theirs, victim = tmp_path / "theirs", tmp_path / "victim"
    theirs.touch(0o600)
    os.chown(theirs, NOBODY, -1)
    victim.touch(0o600)
    (tmp_path / "hard").hardlink_to(victim)
    (tmp_path / "soft").symlink_to(victim)
    os.chown(tmp_path / "soft", NOBODY, -1, follow_symlinks=False)
    for name, why in (("theirs", "belongs to nobody"), ("hard", "hard link"), ("soft", "symbolic link of nobody")):
        with pytest.raises(ConfigError, match=why):
            AuditFile(tmp_path / name)
    assert victim.read_bytes() == b""


@needs_root
def test_one_that_somebody_else_puts_there_later_gets_no_record(tmp_path: Path) -> None:
    path, victim = tmp_path / "audit", tmp_path / "victim"
    audit = Audit(AuditFile(path), closed_at)
    victim.touch(0o600)
    path.unlink()
    path.symlink_to(victim)
    os.chown(path, NOBODY, -1, follow_symlinks=False)
    audit(ACCESS)
    assert audit.outcomes.snapshot() == {"failed": 1}
    assert victim.read_bytes() == b""


def test_ones_own_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("audit")
    AuditFile(tmp_path / "link")({"n": 1})
    assert (tmp_path / "audit").read_text() == '{"n": 1}\n'


def test_a_file_in_the_mount_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="in the mount itself"):
        audit_writer(Path("/mnt/a/audit"), Path("/mnt/a"))


def test_what_cannot_be_written_goes_to_the_log_whole(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(Broken(), closed_at, mountpoint="/mnt")
    audit(ACCESS)
    (line,) = caplog.records
    assert line.levelno == logging.ERROR
    assert "No space left" in line.getMessage()
    assert json.loads(line.getMessage().partition("the record: ")[2]) == RECORD
    assert audit.outcomes.snapshot() == {"failed": 1}


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from twfs.mount.audit import AuditFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
write = AuditFile(Path(sys.argv[1]))
write({"n": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (15, resource.RLIM_INFINITY))
for n in (2, 3):
    try:
        write({"n": n})
    except OSError as error:
        print("failed", n)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write({"n": 4})
"""


def test_what_a_full_disk_has_cut_off_spoils_no_other_line(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    path = tmp_path / "audit"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["failed", "2", "failed", "3"]
    assert path.read_text().splitlines() == ['{"n": 1}', '{"n": ', '{"n": 4}']


def test_an_entry_of_the_journal_has_every_value_as_a_field(tmp_path: Path) -> None:
    with fake_journal(tmp_path / "socket") as journal:
        Audit(AuditJournal(Journal(tmp_path / "socket")), closed_at, mountpoint="/mnt")(ACCESS)
        entry = journal.entry()
    assert entry.pop("MESSAGE") == f"{SID}: uid 1000, mpv 7 read 42 of 99 bytes"
    assert entry.pop("TWFS_EVENT") == "access"
    assert (entry.pop("PRIORITY"), entry.pop("SYSLOG_IDENTIFIER")) == ("6", "twfs")
    assert entry == {f"TWFS_{name.upper()}": str(value) for name, value in RECORD.items()}
