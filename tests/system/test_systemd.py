"""twfs as an administrator has it: a unit, a line of fstab, a package, on a system that boots."""

from collections.abc import Iterator

import pytest

from tests.system.demo import DIR, ENCRYPTED, OPTIONS, UNIT, is_mounted, reads
from tests.system.machine import Machine

FSTAB = (
    "twilio:demo /srv/recordings twfs ro,_netdev,nofail,noauto,x-systemd.automount,x-systemd.mount-timeout=60,"
    f"{OPTIONS} 0 0\n"
)
BACK_SECONDS = 20.0
BOOT_SECONDS = 60.0
CACHES = "rm -rf /var/cache/twfs /root/.cache/twfs"


def show(machine: Machine, name: str) -> str:
    return machine.run(f"systemctl show --value --property={name} {UNIT}")


@pytest.fixture
def automounted(machine: Machine) -> Iterator[Machine]:
    """The machine with the line in fstab."""
    fstab = machine.root / "etc/fstab"
    before = fstab.read_text()
    fstab.write_text(before + FSTAB)
    machine.run("systemctl daemon-reload && systemctl restart remote-fs.target")
    yield machine
    machine.run("systemctl stop srv-recordings.automount srv-recordings.mount", check=False)
    fstab.write_text(before)
    machine.run("systemctl daemon-reload")


def test_modes_of_the_package(installed: Machine) -> None:
    modes = "stat --format='%a %U' /etc/twfs /etc/twfs/config.toml /etc/twfs/credentials /etc/twfs/keys"
    assert installed.run(modes).splitlines() == ["755 root", "644 root", "600 root", "700 root"]


def test_units_are_clean(installed: Machine) -> None:
    examples = "/usr/share/doc/twfs/examples/srv-recordings.{mount,automount}"
    assert installed.run(f"systemd-analyze verify --man=no /usr/lib/systemd/system/twfs@.service {examples}") == ""
    figure = installed.run("systemd-analyze security --offline=true /usr/lib/systemd/system/twfs@.service | tail -1")
    print(figure)  # noqa: T201 - the figure is for people
    assert float(figure.rsplit(":", 1)[0].split("service:")[-1].split()[0]) < 5


def test_unit_stands_and_its_files_are_readable_outside(unit: Machine) -> None:
    """Its credentials come by LoadCredential= alone: the profile names none."""
    assert unit.succeeds(reads(DIR))
    assert show(unit, "StatusText") == f"13 media at {DIR}"
    assert unit.run(f"findmnt --noheadings --output SOURCE,FSTYPE {DIR}").split() == ["twilio:demo", "fuse.twfs"]
    assert unit.run(f"stat --format=%a {DIR}/.. /var/cache/twfs/demo").split() == ["755", "700"]


def test_unit_is_back_after_a_kill(unit: Machine) -> None:
    """Between, its readers get errors: a folder that looks empty would be a backup's end."""
    unit.run(f"ls {DIR}")
    unit.run(f"systemctl kill --kill-who=main --signal=KILL {UNIT}")
    unit.wait_for(f"! test $(systemctl show --value --property=MainPID {UNIT}) != 0")
    assert "Transport endpoint is not connected" in unit.run(f"ls {DIR}", check=False)
    assert unit.wait_for(reads(DIR), BACK_SECONDS) < BACK_SECONDS
    assert show(unit, "NRestarts") == "1"


def test_unit_that_hangs_is_ended_and_back(unit: Machine) -> None:
    unit.write(f"/etc/systemd/system/{UNIT}.service.d/soon.conf", "[Service]\nWatchdogSec=6\n")
    unit.run(f"systemctl daemon-reload && systemctl restart {UNIT}")
    unit.run("sleep 8")
    assert (show(unit, "NRestarts"), show(unit, "ActiveState")) == ("0", "active")
    unit.run(f"systemctl kill --kill-who=main --signal=STOP {UNIT}")
    unit.wait_for(f"test $(systemctl show --value --property=NRestarts {UNIT}) = 1", 2 * BACK_SECONDS)
    unit.wait_for(reads(DIR), BACK_SECONDS)
    assert "watchdog" in unit.run(f"journalctl --unit={UNIT}")


def test_unmounted_while_a_container_has_a_copy(unit: Machine) -> None:
    """The unit goes on, and says what for; a restart mounts."""
    unit.write(f"/etc/systemd/system/{UNIT}.service.d/soon.conf", "[Service]\nWatchdogSec=6\n")
    unit.run(f"systemctl daemon-reload && systemctl restart {UNIT}")
    unit.run("systemd-run --unit=container unshare --mount --propagation private sleep 1000")
    unit.wait_for("test $(cat /proc/$(systemctl show --value --property=MainPID container)/comm) = sleep")
    said = unit.run(f"twfs umount {DIR}")
    assert f"{DIR}: unmounted here" in said
    # Not systemd's own services, whose namespaces follow.
    assert said.count("(") == said.count("(sleep)") == 1
    unit.wait_for(f"systemctl show --value --property=StatusText {UNIT} | grep 'not mounted at'", 20)
    unit.run(f"systemctl restart {UNIT} && systemctl stop container")
    assert unit.succeeds(reads(DIR))


