"""How fast a phase trains, and which share of the hardware's peak that is.

Model FLOPs are those of Chowdhery et al. 2022 (PaLM, arXiv 2204.02311, appendix B): six for each parameter and token,
and 12·L·H·Q·T for attention over the whole context, not halved for causality nor for document borders. Parameters
include the tied embedding once, for the product that makes the logits; looking up costs nothing. Of experts those count
that a token passes. Hardware FLOPs add the second forward pass of the layers where activations are recomputed.
"""

import time
from collections.abc import Sequence

import numpy
import torch

from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.model_config import ModelConfig

PEAK_FLOPS = {
    "A100": 312e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "GB200": 2500e12,
    "B200": 2250e12,
    "MI300X": 1307e12,
}
"""Dense bf16 FLOP/s by a part of an accelerator's name, from the makers' data sheets. Where one part holds another, it
comes first."""
PERCENTILES = (50, 90, 99)


def peak_flops_of(name: str) -> float | None:
    """Dense bf16 FLOP/s of an accelerator by the name it gives itself; None for one that is not in the table."""
    return next((peak for part, peak in PEAK_FLOPS.items() if part.lower() in name.lower()), None)


def rank_peak_flops(phase: PhaseConfig) -> float | None:
    """The FLOP/s to hold a rank against: what the phase says, else those of its GPU; None where they are not known."""
    if phase.peak_flops is not None:
        return phase.peak_flops
    return peak_flops_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def model_flops_per_token(model: ModelConfig, context: int) -> float:
    """FLOPs of training on one token, forward and backward, in sequences of `context` tokens."""
    return 6.0 * model.active_parameters + 12.0 * model.layers * model.hidden_size * context


def hardware_flops_per_token(model: ModelConfig, context: int, recomputed: bool) -> float:
    """FLOPs that are executed for one token: the model's, and once more those of layers that are `recomputed`."""
    again = 2.0 * (model.active_parameters - model.vocab_size * model.hidden_size) + 4.0 * (
        model.layers * model.hidden_size * context
    )
    return model_flops_per_token(model, context) + (again if recomputed else 0.0)


class StepTimes:
    """Wall-clock times of steps on this rank, in seconds; what a trainer does between steps is in none."""

    def __init__(self) -> None:
        self._waits: list[float] = []
        """Of each step, the time until its data was there."""
        self.seconds: list[float] = []
        """Of each step, the wait included."""
        self._started = self._data_ready = 0.0

    def start_step(self) -> None:
        """To be called when a step begins to wait for its data."""
        self._started = time.perf_counter()

    def data_ready(self) -> None:
        """To be called when the step's data is there."""
        self._data_ready = time.perf_counter()

    def end_step(self) -> None:
        """To be called when the optimizer has stepped; what follows, such as saving, counts for no step."""
        now = time.perf_counter()
        self._waits.append(self._data_ready - self._started)
        self.seconds.append(now - self._started)

    def __len__(self) -> int:
        """The number of steps that ended."""
        return len(self.seconds)

    def metrics(
        self, phase: PhaseConfig, world_size: int, peak_flops: float | None, last: int | None = None
    ) -> dict[str, float]:
        """Rates, percentiles of step times, utilization and peak memory, as metrics of the tracker.

        Args:
            phase: whose steps these are.
            world_size: number of ranks.
            peak_flops: FLOP/s of a rank's hardware; without them no utilization is reported.
            last: number of steps to look back on; None for all.
        """
        steps, waits = (each if last is None else each[-last:] for each in (self.seconds, self._waits))
        if not steps:
            return {}
        rate = len(steps) * phase.tokens_per_step / sum(steps)
        found = {
            "throughput/tokens_per_second": rate,
            "throughput/data_wait_share": sum(waits) / sum(steps),
            **_percentiles(steps),
        }
        for name, flops in (
            ("model", model_flops_per_token(phase.shape, phase.context)),
            ("hardware", hardware_flops_per_token(phase.shape, phase.context, phase.gradient_checkpointing)),
        ):
            found[f"throughput/{name}_flops_per_second_and_rank"] = rate / world_size * flops
            if peak_flops is not None:
                found[f"throughput/{name}_flops_utilisation"] = rate / world_size * flops / peak_flops
        if torch.cuda.is_available():
            found["memory/device_peak_bytes"] = float(torch.cuda.max_memory_allocated())
        return found


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    values = numpy.percentile(seconds, PERCENTILES)
    return {f"throughput/step_seconds_p{name}": float(value) for name, value in zip(PERCENTILES, values, strict=True)}
