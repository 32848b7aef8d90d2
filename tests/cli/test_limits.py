from pathlib import Path

import pytest

from tests.cli.running import Account
from tests.test_threads import KIBIBYTES, limited


@pytest.mark.parametrize("command", ["mount", "get", "verify", "export"])
def test_threads_that_cannot_be_started_are_told_with_what_limits_them(
    command: str, account: Account, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words: dict[str, list[str | Path]] = {
        "mount": ["mount", account.source, place],
        "get": ["get", account.source, "--all", "-o", f"{place}/"],
        "verify": ["verify", account.source, "--all"],
        "export": ["export", account.source, f"file://{place}"],
    }
    done = limited("-m", "twfs", *words[command], *account.flags, stack=8192 if command == "mount" else KIBIBYTES)
    complaint = done.stderr.splitlines()[-1]
    assert done.returncode == (32 if command == "mount" else 1)
    assert "can't start new thread: the address space is limited to 600000 KiB (ulimit -v)" in complaint
    assert not list(place.iterdir())
