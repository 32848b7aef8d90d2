from hypothesis import given
from hypothesis import strategies as st

from twfs.media.repeats import Repeats

ARRIVALS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.binary(max_size=2)))


@given(ARRIVALS)
def test_an_object_differs_once_a_block_of_it_came_twice_and_was_another_one(
    arrivals: list[tuple[str, int, bytes]],
) -> None:
    repeats = Repeats()
    came: dict[tuple[str, int], set[bytes]] = {}
    for owner, index, content in arrivals:
        repeats.came(owner, index, memoryview(content))
        came.setdefault((owner, index), set()).add(content)
    for owner in "ab":
        assert repeats.differ(owner) == any(len(all_) > 1 for (whose, _), all_ in came.items() if whose == owner)
