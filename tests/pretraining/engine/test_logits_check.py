"""The logits check leaves what training compiles alone."""

from pathlib import Path

import pytest
from torch._dynamo.utils import counters

from pipeline.pretraining.engine.logits_check import check_logits, reference_logits
from tests.pretraining.training import phase, trainer
from tests.runs import write_counting_tokens


@pytest.mark.parametrize(("attention", "compiled"), [("flex_attention", False), ("flex_attention", True)])
def test_nothing_is_compiled_for_the_few_tokens_of_the_check(attention: str, compiled: bool, tmp_path: Path) -> None:
    """Else torch compiles the kernels of training for any length, once it sees its own."""
    write_counting_tokens(tmp_path)
    trained = trainer(phase(1, 1, attention=attention, compile=compiled), tmp_path / "tokens", tmp_path / "phase")
    counters.clear()
    check_logits(trained.engine, reference_logits(trained.engine), "here")
    trained.engine.destroy()
    assert not counters["frames"]
