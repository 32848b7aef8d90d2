"""A browser plays and seeks media of the mount, which come by way of nginx as the README sets it up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.players.browser import Browser, needs_chromium
from tests.players.cinema import VOICE, Cinema
from tests.players.film import BAR_HEIGHT, BARS, FRAMES, FRAMES_PER_SECOND, WIDTH, moment_of
from tests.players.servers import is_installed, nginx

pytestmark = pytest.mark.skipif(not is_installed("nginx"), reason="needs nginx: Debian package nginx-light")

FAR = FRAMES * 3 // 4
"""The frame to seek to."""

_NUMBER_SHOWN = f"""
    const canvas = document.createElement('canvas');
    const numberShown = video => {{
        [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
        const paper = canvas.getContext('2d', {{willReadFrequently: true}});
        paper.drawImage(video, 0, 0);
        let number = 0;
        for (let bar = 0; bar < {BARS}; bar++) {{
            const [red] = paper.getImageData((bar + 0.5) * {WIDTH // BARS}, {BAR_HEIGHT // 2}, 1, 1).data;
            number = number * 2 + (red >= 128);
        }}
        return number;
    }};
"""

_SEEK = (
    _NUMBER_SHOWN
    + """
    const [url, seconds] = args;
    const video = document.createElement('video');
    const next = name => new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, {once: true});
        video.addEventListener('error', () => reject(name + ': ' + video.error.message), {once: true});
    });
    Object.assign(video, {muted: true, preload: 'metadata', src: url});
    document.body.replaceChildren(video);
    await next('loadeddata');
    const first = numberShown(video);
    video.currentTime = seconds;
    await next('seeked');
    return {first, number: numberShown(video), readyState: video.readyState, duration: video.duration,
            width: video.videoWidth, currentTime: video.currentTime};
"""
)

_PLAY = (
    _NUMBER_SHOWN
    + """
    const video = document.querySelector('video');
    const frames = [];
    const enough = new Promise(resolve => {
        const take = (now, frame) => {
            frames.push([numberShown(video), frame.mediaTime]);
            frames.length < args[0] ? video.requestVideoFrameCallback(take) : resolve();
        };
        video.requestVideoFrameCallback(take);
    });
    await video.play();
    await enough;
    video.pause();
    return frames;
"""
)

_HEAR = """
    const audio = new Audio(args[0]);
    const context = new AudioContext();
    const meter = new AnalyserNode(context);
    context.createMediaElementSource(audio).connect(meter);
    await new Promise((resolve, reject) => {
        audio.oncanplay = resolve;
        audio.onerror = () => reject(audio.error.message);
    });
    audio.currentTime = 3;
    await audio.play();
    await new Promise(resolve => { audio.ontimeupdate = () => audio.currentTime > 4 && resolve(); });
    const samples = new Float32Array(meter.fftSize);
    let loudest = 0;
    for (let times = 0; times < 50; times++) {
        meter.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
        await new Promise(resolve => setTimeout(resolve, 20));
    }
    audio.pause();
    return {duration: audio.duration, loudest};
"""


@pytest.fixture
def site(cinema: Cinema, tmp_path: Path) -> Iterator[str]:
    """nginx's URL, behind a line of 50 Mbit/s: loopback would fill every buffer before the browser seeks."""
    with nginx(tmp_path / "nginx", cinema.mount.path, line="6m") as url:
        yield url


@needs_chromium
@pytest.mark.parametrize("name", ["mp4", "webm", "mkv"])
def test_a_far_seek_shows_that_frame_and_fetches_a_part(cinema: Cinema, site: str, browser: Browser, name: str) -> None:
    browser.visit(f"{site}/{Path(cinema.name(name)).parent}/")
    seen = browser.run(_SEEK, f"{site}/{cinema.name(name)}", moment_of(FAR))
    assert seen["first"] == 0
    assert seen["number"] == FAR
    assert seen["readyState"] >= 2  # HAVE_CURRENT_DATA
    assert seen["duration"] == pytest.approx(FRAMES / FRAMES_PER_SECOND, abs=1)
    played = browser.run(_PLAY, 6)
    assert [number for number, _ in played] == [int(time * FRAMES_PER_SECOND + 0.01) for _, time in played]
    assert played[-1][0] > FAR + 2
    assert cinema.fetched() < cinema.films[name].size / 2
    assert cinema.untouched(name, 0.35, 0.7)
    assert "Traceback" not in cinema.mount.log


@needs_chromium
def test_a_voice_is_heard(cinema: Cinema, site: str, browser: Browser) -> None:
    browser.visit(f"{site}/recordings/")
    heard = browser.run(_HEAR, f"{site}/{cinema.name(VOICE)}")
    assert heard["duration"] == pytest.approx(12, abs=1.5)
    assert heard["loudest"] > 0.01