def test_reload_looks_for_new_media(unit: Machine) -> None:
    unit.run(f"systemctl reload {UNIT}")
    unit.wait_for(f"journalctl --boot --unit={UNIT} | grep 'looking for new media'", BACK_SECONDS)
    assert unit.succeeds(reads(DIR))


def test_stop_leaves_no_mount(unit: Machine) -> None:
    """Even if somebody is in it."""
    unit.run(f"systemd-run --unit=visitor --working-directory={DIR}/recordings sleep 1000")
    unit.run(f"systemctl stop {UNIT}")
    unit.run("systemctl stop visitor")
    assert not is_mounted(unit)
    assert show(unit, "Result") == "success"
    assert show(unit, "MainPID") == "0"


def test_configuration_that_cannot_be_used_is_not_tried_again(machine: Machine) -> None:
    assert not machine.succeeds("systemctl start twfs@nobody")
    assert machine.run("systemctl show --value --property=ActiveState,NRestarts twfs@nobody").split() == ["0", "failed"]
    assert "no profile 'nobody'" in machine.run("journalctl --unit=twfs@nobody")
    machine.run("systemctl reset-failed twfs@nobody")


def test_fstab_line_mounts_at_first_access_and_after_a_reboot(automounted: Machine) -> None:
    assert not is_mounted(automounted)
    automounted.run(reads("/srv/recordings"))
    assert is_mounted(automounted, "/srv/recordings")
    automounted.reboot()
    assert not is_mounted(automounted)
    automounted.wait_for("systemctl is-active simulator")
    automounted.run(reads("/srv/recordings"))
    assert is_mounted(automounted, "/srv/recordings")


def test_boot_with_the_api_down(automounted: Machine) -> None:
    """It does not hang; what cannot be mounted is an error, and the unit is there as soon as the API is."""
    automounted.run(f"systemctl enable {UNIT} && systemctl disable simulator && {CACHES}")
    assert automounted.reboot() < BOOT_SECONDS
    assert automounted.succeeds("systemctl is-active multi-user.target")
    assert not automounted.succeeds("ls /srv/recordings")
    assert not is_mounted(automounted)
    automounted.run("systemctl enable --now simulator")
    automounted.wait_for(reads(DIR), BACK_SECONDS)
    automounted.run(f"systemctl disable --now {UNIT}")


def test_known_media_are_listed_at_boot_without_the_api(unit: Machine) -> None:
    unit.run(reads(DIR))
    unit.run(f"systemctl enable {UNIT} && systemctl disable simulator")
    unit.reboot()
    unit.wait_for(f"systemctl is-active {UNIT}", BACK_SECONDS)
    assert ENCRYPTED in unit.run(f"ls {DIR}/recordings")
    unit.run(f"systemctl disable {UNIT} && systemctl enable --now simulator")


def test_upgrade_while_mounted(unit: Machine) -> None:
    before = show(unit, "MainPID")
    unit.run("dpkg --install /root/twfs.deb")
    unit.wait_for(reads(DIR), BACK_SECONDS)
    assert show(unit, "MainPID") != before
    assert "demo" in unit.run("cat /etc/twfs/config.toml")


def test_installed_by_pip_instead_of_the_package(unit: Machine) -> None:
    """The same by `twfs install` of another virtual environment; and purging the package leaves what it must.

    The last test: the package is gone afterwards.
    """
    unit.run("cp -a /usr/lib/twfs /opt/twfs && cp -a /etc/twfs /root/kept")
    unit.run("dpkg --purge twfs")
    assert not is_mounted(unit)
    assert leftovers(unit) == [
        "/etc/twfs",
        "/etc/twfs/keys",
        "/etc/twfs/keys/private_key.pem",
        "/etc/twfs/keys/public_key.pem",
    ]
    assert unit.run("dpkg --verify plocate") == ""
    unit.run("rm -r /etc/twfs; echo 'PRUNEFS=\"NFS\"' >/etc/updatedb.conf")

    unit.run("mkdir -p /srv/recordings")
    folders = unit.run("find /etc /usr /srv -xdev -type d")
    unit.run("/opt/twfs/bin/python3 -m twfs install")
    assert unit.run("cat /etc/updatedb.conf") == 'PRUNEFS="NFS fuse.twfs"'
    assert unit.run("systemd-analyze verify --man=no twfs@.service") == ""
    unit.run("cp /root/kept/config.toml /root/kept/credentials /etc/twfs && cp /root/kept/keys/* /etc/twfs/keys")
    unit.run(f"systemctl enable --now {UNIT}")
    unit.run(reads(DIR))
    unit.run("mount -t twfs twilio:demo /srv/recordings -o credentials=/etc/twfs/credentials")
    unit.run("umount /srv/recordings")

    unit.run("rm /etc/twfs/keys/* /etc/twfs/config.toml /etc/twfs/credentials")
    unit.run("/opt/twfs/bin/python3 -m twfs install --uninstall")
    assert not is_mounted(unit)
    assert leftovers(unit) == []
    assert unit.run("find /etc /usr /srv -xdev -type d") == folders
    assert unit.run("cat /etc/updatedb.conf") == 'PRUNEFS="NFS"'


def leftovers(machine: Machine) -> list[str]:
    """What still has the name of twfs in places that an installation fills."""
    found = machine.run("find /etc /usr /sbin/ /lib/ /var /srv /run/systemd -xdev -path '*twfs*'").splitlines()
    return sorted(found)
