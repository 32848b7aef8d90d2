"""The customer's key, made once."""

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import new_key


@pytest.fixture(scope="session")
def private_key() -> RSAPrivateKey:
    """The customer's key."""
    return new_key()
