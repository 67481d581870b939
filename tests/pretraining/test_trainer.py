"""What a training step reports to the tracker."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.pretraining.data.stream import IGNORE_INDEX
from tests.pretraining.training import RecordingTracker, phase, trainer
from tests.runs import write_counting_tokens


def test_a_step_has_the_loss_of_each_domain(tmp_path: Path) -> None:
    write_counting_tokens(tmp_path)
    trained = trainer(phase(1, 4), tmp_path / "tokens", tmp_path / "work")
    batch = trained.stream.read(0, 8)
    domains = [trained.stream.mixture.domains[trained.stream.locate(sample).domain] for sample in range(8)]
    model: Any = trained.engine.module
    with torch.no_grad():
        token_losses = model(*map(torch.from_numpy, (batch.tokens, batch.positions, batch.labels)))[1]
    recorded = RecordingTracker(trained)
    trained.train()
    trained.engine.destroy()
    for domain in ("code", "math"):
        rows = [row for row, name in enumerate(domains) if name == domain]
        expected = float(token_losses[rows].sum()) / int((batch.labels[rows] != IGNORE_INDEX).sum())
        assert recorded.metrics[0][f"train/loss/{domain}"] == pytest.approx(expected, rel=1e-5)
