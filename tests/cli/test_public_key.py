import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.cli.running import Account, twfs
from tests.crypto.keys import pem, rsa_key
from twfs.cli.main import main
from twfs.crypto.keypair import generate_key_pair
from twfs.invocation import twfs_command
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount, new_sid
from twfs.simulator.faults import Fault

PAIR = generate_key_pair()
HOSTILE = "keys\x1b[2J\u202e of 2026"


@pytest.fixture
def public_pem(tmp_path: Path) -> Path:
    path = tmp_path / "public_key.pem"
    path.write_bytes(PAIR.public)
    return path


def run(account: Account, action: str, *words: str | Path) -> int:
    return main(["public-key", action, account.source, *map(str, words), *account.flags])


def simulated(account: Account) -> SimulatedAccount:
    return account.simulated.simulator.account


def create(account: Account, path: Path, capsys: pytest.CaptureFixture[str], name: str = "mine") -> str:
    assert run(account, "create", path, "--name", name) == 0
    return capsys.readouterr().out.strip()


def api_calls(account: Account) -> list[tuple[str, int]]:
    return [(request.method, request.status) for request in account.simulated.simulator.requests]


def test_create_prints_the_sid_alone_and_stores_the_key(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(account, "create", public_pem, "--name", "keys of 2026") == 0
    (held,) = simulated(account).public_keys()
    assert capsys.readouterr() == (f"{held.sid}\n", "")
    assert (held.pem.encode(), held.friendly_name) == (PAIR.public, "keys of 2026")
    assert api_calls(account) == [("POST", 201)]


def test_a_key_in_another_form_is_stored_in_twilio_s(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public_pem.write_bytes(rsa_key(0, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    create(account, public_pem, capsys)
    (held,) = simulated(account).public_keys()
    assert held.pem.startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (PAIR.private, "holds a private key"),
        (pem(rsa_key(), passphrase=b"word"), "holds a private key"),
        (PAIR.public + PAIR.private, "holds a private key"),
        (b"no key", "no PEM public key"),
        (PAIR.public[:100], "no PEM public key"),
    ],
    ids=["private", "encrypted", "both", "none", "cut off"],
)
def test_what_is_no_public_key_is_refused_before_anything_is_sent(
    account: Account, public_pem: Path, content: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    public_pem.write_bytes(content)
    assert run(account, "create", public_pem, "--name", "mine") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert complaint in shown.err
    assert not any(line in shown.err for line in content.decode().splitlines()[1:-1])
    assert account.simulated.simulator.count("api") == 0


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_twilio_would_refuse_is_not_sent(account: Account, public_pem: Path, name: str) -> None:
    assert run(account, "create", public_pem, "--name", name) == 2
    assert account.simulated.simulator.count("api") == 0


def test_a_lost_answer_makes_no_second_key_and_says_where_to_look(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.simulated.simulator.inject(Fault("api.keys", reset_after=0))
    assert run(account, "create", public_pem, "--name", "mine") == 1
    (line,) = capsys.readouterr().err.splitlines()
    listing = twfs_command("public-key", "list", account.source, *account.flags)
    assert line.endswith(f"it may have been carried out, or not; see {listing}")
    assert len(simulated(account).public_keys()) == 1


def test_missing_files_and_refused_credentials_are_one_line(
    account: Account, public_pem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(account, "create", tmp_path / "nowhere", "--name", "mine") == 2
    assert run(account, "create", tmp_path, "--name", "mine") == 2
    assert account.simulated.simulator.count("api") == 0
    account.simulated.simulator.inject(Fault("api.keys", status=401))
    assert run(account, "create", public_pem, "--name", "mine") == 1
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_list(account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sids = [create(account, public_pem, capsys, name) for name in ("first", HOSTILE)]
    assert run(account, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SID", "CREATED", "NAME"]
    assert [line.split()[0] for line in lines[1:]] == sids[::-1]
    assert lines[2].endswith("Z  first")
    assert all(line.isprintable() for line in lines)
    assert run(account, "list", "--json") == 0
    assert [key["friendly_name"] for key in json.loads(capsys.readouterr().out)] == [HOSTILE, "first"]


def test_an_empty_list_is_a_heading(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(account, "list") == 0
    assert capsys.readouterr().out == "SID  CREATED  NAME\n"


def test_delete(account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = (create(account, public_pem, capsys) for _ in range(3))
    assert run(account, "delete", first, third, first, "--yes") == 0
    assert capsys.readouterr().out == f"{first}: deleted\n{third}: deleted\n"
    assert [key.sid for key in simulated(account).public_keys()] == [second]


def test_without_yes_and_a_terminal_nothing_is_deleted(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sid = create(account, public_pem, capsys, HOSTILE)
    run_alone = twfs("public-key", "delete", sid, "--source", account.source, *account.flags)
    assert run_alone.code == 2
    assert f"Delete {sid} (keys\\x1b[2J\\u202e of 2026)?" in run_alone.complaint
    assert "say --yes" in run_alone.complaint
    assert len(simulated(account).public_keys()) == 1


def test_when_one_of_several_is_not_there_none_is_deleted(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sid = create(account, public_pem, capsys)
    missing = new_sid("CR")
    assert run(account, "delete", sid, missing, "--yes") == 1
    assert missing in capsys.readouterr().err
    assert len(simulated(account).public_keys()) == 1


@pytest.mark.parametrize("kind", Kind)
def test_a_key_that_new_media_are_encrypted_for_is_not_deleted(
    account: Account, public_pem: Path, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    used, unused = (create(account, public_pem, capsys) for _ in range(2))
    simulated(account).store_settings(kind, {"encryption_enabled": True, "encryption_key_sid": used})
    assert run(account, "delete", unused, used, "--yes") == 2
    disable = twfs_command("encryption", "disable", account.source, *account.flags, f"--{kind}")
    assert f"or run: {disable}\n" in capsys.readouterr().err
    assert len(simulated(account).public_keys()) == 2
    simulated(account).store_settings(kind, {"encryption_enabled": False, "encryption_key_sid": used})
    assert run(account, "delete", unused, used, "--yes") == 0
    assert simulated(account).public_keys() == []


def test_nothing_is_deleted_on_the_word_of_who_does_not_know_the_settings(
    account: Account, public_pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = create(account, public_pem, capsys)
    simulated(account).store_settings(Kind.RECORDING, {"encryption_enabled": True, "encryption_key_sid": used})
    account.simulated.simulator.inject(Fault("api.settings", body='{"status": "maintenance"}'))
    assert run(account, "delete", used, "--yes") == 1
    assert "Twilio's answer is no settings" in capsys.readouterr().err
    assert len(simulated(account).public_keys()) == 1


def test_what_is_no_sid_is_a_usage_error(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(account, "delete", "CR1", "--yes") == 2
    assert "'CR1' is no SID of a public key" in capsys.readouterr().err
    assert account.simulated.simulator.count("api") == 0
