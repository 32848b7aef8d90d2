from collections.abc import Iterator

import pytest

from tests.remote.rig import Rig, running_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running_rig() as rig:
        yield rig
