"""Paths are bytes, whatever the locale."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, clean, customer, needs_fuse, run_twfs
from twfs.mount.system import is_mounted
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

NAMES = ["münt é", os.fsdecode(b"bad\xffx"), "a\nb", "back\\slash", "com,ma", "sp ace #", "日本"]
LATIN = "de_DE.ISO-8859-1"
DEFINITIONS = Path("/usr/share/i18n/locales/de_DE")


@pytest.fixture(scope="module", params=["C", "C without UTF-8 mode", LATIN])
def locale(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables of a locale that is not UTF-8."""
    if request.param != LATIN:
        return {"LC_ALL": "C"} | ({"PYTHONUTF8": "0"} if "without" in request.param else {})
    if shutil.which("localedef") is None or not DEFINITIONS.exists():
        pytest.skip("needs localedef and the Debian package locales")
    folder = tmp_path_factory.mktemp("locales")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / LATIN], check=True, capture_output=True)
    return {"LC_ALL": LATIN, "LOCPATH": str(folder)}


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey) -> Iterator[Customer]:
    account = SimulatedAccount()
    account.add_recording(StoredObject(b"plain"), track_name="é 日本")
    with customer(tmp_path, account, private_key) as place:
        yield place


@needs_fuse
@pytest.mark.parametrize("name", NAMES)
def test_it_is_mounted_shown_and_unmounted_at_whatever_path(
    place: Customer, locale: Mapping[str, str], name: str
) -> None:
    mountpoint = place.folder / name
    mountpoint.mkdir()
    state = str(place.folder / "stäte") if "," not in name else place.options["state_dir"]
    done = run_twfs("mount", place.source, str(mountpoint), "-o", place.option_text(state_dir=state), environ=locale)
    assert (done.returncode, done.stderr) == (0, "")
    try:
        status = json.loads((mountpoint / ".twfs/status").read_bytes())
        assert os.fsencode(status["mountpoint"]) == os.fsencode(mountpoint)
        (link,) = (mountpoint / "by-date").rglob("*RT*")
        assert link.read_bytes() == b"plain"
        doctor = run_twfs("doctor", "--json", environ=locale)
        assert any(name in finding["text"] for finding in json.loads(doctor.stdout)["findings"])
    finally:
        done = run_twfs("umount", str(mountpoint), environ=locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert not is_mounted(mountpoint)
    assert Path(state).is_dir()


def test_configuration_and_what_is_fetched_are_found_too(place: Customer, locale: Mapping[str, str]) -> None:
    home = place.folder / "höme"
    (home / ".config/twfs").mkdir(parents=True)
    credentials = home / "schlüssel"
    shutil.copy(place.options["credentials"], credentials)
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in place.options.items()]
    lines[[line.split()[0] for line in lines].index("credentials")] = f'credentials = "{credentials}"'
    profile = home / ".config/twfs/config.toml"
    profile.write_text("\n".join(["[profiles.default]", *lines]), encoding="utf-8")
    command = [sys.executable, "-m", "twfs", "get", "--all", "-o", f"{home}/äus/"]
    environ = {**clean(), **locale, "HOME": str(home)}
    done = subprocess.run(command, capture_output=True, env=environ, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    (file,) = (home / "äus").iterdir()
    assert file.read_bytes() == b"plain"


def test_what_is_shown_is_in_the_encoding_of_the_terminal(place: Customer, locale: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "twfs", "umount", str(place.folder / "münt")]
    done = subprocess.run(command, capture_output=True, env={**clean(), **locale}, check=False)
    assert done.returncode == 32
    assert "münt".encode("latin-1" if locale["LC_ALL"] == LATIN else "utf-8") in done.stderr
