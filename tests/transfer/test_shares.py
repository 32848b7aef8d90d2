import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.transfer.shares import Shares


def dealt(shares: Shares, held: int) -> int:
    """What a reader holds once it has taken all it gets."""
    while shares.grant(held):
        held += 1
    return held


def settled(shares: Shares, held: int) -> int:
    """What a reader holds once it has given back all it must."""
    while shares.take_back(held):
        held -= 1
    return held


@pytest.mark.parametrize(("most_parts", "most_of_one", "alone"), [(64, 16, 16), (6, 16, 6), (64, 1, 2), (1, 16, 2)])
def test_one_reader_gets_what_is_of_use_to_it(most_parts: int, most_of_one: int, alone: int) -> None:
    shares = Shares(most_parts, most_of_one)
    shares.join()
    assert dealt(shares, 0) == alone
    assert not shares.take_back(alone)


def test_who_comes_later_gets_as_much_in_the_end() -> None:
    shares = Shares(8, 16)
    shares.join()
    first = dealt(shares, 0)
    shares.join()
    second = dealt(shares, 0)
    assert (first, second) == (8, 2)
    first = settled(shares, first)
    second = dealt(shares, second)
    assert (first, second) == (4, 4)
    shares.leave(first)
    assert dealt(shares, second) == 8


@given(
    st.integers(1, 80),
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from("jjlgggt"), st.integers(0, 20)), max_size=60),
)
def test_all_together_keep_to_the_bound(most_parts: int, most_of_one: int, steps: list[tuple[str, int]]) -> None:
    shares = Shares(most_parts, most_of_one)
    held: list[int] = []
    for step, number in steps:
        at = number % max(1, len(held))
        if step == "j":
            shares.join()
            held.append(0)
        elif held and step == "l":
            shares.leave(held.pop(at))
        elif held and step == "g":
            granted = shares.grant(held[at])
            assert granted or held[at] >= 2
            held[at] += granted
        elif held:
            held[at] -= shares.take_back(held[at])
        assert sum(held) <= most_parts + 2 * len(held)
    held = [settled(shares, each) for each in held]
    assert sum(held) <= max(most_parts, 2 * len(held))
    assert all(each <= max(2, most_of_one) for each in held)
