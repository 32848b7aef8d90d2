"""What is advised against servers that are real, closed, or have no name."""

import socket
import sys
from pathlib import Path

import pytest

from tests.security.tls import Authority
from twfs.cli.doctor_network import api_mend, connection_mend
from twfs.cli.doctor_trust import check_authorities, trust_findings
from twfs.cli.finding import OK, PROBLEM
from twfs.errors import CredentialsRefused, DeadlineExceeded, NotFound, RemoteError, TwfsError, Unreachable
from twfs.remote.certificates import VARIABLES, authorities
from twfs.remote.http import NoWay


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_server_that_listens_is_not_blamed_on_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        mend = connection_mend(f"http://127.0.0.1:{port}/v1")
    assert mend.startswith(f"127.0.0.1:{port} can be connected to")
    assert mend.endswith(f"run: curl -v http://127.0.0.1:{port}/v1")


def test_a_port_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert f"127.0.0.1:{port} cannot be connected to (Connection refused)" in connection_mend(
        f"http://127.0.0.1:{port}"
    )


def test_a_name_that_nobody_knows() -> None:
    """RFC 6761: `.invalid` never resolves."""
    mend = connection_mend("https://video.twilio.invalid")
    assert mend.startswith("the name video.twilio.invalid is not resolved")


def test_a_proxy_is_named_by_its_variable_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:secret@127.0.0.1:1")
    mend = connection_mend("https://video.twilio.com")
    assert "https_proxy" in mend
    assert "secret" not in mend
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "proxy" not in connection_mend("https://127.0.0.1:1").partition("if a proxy")[0]


def test_whose_certificates_are_trusted_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert [finding.level for finding in trust_findings("video.twilio.com")] == [OK]
    bundle = Authority(tmp_path, "own").bundle
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    (named,) = trust_findings("video.twilio.com")
    assert (named.level, f"SSL_CERT_FILE={bundle}" in named.text) == (OK, True)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nnot one")
    assert check_authorities(authorities({"SSL_CERT_FILE": str(bundle)})).level == PROBLEM
    bundle.unlink()
    (missing,) = trust_findings("video.twilio.com")
    assert (missing.level, "no such file" in missing.text) == (PROBLEM, True)


def test_a_proxy_that_cannot_be_used_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5h://user:secret@proxy.test:1080")
    assert [finding.level for finding in trust_findings("video.twilio.com")] == [OK, OK]
    monkeypatch.setitem(sys.modules, "socks", None)
    proxy = list(trust_findings("video.twilio.com"))[1]
    assert (proxy.level, "pip install PySocks" in proxy.text, "secret" in proxy.text) == (PROBLEM, True, False)
    monkeypatch.setenv("no_proxy", "twilio.com")
    assert len(list(trust_findings("video.twilio.com"))) == 1
    assert api_mend(NoWay("a SOCKS proxy needs …"), "https://video.twilio.com") == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CredentialsRefused("401; check api_key"), ""),
        (RemoteError("media at a host that is not allowed"), ""),
        (NotFound("404"), "look whether api_url is right"),
        (Unreachable("no connection"), "127.0.0.1:1 cannot be connected to"),
        (DeadlineExceeded("no answer"), "127.0.0.1:1 cannot be connected to"),
    ],
)
def test_each_failure_has_its_own_advice(error: TwfsError, words: str) -> None:
    mend = api_mend(error, "http://127.0.0.1:1")
    assert mend.startswith(words)
    assert bool(mend) == bool(words)
