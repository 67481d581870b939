import pytest

from pipeline.posttraining.common.row_order import row_order


def steps(order: list[int], per_step: int) -> list[list[int]]:
    return [order[start : start + per_step] for start in range(0, len(order), per_step)]


@pytest.mark.parametrize("lengths", [None, list(range(20))])
def test_every_step_is_full_and_every_pass_has_every_row(lengths: list[int] | None) -> None:
    order = row_order(20, 8, 2, seed=1, lengths=lengths)
    assert [len(set(step)) for step in steps(order, 8)] == [8] * 6
    first, second = order[:24], order[24:]
    assert set(first) == set(second) == set(range(20))
    assert first != second, "each pass has an order of its own"
    assert order == row_order(20, 8, 2, seed=1, lengths=lengths)
    assert order != row_order(20, 8, 2, seed=2, lengths=lengths)


def test_a_part_of_a_pass_is_its_first_steps() -> None:
    whole = row_order(20, 8, 2, seed=1)
    assert row_order(20, 8, 1.4, seed=1) == whole[: 5 * 8]
    assert row_order(20, 8, 0.1, seed=1) == whole[:8]


def test_less_rows_than_a_step_takes_come_again() -> None:
    order = row_order(3, 8, 1, seed=1)
    assert len(order) == 8
    assert {order.count(row) for row in range(3)} == {2, 3}


def test_rows_of_like_length_share_a_step() -> None:
    lengths = [10, 1000] * 64
    found = steps(row_order(128, 8, 1, seed=1, lengths=lengths), 8)
    # One in each quarter of the rows, which are sorted among themselves, and two whose rows transformers swaps.
    assert sum(len({lengths[row] for row in step}) == 2 for step in found) <= 6
