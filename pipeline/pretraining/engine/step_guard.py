"""Steps that would do harm are skipped before they touch weights or moments.

What is not finite never counts; what is far above the last steps does not either (OLMo-core's SkipStepAdamW: six
standard deviations over 128 steps). Unlike there, what was skipped does not enter the window, so that one NaN does not
make every comparison false, and the window is part of a checkpoint.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy
import torch

from pipeline.core.errors import DataError
from pipeline.pretraining.config import SkipConfig


class StepGuard:
    """Decides about one step after the other, from its loss and its gradient norm, which all ranks have alike."""

    def __init__(self, config: SkipConfig) -> None:
        self._config = config
        self._losses: deque[float] = deque(maxlen=config.window)
        self._norms: deque[float] = deque(maxlen=config.window)
        self.skipped: list[int] = []
        """Steps of the phase that were skipped, counted from 0."""
        self.norm = math.nan
        """Gradient norm of the last step, before clipping."""
        self.loss = math.nan
        """Loss of the last step."""
        self._reason: str | None = None

    def begin(self, loss: float) -> None:
        """The loss of a step is known, its gradients are whole."""
        self.loss, self.norm = loss, math.inf
        self._reason = self._against("the loss", loss, self._losses)

    def allows(self, norm: float) -> bool:
        """Whether the optimizer may step, now that the gradient norm is known too."""
        self.norm = norm
        self._reason = self._reason or self._against("the gradient norm", norm, self._norms)
        return self._reason is None

    def end(self, step: int) -> str | None:
        """Why the step was skipped, if it was.

        DeepSpeed does not even ask if gradients are not finite: the norm is then infinite.

        Raises:
            DataError: if too many steps in a row were skipped.
        """
        if self._reason is None and math.isfinite(self.norm):
            self._losses.append(self.loss)
            self._norms.append(self.norm)
            return None
        self.skipped.append(step)
        reason = self._reason or f"the gradient norm is {self.norm}"
        most = self._config.maximum_in_a_row
        if len(self.skipped) >= most and self.skipped[-most] == step - most + 1:
            raise DataError(
                f"step {step + 1}: {reason}; {most} steps in a row were skipped, "
                "lower learning_rate or raise skip.sigmas"
            )
        return reason

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint needs to go on alike."""
        return {"losses": list(self._losses), "norms": list(self._norms), "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `as_json`."""
        self._losses.extend(state["losses"])
        self._norms.extend(state["norms"])
        self.skipped = list(state["skipped"])

    def _against(self, name: str, value: float, window: deque[float]) -> str | None:
        if not math.isfinite(value):
            return f"{name} is {value}"
        if self._config.sigmas is None or len(window) < self._config.window // 2:
            return None
        limit = float(numpy.mean(window) + self._config.sigmas * numpy.std(window))
        return f"{name} is {value:.4g}, above {limit:.4g}" if value > limit else None


class GuardedAdamW(torch.optim.AdamW):
    """AdamW that asks a guard before it steps, and measures how far a step goes."""

    def __init__(self, groups: Iterable[dict[str, Any]], guard: StepGuard, **settings: Any) -> None:
        super().__init__(list(groups), lr=0.0, **settings)
        self.guard = guard
        self.norm: Callable[[], float] = lambda: math.nan
        """Gives the global gradient norm, once gradients are whole."""
        self.measures = False
        """Whether the length of updates is measured: it costs a copy of the weights."""
        self.squared_update = 0.0
        """Sum of squares of this rank's part of the last update, if it was measured."""

    def step(self, closure: None = None) -> None:
        """Steps if it may. ZeRO calls this once for each of its groups."""
        if not self.guard.allows(self.norm()):
            return
        if not self.measures:
            super().step()
            return
        stepped = [each for group in self.param_groups for each in group["params"] if each.grad is not None]
        before = [each.detach().clone() for each in stepped]
        super().step()
        with torch.no_grad():
            for parameter, old in zip(stepped, before, strict=True):
                self.squared_update += float((parameter - old).double().square().sum())
