import shutil
import subprocess
from pathlib import Path

import pytest

from tests.simulator.test_samples import CODECS, probe
from twfs.simulator.make_media import make
from twfs.simulator.samples import sample_names


def has_flite() -> bool:
    if shutil.which("ffmpeg") is None:
        return False
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, check=True)
    return b" flite " in filters.stdout


@pytest.mark.skipif(not has_flite(), reason="no ffmpeg with the filter flite is installed")
def test_the_samples_can_be_made_again(tmp_path: Path) -> None:
    make(tmp_path / "media")
    assert sorted(path.name for path in (tmp_path / "media").iterdir()) == sorted(sample_names())
    for name, (_, codecs) in CODECS.items():
        streams = probe(tmp_path / "media" / name, "-show_streams")["streams"]
        assert sorted(stream["codec_name"] for stream in streams) == codecs
