"""Headless Chromium, driven by W3C WebDriver (https://www.w3.org/TR/webdriver2/) through chromedriver."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

needs_chromium = pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None,
    reason="needs a browser: Debian packages chromium and chromium-driver",
)

_SCRIPT_SECONDS = 60
_PATIENCE = _SCRIPT_SECONDS + 30
_FLAGS = (
    "--headless",
    "--no-sandbox",  # root has no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)


class Browser:
    """One window."""

    def __init__(self, session_url: str) -> None:
        """The WebDriver session at that URL."""
        self._url = session_url

    def visit(self, url: str) -> None:
        """Load a page."""
        call("POST", f"{self._url}/url", url=url)

    def run(self, body: str, *arguments: object) -> Any:
        """What an asynchronous JavaScript function returns; its arguments are in `args`.

        Raises:
            AssertionError: it threw, or took too long.
        """
        script = (
            "const [args, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];"
            f"(async () => {{ {body} }})().then(value => done({{value}}), error => done({{error: String(error)}}));"
        )
        outcome = call("POST", f"{self._url}/execute/async", script=script, args=list(arguments))
        assert "error" not in outcome, outcome["error"]
        return outcome.get("value")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile while the block runs; no process of it is left."""
    with tempfile.TemporaryDirectory(prefix="twfs-chromium-") as folder:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"HOME": folder, "TMPDIR": folder},
            start_new_session=True,
        )
        try:
            session_url = _new_session(_address(driver), folder)
            yield Browser(session_url)
            call("DELETE", session_url)
        finally:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()


def call(method: str, address: str, /, **body: object) -> Any:
    """One WebDriver command; its value.

    Raises:
        AssertionError: the driver refused; with what it says.
    """
    answer = requests.request(method, address, json=body if method == "POST" else None, timeout=_PATIENCE)
    value = answer.json()["value"]
    assert answer.ok, value["message"]
    return value


def _address(driver: subprocess.Popen[str]) -> str:
    assert driver.stdout is not None
    for line in driver.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return f"http://127.0.0.1:{found[1]}"
    raise AssertionError("chromedriver did not start")


def _new_session(driver_url: str, folder: str) -> str:
    options = {"binary": shutil.which("chromium"), "args": [*_FLAGS, f"--user-data-dir={folder}/profile"]}
    wanted = {"goog:chromeOptions": options, "timeouts": {"script": _SCRIPT_SECONDS * 1000}}
    session = call("POST", f"{driver_url}/session", capabilities={"alwaysMatch": wanted})
    return f"{driver_url}/session/{session['sessionId']}"
