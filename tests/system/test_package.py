"""What the package brings, and what it does to a file of others, updatedb.conf(5): once, and undone by a purge."""

from collections.abc import Iterator

import pytest

from tests.system.demo import DIR, ENCRYPTED, sid_of
from tests.system.machine import Machine

FILE = "/etc/updatedb.conf"
MARK = "/var/lib/twfs/prunefs"
PURGE = "/var/lib/dpkg/info/twfs.postrm purge"


@pytest.fixture
def before(installed: Machine) -> Iterator[Machine]:
    """As if twfs had just been installed."""
    kept = content(installed)
    installed.run(f"rm -f {MARK}")
    yield installed
    installed.write(FILE, kept)


def install(machine: Machine) -> None:
    machine.run("dpkg --install /root/twfs.deb")


def content(machine: Machine) -> str:
    return (machine.root / FILE.lstrip("/")).read_text()


def test_top_has_its_library(unit: Machine) -> None:
    assert f"twilio:demo at {DIR}" in unit.run(f"twfs top --once --interval 0.1 {DIR}")


def test_updatedb_passes_the_mount_over(unit: Machine) -> None:
    assert 'fuse.twfs"\n' in content(unit)
    unit.run("updatedb")
    assert unit.run("plocate --existing twfs/config.toml") == "/etc/twfs/config.toml"
    assert not unit.succeeds(f"plocate {sid_of(ENCRYPTED)}")
    # What it finds otherwise.
    unit.run("updatedb --prunefs 'proc sysfs' --output /root/locate.db")
    assert f"{DIR}/recordings/{ENCRYPTED}" in unit.run(f"plocate --database /root/locate.db {sid_of(ENCRYPTED)}")


def test_who_takes_it_away_again_is_heard(installed: Machine) -> None:
    with_twfs = content(installed)
    installed.run(f"sed -i 's/ fuse.twfs//' {FILE}")
    without = content(installed)
    install(installed)
    assert content(installed) == without != with_twfs
    installed.write(FILE, with_twfs)


def test_after_a_purge_it_is_as_plocate_has_brought_it(installed: Machine) -> None:
    assert FILE in installed.run("dpkg --verify plocate", check=False)
    installed.run(PURGE)
    assert installed.run("dpkg --verify plocate") == ""
    assert not installed.succeeds("test -e /var/lib/twfs")
    install(installed)
    assert FILE in installed.run("dpkg --verify plocate", check=False)


@pytest.mark.parametrize(
    "text",
    ['PRUNEFS="NFS fuse.twfs afs"\n', '\tPRUNEFS = "fuse.twfs"\n', 'PRUNEPATHS="/tmp"\n', "", '# PRUNEFS="NFS"\n'],
)
def test_what_needs_no_change_or_has_no_place_for_one_is_left_alone(before: Machine, text: str) -> None:
    before.write(FILE, text)
    install(before)
    assert content(before) == text
    assert not before.succeeds(f"test -e {MARK}")
    before.run(PURGE)
    assert content(before) == text


@pytest.mark.parametrize("setting", ['PRUNEFS="NFS afs"', 'PRUNEFS=""', ' PRUNEFS = "NFS"'])
def test_a_purge_leaves_what_was_there(before: Machine, setting: str) -> None:
    text = f"# first\n{setting}\n# last\n"
    before.write(FILE, text)
    install(before)
    assert content(before) == text.replace('"\n', ' fuse.twfs"\n')
    before.run(PURGE)
    assert content(before) == text


def test_plocate_that_comes_after_twfs_gets_it_too(installed: Machine) -> None:
    installed.run(f"dpkg --purge plocate && rm -rf {MARK}")
    install(installed)
    assert not installed.succeeds(f"test -e {FILE} -o -e {MARK}")
    installed.run("dpkg --install /var/cache/apt/archives/plocate_*.deb")
    assert 'fuse.twfs"\n' in content(installed)
    assert "/var/lib/twfs/prunefs" in installed.run("find /var/lib/twfs")
