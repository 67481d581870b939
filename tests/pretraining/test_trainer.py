"""What a step says of itself."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.pretraining.data.stream import IGNORED
from tests.pretraining.training import Recorded, phase, trainer
from tests.runs import write_counting_tokens


def test_a_step_has_the_loss_of_each_domain(tmp_path: Path) -> None:
    write_counting_tokens(tmp_path)
    trained = trainer(phase(1, 4), tmp_path / "tokens", tmp_path / "work")
    batch = trained.stream.read(0, 8)
    sources = [trained.stream.mixture.sources[trained.stream.place_of(sample).source] for sample in range(8)]
    model: Any = trained.engine.module
    with torch.no_grad():
        entropies = model(*map(torch.from_numpy, (batch.tokens, batch.positions, batch.labels)))[1]
    recorded = Recorded(trained)
    trained.train()
    trained.engine.destroy()
    for domain in ("code", "math"):
        rows = [row for row, source in enumerate(sources) if source == domain]
        expected = float(entropies[rows].sum()) / int((batch.labels[rows] != IGNORED).sum())
        assert recorded.metrics[0][f"train/loss/{domain}"] == pytest.approx(expected, rel=1e-5)
