import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, Account, twfs
from twfs.cli.main import main
from twfs.crypto.keypair import generate_key_pair
from twfs.invocation import twfs_command
from twfs.resources import Kind
from twfs.simulator.account import PublicKey as HeldKey
from twfs.simulator.account import SimulatedAccount, new_sid
from twfs.simulator.faults import Fault

KEPT = {
    "friendly_name": "ours",
    "aws_storage_enabled": True,
    "aws_s3_url": "https://bucket/recordings",
    "aws_credentials_sid": new_sid("CR"),
}
ENCRYPTED = ("encryption_enabled", "encryption_key_sid")


def words_of(account: Account, action: str, *words: str | Path) -> list[str]:
    return ["encryption", action, account.source, *map(str, words), *account.flags]


def run(account: Account, action: str, *words: str | Path) -> int:
    return main(words_of(account, action, *words))


def simulated(account: Account) -> SimulatedAccount:
    return account.simulated.simulator.account


def methods(account: Account) -> list[str]:
    return [request.method for request in account.simulated.simulator.requests]


def held(account: Account, kind: Kind, names: Iterable[str] = ENCRYPTED) -> dict[str, object]:
    settings = simulated(account).settings(kind)
    return {name: settings.get(name) for name in names}


@pytest.fixture
def key(account: Account) -> str:
    """A public key that Twilio has."""
    owner = simulated(account)
    stored = HeldKey(new_sid("CR"), "keys of 2026", "", owner.now(), owner.now())
    owner.put_public_key(stored)
    return stored.sid


@pytest.fixture
def own_pem(account: Account, tmp_path: Path) -> Path:
    """The public half of the account's private key, as openssl writes it."""
    path = tmp_path / "public_key.pem"
    private = account.simulated.folder / "private_key.pem"
    subprocess.run(["openssl", "rsa", "-pubout", "-in", private, "-out", path], check=True, capture_output=True)
    return path


def test_enable_proves_shows_sets_and_reads_back(
    account: Account, key: str, own_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in Kind:
        simulated(account).store_settings(kind, KEPT)
    assert run(account, "enable", "--key", key, "--pem", own_pem, "--compositions", "--recordings", "--yes") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{account.simulated.folder}/private_key.pem answers to {own_pem}",
        f"{key} is keys of 2026",
        f"recordings: encryption off -> encryption on for {key}",
        f"compositions: encryption off -> encryption on for {key}",
        "recordings: set, and read back",
        "compositions: set, and read back",
    ]
    (warning,) = shown.err.splitlines()
    assert "encrypted recordings cannot be composed" in warning
    for kind in Kind:
        assert held(account, kind) == {"encryption_enabled": True, "encryption_key_sid": key}
        assert held(account, kind, KEPT) == KEPT
    assert methods(account) == ["GET", "GET", "GET", "POST", "GET", "POST", "GET"]


