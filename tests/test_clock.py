"""The guards against blow-up let work pass, and neither quadratic time nor waiting."""

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests import clock
from tests.clock import assert_bounded_time, assert_linear_time

TEXT = "a" * 64_000


def work(seconds: float) -> None:
    """Uses so much CPU time, on any machine."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_linear_time_passes() -> None:
    assert_linear_time(lambda text: work(0.6 * len(text) / len(TEXT)), TEXT)


def test_quadratic_time_is_found_on_a_part_of_the_text() -> None:
    lengths = []

    def quadratic(text: str) -> None:
        lengths.append(len(text))
        work(4 * (len(text) / len(TEXT)) ** 2)

    with pytest.raises(AssertionError, match=r"16,000 characters took .* the time grows faster than the text"):
        assert_linear_time(quadratic, TEXT)
    assert lengths == [1_000, 4_000, 16_000, 16_000, 16_000]


def test_what_a_call_does_once_is_not_held_against_it() -> None:
    lengths = []

    def call(text: str) -> None:
        lengths.append(len(text))
        work(0.2 if len(lengths) == 3 else 0)

    assert_linear_time(call, TEXT)
    assert lengths == [1_000, 4_000, 16_000, 16_000, 64_000]


def test_waiting_is_found() -> None:
    # So long that the little CPU time of this process' other threads does not excuse it.
    with pytest.raises(AssertionError, match="it waits"):
        assert_bounded_time(lambda: time.sleep(2), wall_seconds=0.2)
    with pytest.raises(AssertionError, match="it waits"):
        assert_linear_time(lambda text: time.sleep(2), TEXT, wall_seconds=0.2)


def test_too_much_work_is_found() -> None:
    with pytest.raises(AssertionError, match=r"of CPU time, 0\.10 s are far more than it needs"):
        assert_bounded_time(lambda: work(0.2), cpu_seconds=0.1)


def test_a_processor_that_others_have_is_not_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a hundred busy processes are more urgent: most of the time is spent in the queue."""
    queued: Iterator[int] = count(0, 100)
    monkeypatch.setattr(clock, "_queued_seconds", lambda: float(next(queued)))
    assert_bounded_time(lambda: time.sleep(2), wall_seconds=0.2)
