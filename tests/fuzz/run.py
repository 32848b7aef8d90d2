"""So many inputs for one parser."""

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.targets import TARGETS

_ROUND = 5000
"""Hypothesis remembers all inputs of a run to tell them apart; in rounds its memory stays small."""


def fuzz(name: str, examples: int, first_seed: int) -> None:
    """Feed the parser; raises what a check raises, with the smallest input that makes it."""
    target = TARGETS[name]
    for number, done in enumerate(range(0, examples, _ROUND)):
        check = seed(first_seed + number)(given(target.inputs)(target.check))
        settings(
            max_examples=min(_ROUND, examples - done),
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )(check)()
