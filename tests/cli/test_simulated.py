import stat
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twfs.cli.simulated import PROFILE, simulated_account
from twfs.config.load import load_config
from twfs.errors import ConfigError
from twfs.resources import Kind
from twfs.simulator.samples import sample_bytes


def test_the_files_configure_a_client(home: Path) -> None:
    with simulated_account() as simulated:
        config = load_config(f"twilio:{PROFILE}", {"config": str(simulated.config_file)}, {"HOME": str(home)})
        account = simulated.simulator.account
        assert config.account_sid == account.account_sid
        assert (config.credentials.user, config.credentials.secret.reveal()) == (account.api_key, account.api_secret)
        assert config.api_url == simulated.simulator.url
        assert "localhost" in config.media_hosts
        assert len(config.keyring) == 1


def test_files_are_for_their_owner_alone_and_gone_at_the_end() -> None:
    with simulated_account() as simulated:
        folder = simulated.folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert not folder.exists()


def test_nothing_is_left_when_it_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ConfigError), simulated_account(media=tmp_path / "nowhere"):
        pass
    with simulated_account() as simulated:
        port = int(simulated.simulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match=f"{port}"), simulated_account(port=port):
            pass
    assert list(tmp_path.iterdir()) == []


def test_own_media_and_public_key(tmp_path: Path) -> None:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    public_key = tmp_path / "public_key.pem"
    public_key.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.mka").write_bytes(sample_bytes("voice-opus.mka"))
    with simulated_account(media=media, public_key_file=public_key) as simulated:
        assert not (simulated.folder / "private_key.pem").exists()
        (medium,) = simulated.simulator.account.media(Kind.RECORDING)
        assert simulated.simulator.account.plain(medium.sid) == sample_bytes("voice-opus.mka")


def test_file_that_is_no_public_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("no key")
    with (
        pytest.raises(ConfigError, match="public key cannot be used"),
        simulated_account(public_key_file=tmp_path / "k.pem"),
    ):
        pass
