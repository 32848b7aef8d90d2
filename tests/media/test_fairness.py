from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from twfs.media.fairness import SILENT_SECONDS, most_at_once, next_in_turn

NOW = 100.0


@dataclass(eq=False)
class Asked:
    subject: str
    urgent: bool = False
    heard_at: float = NOW


ASKED = st.builds(Asked, st.sampled_from("abcd"), st.booleans(), st.sampled_from([NOW, NOW - SILENT_SECONDS]))
MANY = st.lists(ASKED, max_size=30)


@given(MANY, MANY, st.integers(1, 16))
def test_who_gets_a_connection(waiting: list[Asked], running: list[Asked], connections: int) -> None:
    chosen = next_in_turn(waiting, running, connections, NOW)
    if waiting and not running:
        assert chosen is not None
    if chosen is None:
        return
    assert len(running) < most_at_once(connections)
    held = Counter(claim.subject for claim in running)
    before = waiting[: waiting.index(chosen)]
    # Of one medium the first, and what is urgent first.
    assert not [claim for claim in before if claim.subject == chosen.subject and claim.urgent >= chosen.urgent]
    stalls = {claim.subject for claim in running if claim.heard_at < NOW}
    share = max(1, connections // len({claim.subject for claim in [*waiting, *running]}))
    assert chosen.subject not in stalls or held[chosen.subject] < share
    if not stalls:
        assert len(running) < connections
        rivals = [claim for claim in waiting if claim.urgent >= chosen.urgent]
        assert held[chosen.subject] == min(held[claim.subject] for claim in rivals)


@given(st.lists(ASKED, min_size=1, max_size=30), st.integers(1, 16))
def test_alone_a_medium_has_all_connections_in_order(waiting: list[Asked], connections: int) -> None:
    for claim in waiting:
        claim.subject, claim.urgent, claim.heard_at = "a", False, NOW
    running: list[Asked] = []
    while (chosen := next_in_turn(waiting, running, connections, NOW)) is not None:
        waiting.remove(chosen)
        running.append(chosen)
        assert not waiting or chosen is not waiting[0]
    assert len(running) == min(connections, len(running) + len(waiting))
    # However silent they are, nothing is gained by more.
    assert not waiting or next_in_turn(waiting, running, connections, NOW + 60) is None


CONNECTIONS = 16


@dataclass
class World:
    now: float = 0.0
    waiting: list[Asked] = field(default_factory=list)
    running: list[Asked] = field(default_factory=list)


class StallingMedia(RuleBasedStateMachine):
    """Media of which some send nothing at all; who reads a healthy one is served once the others are known silent."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(medium=st.sampled_from(["silent-1", "silent-2", "silent-3"]), count=st.integers(1, 20))
    def ask_silent(self, medium: str, count: int) -> None:
        self.world.waiting += [Asked(medium, urgent=True) for _ in range(count)]
        self._serve()

    @rule(urgent=st.booleans())
    def ask_healthy(self, *, urgent: bool) -> None:
        self.world.waiting.append(Asked("healthy", urgent))
        self._serve()

    @rule(seconds=st.sampled_from([0.3, SILENT_SECONDS, 5.0]))
    def pass_time(self, seconds: float) -> None:
        self.healthy_comes()
        self.world.now += seconds
        for claim in self.world.running:
            if claim.subject == "healthy":
                claim.heard_at = self.world.now  # something comes all the time
        self._serve()

    @rule()
    def healthy_comes(self) -> None:
        self.world.running = [claim for claim in self.world.running if claim.subject != "healthy"]
        self._serve()

    def _serve(self) -> None:
        world = self.world
        while (chosen := next_in_turn(world.waiting, world.running, CONNECTIONS, world.now)) is not None:
            world.waiting.remove(chosen)
            chosen.heard_at = world.now
            world.running.append(chosen)

    @invariant()
    def nobody_waits_for_the_silent(self) -> None:
        world = self.world
        settled = all(world.now - claim.heard_at >= SILENT_SECONDS for claim in world.running)
        waits = any(claim.subject == "healthy" and claim.urgent for claim in world.waiting)
        assert not (settled and waits)

    @invariant()
    def there_is_a_bound(self) -> None:
        assert len(self.world.running) <= most_at_once(CONNECTIONS)


TestStallingMedia = StallingMedia.TestCase
