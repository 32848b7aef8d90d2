"""One booted Debian for all tests of this folder, with the package installed and a simulated account inside.

Each test leaves the machine as it found it: booted, twfs installed, nothing mounted.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.demo import UNIT, is_mounted
from tests.system.machine import Machine, debian, obstacle

SWITCH = "TWFS_SYSTEM_TESTS"
_ROOT = Path(__file__).parents[2]
_BUILD_SECONDS = 300
_MINUTES = 8

_SIMULATE = """\
#!/bin/sh
# A simulated account; its credentials are others at each start.
rm -rf /tmp/twfs-*
(
    until [ -s /tmp/twfs-*/config.toml ]; do sleep 0.1; done
    install -m 600 /tmp/twfs-*/credentials /etc/twfs/credentials
    systemd-notify --ready
) &
exec twfs simulator --port 8080 --public-key /etc/twfs/keys/public_key.pem
"""
_SERVICE = """\
[Service]
Type=notify
NotifyAccess=all
TimeoutStopSec=5
ExecStart=/usr/local/bin/simulate
[Install]
WantedBy=multi-user.target
"""
_CONFIG = """\
[profiles.demo]
api_url = "http://127.0.0.1:8080"
accounts_url = "http://127.0.0.1:8080"
timeout = 5
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip with the reason, unless these tests are asked for."""
    why = obstacle() if os.environ.get(SWITCH) == "1" else f"boots a system, takes minutes; asked for by {SWITCH}=1"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_MINUTES * 60))
            if why is not None:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb, as the README's command builds it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [_ROOT / ".ci/build-deb", folder], stdin=subprocess.DEVNULL, timeout=_BUILD_SECONDS, check=True, cwd="/"
    )
    (built,) = folder.glob("twfs_*.deb")
    return built


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine without twfs."""
    base = os.environ.get("TWFS_SYSTEM_BASE")
    with debian(tmp_path_factory.mktemp("machine"), Path(base) if base else None) as machine:
        machine.boot()
        yield machine


@pytest.fixture(scope="session")
def installed(bare: Machine, package: Path) -> Machine:
    """The machine with the package installed."""
    target = bare.root / "root/twfs.deb"
    target.write_bytes(package.read_bytes())
    bare.run("dpkg --install /root/twfs.deb")
    return bare


@pytest.fixture(scope="session")
def machine(installed: Machine) -> Machine:
    """The machine with the package, a private key and a simulated account, which is the profile `demo`."""
    installed.run("twfs keygen /etc/twfs/keys")
    installed.write("/usr/local/bin/simulate", _SIMULATE, 0o755)
    installed.write("/etc/systemd/system/simulator.service", _SERVICE)
    installed.write("/etc/twfs/config.toml", _CONFIG)
    installed.run("systemctl daemon-reload && systemctl enable --now simulator")
    return installed


@pytest.fixture
def unit(machine: Machine) -> Iterator[Machine]:
    """The machine with the unit started."""
    machine.run(f"systemctl start {UNIT} || (journalctl --unit={UNIT} --unit=simulator; exit 1)")
    yield machine
    machine.run(f"systemctl stop {UNIT}; systemctl revert {UNIT}; systemctl reset-failed {UNIT}", check=False)
    print(machine.run(f"journalctl --boot --unit={UNIT} --unit=simulator"))  # noqa: T201 - shown if the test failed
    assert not is_mounted(machine)
