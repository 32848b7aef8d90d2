"""fsspec's own abstract test-suite, as far as it applies to a file system that only reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from tests.fsspec.scenario import ScenarioFileSystem

needs_writing = pytest.mark.skip(reason="begins with a write, which this file system refuses (test_filesystem.py)")


class Fixtures(AbstractFixtures):  # type: ignore[misc]  # fsspec has no types
    @pytest.fixture
    def fs(self) -> ScenarioFileSystem:
        return ScenarioFileSystem()

    @pytest.fixture
    def fs_path(self) -> str:
        return "account"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def local_path(self, tmp_path: Path) -> str:
        return str(tmp_path)


class TestGet(Fixtures, AbstractGetTests):  # type: ignore[misc]
    """All of it."""


@needs_writing
class TestOpen(Fixtures, AbstractOpenTests):  # type: ignore[misc]
    """Its one test writes a file and opens it exclusively."""


@needs_writing
class TestCopy(Fixtures, AbstractCopyTests):  # type: ignore[misc]
    """Within the account."""


@needs_writing
class TestPut(Fixtures, AbstractPutTests):  # type: ignore[misc]
    """Into the account."""


@needs_writing
class TestPipe(Fixtures, AbstractPipeTests):  # type: ignore[misc]
    """Into the account."""
