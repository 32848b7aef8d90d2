"""Some hundred inputs for each parser; `python -m tests.fuzz` goes on for as long as it is let."""

import random

import pytest

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS

EXAMPLES = 300


@pytest.mark.parametrize("name", TARGETS)
def test_only_documented_errors_come_out(name: str) -> None:
    fuzz(name, EXAMPLES, random.randrange(2**32))