def test_only_the_named_kind_is_touched(account: Account, key: str, own_pem: Path) -> None:
    assert run(account, "enable", "--key", key, "--pem", own_pem, "--compositions") == 0
    assert held(account, Kind.COMPOSITION)["encryption_enabled"] is True
    assert simulated(account).settings(Kind.RECORDING) == {}


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_a_kind_must_be_named(account: Account, key: str, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(account, action, *(["--key", key] if action == "enable" else [])) == 2
    assert "--recordings, --compositions or both" in capsys.readouterr().err
    assert methods(account) == []


def test_a_public_key_without_its_private_half_at_hand_is_refused(
    account: Account, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = generate_key_pair()
    (tmp_path / "p.pem").write_bytes(pair.public)
    words = ("--key", key, "--pem", tmp_path / "p.pem", "--compositions")
    assert run(account, "enable", *words) == 2
    assert f"the private key at hand does not answer to {tmp_path}/p.pem" in capsys.readouterr().err
    assert methods(account) == []
    (tmp_path / "k.pem").write_bytes(pair.private)
    (tmp_path / "k.pem").chmod(0o600)
    assert run(account, "enable", *words, "--private-key", tmp_path / "k.pem") == 0
    assert held(account, Kind.COMPOSITION)["encryption_key_sid"] == key


def test_a_private_key_as_pem_is_refused(account: Account, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    private = account.simulated.folder / "private_key.pem"
    assert run(account, "enable", "--key", key, "--pem", private, "--compositions") == 2
    assert "holds a private key" in capsys.readouterr().err
    assert methods(account) == []


def test_without_pem_it_says_that_nothing_is_proven(
    account: Account, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(account, "enable", "--key", key, "--compositions") == 0
    assert "it is not proven that you have the private key" in capsys.readouterr().err


def test_without_yes_and_a_terminal_recordings_are_not_encrypted(account: Account, key: str) -> None:
    done = twfs(*words_of(account, "enable", "--key", key, "--recordings", "--compositions"))
    assert done.code == 2
    assert "encrypted recordings cannot be composed" in done.err
    assert "say --yes" in done.err
    assert "POST" not in methods(account)


@pytest.mark.parametrize(("text", "code"), [("y\n", 0), ("\n", 1)])
def test_at_a_terminal_it_asks(account: Account, key: str, text: str, code: int) -> None:
    own, terminal = pty.openpty()
    try:
        os.write(own, text.encode())
        command = [sys.executable, "-m", "twfs", *words_of(account, "enable", "--key", key, "--recordings")]
        done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, timeout=SECONDS, check=False)
    finally:
        os.close(terminal)
        os.close(own)
    assert done.returncode == code
    assert "Encrypt new recordings? [y/N] " in done.stderr
    assert held(account, Kind.RECORDING)["encryption_enabled"] is (True if code == 0 else None)


def test_a_new_key_for_recordings_that_are_encrypted_already_is_not_asked_about(account: Account, key: str) -> None:
    old = {**KEPT, "encryption_enabled": True, "encryption_key_sid": new_sid("CR")}
    simulated(account).store_settings(Kind.RECORDING, old)
    done = twfs(*words_of(account, "enable", "--key", key, "--recordings"))
    assert done.code == 0
    assert f"encryption on for {old['encryption_key_sid']} -> encryption on for {key}" in done.out
    assert held(account, Kind.RECORDING) == {"encryption_enabled": True, "encryption_key_sid": key}


def test_what_is_so_already_is_not_set_again(account: Account, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {**KEPT, "encryption_enabled": True, "encryption_key_sid": key}
    simulated(account).store_settings(Kind.RECORDING, before)
    assert run(account, "enable", "--key", key, "--recordings") == 0
    assert run(account, "disable", "--compositions") == 0
    assert capsys.readouterr().out.count("as it is to be") == 2
    assert "POST" not in methods(account)


def test_disable_keeps_the_rest(account: Account, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {**KEPT, "encryption_enabled": True, "encryption_key_sid": key}
    for kind in Kind:
        simulated(account).store_settings(kind, before)
    assert run(account, "disable", "--recordings") == 0
    assert f"recordings: encryption on for {key} -> encryption off" in capsys.readouterr().out
    assert held(account, Kind.RECORDING, [*KEPT, "encryption_enabled"]) == {**KEPT, "encryption_enabled": False}
    assert dict(simulated(account).settings(Kind.COMPOSITION)) == before


def test_a_key_that_twilio_does_not_have_changes_nothing(
    account: Account, own_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = new_sid("CR")
    assert run(account, "enable", "--key", missing, "--pem", own_pem, "--compositions") == 1
    assert missing in capsys.readouterr().err
    assert methods(account) == ["GET"]


@pytest.mark.parametrize("action", ["show", "enable", "disable"])
def test_a_key_of_another_account_than_source_names_changes_nothing(
    account: Account, key: str, tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, meant = simulated(account), new_sid("AC")
    credentials = tmp_path / "credentials"
    credentials.touch(0o600)
    credentials.write_text(f"api_key={mine.api_key}\napi_secret={mine.api_secret}\n")
    url = account.simulated.simulator.url
    words = ["--source", f"twilio:{meant}", "--api-url", url, "--accounts-url", url, "--credentials", str(credentials)]
    of_enable = ["--key", key, "--yes"] if action == "enable" else []
    assert main(["encryption", action, "--recordings", *of_enable, *words]) == 2
    assert f"the credentials are for the account {mine.account_sid}, not {meant}; " in capsys.readouterr().err
    assert "POST" not in methods(account)


def test_trouble_between_the_two_kinds_says_what_was_done(
    account: Account, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault("api.settings", status=503, match=lambda r: r.method == "POST" and "Composition" in r.path)
    account.simulated.simulator.inject(fault)
    assert run(account, "enable", "--key", key, "--recordings", "--compositions", "--yes") == 1
    shown = capsys.readouterr()
    assert shown.out.endswith("recordings: set, and read back\n")
    show = twfs_command("encryption", "show", account.source, *account.flags, "--compositions")
    assert shown.err.endswith(f"may have been carried out, or not; see {show}\n")
    assert held(account, Kind.RECORDING)["encryption_enabled"] is True
    assert simulated(account).settings(Kind.COMPOSITION) == {}


def test_show(account: Account, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(account).store_settings(Kind.RECORDING, {**KEPT, "encryption_enabled": True, "encryption_key_sid": key})
    assert run(account, "show") == 0
    assert capsys.readouterr().out.splitlines() == [
        "recordings",
        "  encryption  on",
        f"  public key  {key}",
        f"  storage     https://bucket/recordings by {KEPT['aws_credentials_sid']}",
        "  name        ours",
        "compositions",
        "  encryption  off",
        "  public key  none",
        "  storage     Twilio's",
        "  name        none",
    ]
    assert methods(account) == ["GET", "GET"]
    assert run(account, "show", "--json", "--recordings") == 0
    (kind, shown) = next(iter(json.loads(capsys.readouterr().out).items()))
    assert kind == "recordings"
    assert shown == {**KEPT, "encryption_enabled": True, "encryption_key_sid": key}


def test_the_readme_s_walk(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """keygen, public-key create, encryption enable: each with what the one before gave."""
    folder = tmp_path / "keys"
    public = folder / "public_key.pem"
    assert main(["keygen", str(folder)]) == 0
    capsys.readouterr()
    create = ["public-key", "create", str(public), "--name", "keys of 2026"]
    assert main([*create, "--source", account.source, *account.flags]) == 0
    sid = capsys.readouterr().out.strip()
    words = ("--key", sid, "--pem", public, "--private-key", folder, "--recordings", "--compositions", "--yes")
    assert run(account, "enable", *words) == 0
    for kind in Kind:
        assert held(account, kind) == {"encryption_enabled": True, "encryption_key_sid": sid}
    assert simulated(account).find_public_key(sid).pem == public.read_text()  # type: ignore[union-attr]
