"""Keys made once; making one takes a tenth of a second or more."""

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import new_key


@pytest.fixture(scope="session")
def private_key() -> RSAPrivateKey:
    """The customer's key."""
    return new_key()


@pytest.fixture(scope="session")
def other_key() -> RSAPrivateKey:
    """Another one."""
    return new_key()
