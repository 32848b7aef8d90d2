"""The access log and the log, as an administrator finds them in systemd's journal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.demo import DIR, ENCRYPTED, ENCRYPTED_SAMPLE, NOBODYS, OPTIONS, UNIT, sid_of
from tests.system.machine import Machine
from twfs.simulator.samples import sample_bytes

VISITOR = 4711
ENVIRONMENT = """\
TWFS_AUDIT=journal
TWFS_LOG_FORMAT=journal
TWFS_ALLOW_OTHER=yes
TWFS_FILE_MODE=0444
TWFS_DIR_MODE=0555
"""


@pytest.fixture
def journalled(unit: Machine) -> Iterator[Machine]:
    """The unit, whose access log and log go to the journal, and whose files anybody may read."""
    unit.write(f"/etc/twfs/{UNIT.partition('@')[2]}.env", ENVIRONMENT)
    unit.run(f"systemctl restart {UNIT}")
    yield unit
    unit.run(f"rm /etc/twfs/{UNIT.partition('@')[2]}.env")


def entries(machine: Machine, *matches: str) -> list[dict[str, Any]]:
    """Of the journal."""
    text = machine.run(f"journalctl --boot --output=json {' '.join(matches)}")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def awaited(machine: Machine, *matches: str) -> dict[str, Any]:
    """The last entry that fits, once there is one."""
    machine.wait_for(f"journalctl --boot --output=json {' '.join(matches)} | grep MESSAGE", 20)
    return entries(machine, *matches)[-1]


def read_by_visitor(machine: Machine, folder: str, program: str = "cat") -> int:
    """Have a user read the encrypted medium; the process."""
    file = f"{folder}/recordings/{ENCRYPTED}"
    command = f"echo $$; exec {program} {file} >/dev/null"
    return int(machine.run(f"setpriv --reuid={VISITOR} --regid={VISITOR} --clear-groups sh -c '{command}'"))


def test_who_read_what_is_found_by_its_fields(journalled: Machine) -> None:
    pid = read_by_visitor(journalled, DIR)
    entry = awaited(journalled, f"--unit={UNIT}", "TWFS_EVENT=access", f"TWFS_UID={VISITOR}", f"TWFS_PID={pid}")
    size = len(sample_bytes(ENCRYPTED_SAMPLE))
    expected = {
        "TWFS_SID": sid_of(ENCRYPTED),
        "TWFS_COMMAND": "cat",
        "TWFS_SIZE": str(size),
        "TWFS_BYTES_READ": str(size),
        "TWFS_PATH": f"/recordings/{ENCRYPTED}",
        "TWFS_SOURCE": "twilio:demo",
        "TWFS_MOUNTPOINT": DIR,
        "MESSAGE": f"{sid_of(ENCRYPTED)}: uid {VISITOR}, cat {pid} read {size} of {size} bytes",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "twfs",
        # The journal's own, which no reader can feign.
        "_SYSTEMD_UNIT": f"{UNIT}.service",
        "_PID": journalled.run(f"systemctl show --value --property=MainPID {UNIT}"),
    }
    assert {name: entry.get(name) for name in expected} == expected
    assert entry["TWFS_OPENED"] < entry["TWFS_CLOSED"]
    assert entry["TWFS_ACCOUNT_SID"].startswith("AC")


def test_a_line_of_the_log_has_its_priority_and_fields(journalled: Machine) -> None:
    assert "Required key not available" in journalled.run(f"cat {DIR}/recordings/{NOBODYS}", check=False)
    entry = awaited(journalled, f"--unit={UNIT}", "--priority=warning", f"TWFS_SID={sid_of(NOBODYS)}")
    assert NOBODYS in entry["MESSAGE"]
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("4", "twfs")
    assert entry["CODE_FILE"].startswith("/usr/lib/twfs/")
    assert entry["CODE_LINE"].isdecimal()
    invocation = journalled.run(f"systemctl show --value --property=InvocationID {UNIT}")
    said = entries(journalled, f"_SYSTEMD_INVOCATION_ID={invocation}", f"_PID={entry['_PID']}")
    assert [found["PRIORITY"] for found in said if found["MESSAGE"] == f"{DIR}: mounted"] == ["6"]


def test_the_journal_may_be_restarted(journalled: Machine) -> None:
    journalled.run("systemctl restart systemd-journald")
    pid = read_by_visitor(journalled, DIR, "md5sum")
    entry = awaited(journalled, f"--unit={UNIT}", "TWFS_EVENT=access", f"TWFS_PID={pid}")
    assert entry["TWFS_COMMAND"] == "md5sum"


def test_a_unit_as_it_comes_has_priorities_too(unit: Machine) -> None:
    unit.run(f"cat {DIR}/recordings/{NOBODYS}", check=False)
    unit.wait_for(f"journalctl --boot --unit={UNIT} --priority=warning | grep {sid_of(NOBODYS)}", 20)
    entry = entries(unit, f"--unit={UNIT}", "--priority=warning")[-1]
    assert entry["MESSAGE"].startswith(f"/recordings/{NOBODYS}: ")


def test_a_mount_by_hand_writes_there_from_the_background(machine: Machine) -> None:
    folder = "/srv/by-hand"
    machine.run(f"mkdir -p {folder}")
    options = f"{OPTIONS},allow_other,file_mode=0444,dir_mode=0555,audit=journal,log_format=journal"
    machine.run(f"mount -t twfs twilio:demo {folder} -o {options}")
    try:
        pid = read_by_visitor(machine, folder)
        entry = awaited(machine, "--identifier=twfs", f"TWFS_MOUNTPOINT={folder}", f"TWFS_PID={pid}")
        assert (entry["TWFS_EVENT"], entry["TWFS_UID"]) == ("access", str(VISITOR))
    finally:
        machine.run(f"umount {folder} && rmdir {folder}")
    assert "unmounted" in awaited(machine, "--identifier=twfs", f"_PID={entry['_PID']}", "--grep=unmounted")["MESSAGE"]
