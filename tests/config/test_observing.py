from pathlib import Path

import pytest

from twfs.config.observing import Address, parse_address, parse_audit
from twfs.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9469", Address("127.0.0.1", 9469)),
        ("[::1]:9469", Address("::1", 9469)),
        (":0", Address("", 0)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_address_and_back(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "9469", "host", "host:", "host:65536", "::1:9469", "[::1]", "a b:1", "host:-1"])
def test_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match=r"HOST:PORT"):
        parse_address(text)


def test_audit_is_a_file_or_the_journal() -> None:
    assert parse_audit("journal") == "journal"
    assert parse_audit("/var/log/audit") == Path("/var/log/audit")
    for text in ("", "a\0b"):
        with pytest.raises(ConfigError):
            parse_audit(text)
