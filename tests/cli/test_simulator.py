import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, python
from twfs.invocation import pip_remedy


@pytest.mark.usefixtures("home")
def test_it_serves_until_told_to_end_and_takes_its_files_away() -> None:
    command = subprocess.Popen([sys.executable, "-m", "twfs", "simulator"], stdout=subprocess.PIPE, text=True)
    try:
        assert command.stdout is not None
        said = dict(command.stdout.readline().split() for _ in range(4))
        # Scripts find the configuration in the fourth line.
        *_, last = (command.stdout.readline() for _ in range(3))
        credentials = dict(line.split("=", 1) for line in Path(said["credentials"]).read_text().splitlines())
        assert credentials["account_sid"] == said["account_sid"]
        basic = b64encode(f"{credentials['api_key']}:{credentials['api_secret']}".encode()).decode()
        request = urllib.request.Request(
            f"{said['api_url']}/v1/Recordings", headers={"Authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            assert json.load(answer)["recordings"]
        bucket = re.search(r"http://127\.0\.0\.2:[0-9]+", last)
        assert bucket
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(bucket[0], timeout=SECONDS)
    finally:
        command.send_signal(signal.SIGTERM)
        command.communicate(timeout=SECONDS)
    assert command.returncode == 0
    assert not Path(said["config"]).parent.exists()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["demo", "simulator"])
def test_without_aiohttp_it_says_what_to_install(tmp_path: Path, command: str) -> None:
    program = (
        f"import sys; sys.modules['aiohttp'] = None; from twfs.cli.main import main; sys.exit(main(['{command}']))"
    )
    run = python("-c", program, cwd=tmp_path)
    assert run.code == 2
    assert run.complaint.endswith(pip_remedy("aiohttp"))
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]
