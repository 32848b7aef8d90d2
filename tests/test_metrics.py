"""Figures: nothing is lost between threads, and histograms agree with a plain list."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.metrics import BOUNDS, CallMeter, Counts, Histogram

durations = st.floats(0, 60) | st.sampled_from(BOUNDS)


def observed(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


@given(st.lists(durations))
def test_each_value_is_in_the_bucket_of_the_least_bound_that_holds_it(values: list[float]) -> None:
    found = observed(values).distribution()
    bounds = (*BOUNDS, float("inf"))
    expected = Counter(min(bound for bound in bounds if value <= bound) for value in values)
    assert dict(zip(bounds, found.counts, strict=True)) == {bound: expected[bound] for bound in bounds}
    assert found.count == len(values)
    assert found.seconds == pytest.approx(sum(values))


@given(st.lists(durations, min_size=1), st.floats(0.01, 1))
def test_quantile_is_the_least_bound_that_the_share_stayed_within(values: list[float], share: float) -> None:
    expected = [bound for bound in BOUNDS if sum(value <= bound for value in values) >= share * len(values)]
    assert observed(values).distribution().quantile(share) == (expected[0] if expected else None)


def test_of_nothing_there_is_no_quantile() -> None:
    assert Histogram().distribution().quantile(0.5) is None


def test_threads_lose_nothing() -> None:
    histogram, counts, meter = Histogram(), Counts[str](), CallMeter(lambda: 0.0)

    def work() -> None:
        for _ in range(2000):
            histogram.observe(0.001)
            counts.add("x")
            meter.ended("read", 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.distribution().count == 16_000
    assert counts.snapshot() == {"x": 16_000}
    assert meter.durations()["read"].count == 16_000


def test_meter_takes_the_time_of_its_clock() -> None:
    times = iter([10.0, 12.5])
    meter = CallMeter(lambda: next(times))
    meter.ended("open", meter.now())
    assert meter.durations()["open"].seconds == 2.5


def test_counts_are_a_copy() -> None:
    counts = Counts[str]()
    counts.add("a")
    taken = counts.snapshot()
    counts.add("a")
    assert taken == {"a": 1}
