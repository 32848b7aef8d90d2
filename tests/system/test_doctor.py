"""`twfs doctor` on a machine as it comes and on one that was spoilt; what it says to do is done, and mends it."""

import json
from collections.abc import Iterator

import pytest

from tests.system.demo import DIR, OPTIONS, UNIT
from tests.system.machine import Machine
from twfs.cli.finding import OK, PROBLEM, WARNING, Finding

USER = 4711
CHECKS = {
    *("device", "libfuse", "fusermount", "allow_other", "AppArmor", "helpers", "updatedb", "request timeout"),
    *("mount", "read-ahead", "configuration", "cache", "private keys", "state file", "credentials", "clock"),
    *("media of recordings", "media of compositions", "certificates", "key files", "log place"),
}


def findings(machine: Machine, *words: str, options: str = OPTIONS, uid: int = 0) -> dict[str, Finding]:
    """By check."""
    who = f"setpriv --reuid={uid} --regid={uid} --clear-groups env HOME=/tmp" if uid else ""
    said = machine.run(f"{who} twfs doctor {' '.join(words)} --json {f'-o {options}' if options else ''}", check=False)
    return {found["check"]: Finding(**found) for found in json.loads(said)["findings"]}


def mended(machine: Machine, finding: Finding) -> None:
    """Do what it says, as root."""
    machine.run(finding.mend.rpartition("run: ")[2].rpartition("run as root: ")[2].partition(", or ")[0])


@pytest.fixture
def spoilt(machine: Machine) -> Iterator[Machine]:
    """The machine, whose files are put right afterwards."""
    kept = "/etc/fuse.conf /etc/updatedb.conf /bin/fusermount3"
    machine.run(f"tar --create --file=/root/kept.tar {kept}")
    yield machine
    machine.run("tar --extract --same-permissions --file=/root/kept.tar --directory=/")


def test_all_is_well_on_a_machine_as_it_comes(unit: Machine) -> None:
    found = findings(unit, "twilio:demo")
    assert found.keys() == CHECKS
    # In a container /sys may be read-only.
    expected = set() if unit.succeeds("test -w /sys/class/bdi") else {"read-ahead"}
    assert {check for check, finding in found.items() if finding.level != OK} == expected, found
    assert found["mount"].text == f"twilio:demo is mounted at {DIR}"
    assert found["libfuse"].text.startswith("libfuse 3.14 through mfusepy")
    assert "private_key.pem opens RT" in found["media of recordings"].text
    assert "private_key.pem opens CJ" in found["media of compositions"].text


def test_what_only_the_unit_is_given_can_be_looked_at(unit: Machine) -> None:
    finding = findings(unit, "twilio:demo", options="")["configuration"]
    assert finding.level == PROBLEM
    assert "ok       configuration: account AC" in unit.run(finding.mend.rpartition("run: ")[2])


def test_a_user_is_told_what_root_must_do_first(spoilt: Machine) -> None:
    spoilt.run("chmod u-s /bin/fusermount3; sed -i '/user_allow_other/d' /etc/fuse.conf")
    found = findings(spoilt, options="", uid=USER)
    assert (found["fusermount"].level, found["allow_other"].level) == (WARNING, WARNING)
    for check in ("fusermount", "allow_other"):
        mended(spoilt, found[check])
    found = findings(spoilt, options="", uid=USER)
    assert (found["fusermount"].level, found["allow_other"].level) == (OK, OK)


def test_a_user_who_may_not_look_into_a_mount_is_told_that_it_stands(unit: Machine) -> None:
    finding = findings(unit, options="", uid=USER)["mount"]
    assert (finding.level, finding.text) == (OK, f"twilio:demo is mounted at {DIR}")


def test_updatedb_is_mended(spoilt: Machine) -> None:
    spoilt.run("sed -i 's/ fuse.twfs//' /etc/updatedb.conf")
    finding = findings(spoilt)["updatedb"]
    assert finding.level == WARNING
    mended(spoilt, finding)
    assert findings(spoilt)["updatedb"].level == OK


def test_without_fuse_3_and_its_tools(spoilt: Machine) -> None:
    spoilt.run("rm /bin/fusermount3")
    assert findings(spoilt)["fusermount"].level == WARNING
    assert findings(spoilt, options="", uid=USER)["fusermount"].level == PROBLEM


def test_a_mount_that_has_lost_its_process_is_taken_away(unit: Machine) -> None:
    unit.write(f"/etc/systemd/system/{UNIT}.service.d/once.conf", "[Service]\nRestart=no\n")
    unit.run(f"systemctl daemon-reload && systemctl kill --kill-who=main --signal=KILL {UNIT}")
    unit.wait_for(f"! systemctl is-active {UNIT}", 20)
    finding = findings(unit)["mount"]
    assert (finding.level, finding.text) == (PROBLEM, f"the mount at {DIR} has lost its process")
    mended(unit, finding)
    assert "mount" not in findings(unit)


def test_a_damaged_state_file_is_taken_away(unit: Machine) -> None:
    unit.run(f"systemctl stop {UNIT}")
    state = f"{OPTIONS},state_dir=/var/cache/twfs/demo"
    text = findings(unit, "twilio:demo", options=state)["state file"].text
    assert text.endswith(" can be used")
    unit.run(f"echo nonsense > {text.removesuffix(' can be used')}")
    finding = findings(unit, "twilio:demo", options=state)["state file"]
    assert finding.level == WARNING
    mended(unit, finding)
    assert findings(unit, "twilio:demo", options=state)["state file"].text.endswith("will be made")


def test_credentials_that_others_can_read_are_named_with_their_mend(machine: Machine) -> None:
    machine.run("chmod 644 /etc/twfs/credentials")
    finding = findings(machine, "twilio:demo")["configuration"]
    assert finding.level == PROBLEM
    machine.run(finding.text.rpartition("run: ")[2])
    assert findings(machine, "twilio:demo")["configuration"].level == OK


def test_an_api_that_is_down_and_a_port_that_nobody_serves(machine: Machine) -> None:
    machine.run("systemctl stop simulator")
    try:
        found = findings(machine, "twilio:demo", options=f"{OPTIONS},timeout=2")
    finally:
        machine.run("systemctl start simulator")
    assert found["credentials"].level == PROBLEM
    assert "http://127.0.0.1:8080" in found["credentials"].text
    assert "127.0.0.1:8080 cannot be connected to (Connection refused)" in found["credentials"].mend
