from collections.abc import Iterator

import pytest

from tests.remote.account_rig import AccountRig, running_account_rig
from tests.remote.rig import Rig, running_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running_rig() as rig:
        yield rig


@pytest.fixture
def account_rig() -> Iterator[AccountRig]:
    with running_account_rig() as account_rig:
        yield account_rig
