"""Commands and fsspec believe nothing that somebody else may have written."""

from pathlib import Path

import pytest

from tests.cli.running import Account, twfs
from twfs.fsspec import TwilioFileSystem

COMMANDS = {
    "ls": ["ls"],
    "get": ["get", "--all", "-o", "out/"],
    "verify": ["verify", "--all"],
    "export": ["export", "file://out"],
    "rm": ["rm", "RT" + "0" * 32, "--yes"],
    "mount": ["mount", "mnt"],
}


def run(account: Account, command: str, folder: Path) -> str:
    (folder / "mnt").mkdir()
    name, *rest = COMMANDS[command]
    done = twfs(name, account.source, *rest, *account.flags, cwd=folder)
    assert done.code != 0
    assert not (folder / "out").exists()
    return done.complaint


@pytest.mark.parametrize("command", COMMANDS)
def test_a_state_folder_that_others_may_write_to_is_refused(command: str, account: Account, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    state = account.simulated.folder / "state"
    state.mkdir(mode=0o700)
    state.chmod(0o777)
    complaint = run(account, command, folder)
    assert complaint == (
        f"twfs: state_dir: {state} can be changed by everybody; run: chmod go-w {state}; "
        "or give another folder with state_dir"
    )


@pytest.mark.parametrize("name", ["config.toml", "credentials", "private_key.pem"])
def test_so_are_configuration_credentials_and_keys(name: str, account: Account, tmp_path: Path) -> None:
    path = account.simulated.folder / name
    path.chmod(0o622)
    assert str(path) in (complaint := run(account, "ls", tmp_path))
    assert "run: chmod" in complaint


def test_and_whatever_is_in_a_folder_that_others_may_write_to(account: Account, tmp_path: Path) -> None:
    account.simulated.folder.chmod(0o777)
    complaint = run(account, "ls", tmp_path)
    assert f"{account.simulated.folder} can be changed by everybody" in complaint


def test_fsspec_refuses_it_as_well(account: Account) -> None:
    state = account.simulated.folder / "state"
    state.mkdir(mode=0o700)
    state.chmod(0o777)
    files = TwilioFileSystem(account="demo", config=str(account.simulated.config_file), skip_instance_cache=True)
    with pytest.raises(OSError, match="can be changed by everybody"):
        files.ls("")


def test_the_variable_of_systemd_is_no_exception(account: Account, tmp_path: Path) -> None:
    """CACHE_DIRECTORY is an ordinary variable to whoever sets it."""
    state = tmp_path / "cache"
    state.mkdir(mode=0o700)
    state.chmod(0o770)
    config = account.simulated.config_file
    config.write_text("".join(line for line in config.read_text().splitlines(True) if "state_dir" not in line))
    done = twfs("ls", account.source, *account.flags, environ={"CACHE_DIRECTORY": str(state)})
    assert f"state_dir: {state} can be changed by the group root" in done.complaint
