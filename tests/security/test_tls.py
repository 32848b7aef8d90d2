"""Whose certificates are believed; and that nothing is said before, nor without TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import Customer, customer, run_twfs
from tests.security.tls import Authority, tls_in_front_of
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import seal

PLAIN = b"said over TLS" * 1000


@pytest.fixture
def place(tmp_path: Path, private_key: RSAPrivateKey) -> Iterator[Customer]:
    account = SimulatedAccount()
    account.add_recording(seal(PLAIN, private_key.public_key()))
    with customer(tmp_path, account, private_key) as found:
        yield found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "trusted")


@contextmanager
def secured(place: Customer, authority: Authority, host: str = "localhost", *, days: int = 1) -> Iterator[str]:
    """The base URL of the simulator behind TLS, its certificate for `host`."""
    port = urlsplit(place.simulator.url).port
    assert port is not None
    with tls_in_front_of(port, authority.server_context(host, days=days)) as secure_port:
        yield f"https://localhost:{secure_port}"


def arguments(place: Customer, url: str) -> list[str]:
    """The flags of an account that is served at `url`."""
    options = place.options | {"api_url": url, "accounts_url": url, "timeout": "10"}
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]


def trusting(authority: Authority) -> dict[str, str]:
    """The environment of a client that trusts it."""
    return {"REQUESTS_CA_BUNDLE": str(authority.bundle)}


def test_a_certificate_of_the_trusted_authority_is_taken(place: Customer, authority: Authority, tmp_path: Path) -> None:
    with secured(place, authority) as url:
        (sid,) = [medium.sid for medium in place.account.media(Kind.RECORDING)]
        flags = [*arguments(place, url), "-o", str(tmp_path / "film")]
        done = run_twfs("get", place.source, sid, *flags, environ=trusting(authority))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "film").read_bytes() == PLAIN


@pytest.mark.parametrize(("host", "days"), [("localhost", -1), ("video.twilio.com", 1), ("127.0.0.2", 1)])
def test_an_expired_certificate_or_one_for_another_name_is_refused(
    place: Customer, authority: Authority, host: str, days: int
) -> None:
    with secured(place, authority, host, days=days) as url:
        assert_refused(place, url, trusting(authority))


def test_a_certificate_of_another_authority_is_refused(place: Customer, authority: Authority, tmp_path: Path) -> None:
    with secured(place, authority) as url:
        assert_refused(place, url, trusting(Authority(tmp_path, "other")))
        assert_refused(place, url, {})


def assert_refused(place: Customer, url: str, environ: dict[str, str]) -> None:
    """One line that says why, and not a byte of a request has arrived."""
    done = run_twfs("ls", place.source, *arguments(place, url), environ=environ)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the TLS certificate was not accepted" in done.stderr
    assert place.simulator.count("api") == 0


def test_media_behind_an_untrusted_certificate_are_refused(
    place: Customer, authority: Authority, tmp_path: Path
) -> None:
    """The API is trusted (loopback), what it points to is not."""
    with secured(place, authority) as url:
        place.simulator.inject(Fault("api.media", status=302, headers={"Location": f"{url}/bucket/x"}, times=None))
        flags = [*arguments(place, place.simulator.url), "-o", str(tmp_path / "out")]
        done = run_twfs("get", place.source, "--all", *flags)
    assert done.returncode == 1
    assert "the TLS certificate was not accepted" in done.stderr
    assert place.simulator.count("s3") == 0


@pytest.mark.parametrize("option", ["api_url", "accounts_url"])
@pytest.mark.parametrize("host", ["video.twilio.com", "192.0.2.1", "[2001:db8::1]", "localhost.example.com"])
def test_plain_http_off_loopback_is_refused_before_anything_is_sent(place: Customer, option: str, host: str) -> None:
    flags = [*arguments(place, place.simulator.url), f"--{option.replace('_', '-')}", f"http://{host}/"]
    done = run_twfs("ls", place.source, *flags)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{option}: plain http would show the credentials to the network" in done.stderr
    assert place.simulator.count("api") == 0
