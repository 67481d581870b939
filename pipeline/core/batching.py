"""The arithmetic of an optimizer step: how many micro-batches each rank accumulates gradients over."""

from typing import NamedTuple

from pipeline.core.errors import ConfigError


class StepSize(NamedTuple):
    """Samples of an optimizer step and of a forward pass, with the settings that they are from."""

    step_key: str
    per_step: int
    micro_batch_key: str
    micro_batch: int

    def shared_by(self, ranks: int) -> tuple[int, str]:
        """Micro-batches that each rank accumulates, and the arithmetic of a step as plans and logs print it.

        Raises:
            ConfigError: if the ranks cannot share a step's samples evenly.
        """
        accumulated = micro_batches_per_step(**self._asdict(), sharers=ranks)
        step, device = f"{self.step_key}={self.per_step}", f"{self.micro_batch_key}={self.micro_batch}"
        return accumulated, f"{step} = {device} x {ranks} ranks x {accumulated} accumulated"


def micro_batches_per_step(
    *, step_key: str, per_step: int, micro_batch_key: str, micro_batch: int, sharers: int, unit: str = "ranks"
) -> int:
    """Micro-batches that each rank goes through in one optimizer step.

    Args:
        step_key: the setting that `per_step` is from, for the error.
        per_step: samples of an optimizer step, over all ranks.
        micro_batch_key: the setting that `micro_batch` is from, for the error.
        micro_batch: samples in one forward pass.
        sharers: ranks, or groups of ranks, that have samples of their own.
        unit: what these are called in the error.

    Raises:
        ConfigError: if the samples of a step do not divide evenly, with the numbers and what would.
    """
    per_round = micro_batch * sharers
    if per_step % per_round:
        raise ConfigError(
            f"{step_key}={per_step} is no multiple of {micro_batch_key}={micro_batch} × {sharers} {unit}; "
            f"set {step_key} to a multiple of {per_round}"
        )
    return per_step // per_round
