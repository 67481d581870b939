"""Runs side by side: what differs between them, and the spread over seeds."""

from pathlib import Path

import pytest

from pipeline.reporting.comparing import compare
from pipeline.reporting.markdown import render_markdown
from tests.reporting.small_run import make_run


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seeds, and one run with another learning rate."""
    root = tmp_path_factory.mktemp("runs")
    runs = [
        make_run(root / "zero"),
        make_run(root / "one", seed=1, gain=0.1),
        make_run(root / "fast", learning_rate=0.05),
    ]
    return render_markdown(compare(runs))


def test_seeds_are_one_group_with_mean_and_spread(text: str) -> None:
    """.75 and .85: the mean .8, the sample deviation .071."""
    assert "- 3 runs with 2 different settings." in text
    assert "- settings 1: zero, one." in text
    assert "accuracy/mean of evaluate\\_rl\\_math: settings 1 0.8 ± 0.071; settings 2 0.75." in text
    assert "| evaluate\\_rl\\_math | accuracy/mean | 0.75 | 0.85 | 0.75 | 0.8 ± 0.071 | 0.75 |" in text


def test_the_settings_that_differ_are_told_and_no_others(text: str) -> None:
    assert "| stages.phase1.config.learning\\_rate | 0.02 | 0.05 |" in text
    assert text.count("stages.phase") == 2


def test_curves_lie_over_each_other(text: str) -> None:
    assert "| tokens | zero | one | fast |" in text


def test_runs_that_are_alike_or_unknown(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a" / "same"), make_run(tmp_path / "b" / "same", seed=3)
    text = render_markdown(compare([first, second]))
    assert "Comparison of a/same, b/same" in text
    assert "No setting differs besides seeds (0, 3)." in text
    (first / "run.json").unlink()
    text = render_markdown(compare([first, second]))
    assert "a/same: its run.json has no settings, so that they cannot be compared." in text
    assert "nothing here says what chance alone changes" in text
