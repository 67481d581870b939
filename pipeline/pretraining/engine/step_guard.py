"""The step guard: a step that would do harm is skipped before it touches weights or optimizer state.

A loss or gradient norm that is not finite never counts; neither does one far above those of the last steps, as in
OLMo-core's SkipStepAdamW: more than six standard deviations above their mean over 128 steps. Unlike there, what was
skipped does not enter the window, so that one NaN does not make every later comparison false, and the window is part
of a step checkpoint, so that a resumed phase decides alike.

The gradient norm is known only inside DeepSpeed's step, after gradients are reduced over ranks. So the guard sits in
the optimizer: the trainer calls `begin` with the loss, the optimizer asks `allows` with the norm, and the trainer calls
`end`. Loss and norm are those of all ranks together, so that all decide the same without talking.
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
    """Decides about one step after the other; all ranks decide alike, since they are given the same numbers."""

    def __init__(self, config: SkipConfig) -> None:
        self._config = config
        self._losses: deque[float] = deque(maxlen=config.window)
        self._norms: deque[float] = deque(maxlen=config.window)
        self.skipped_steps: list[int] = []
        """Steps of the phase that were skipped, counted from 0, ascending."""
        self.gradient_norm = math.nan
        """Global L2 norm of the last step's gradients, before clipping; infinite if they were not finite."""
        self.loss = math.nan
        """Loss of the last step, in nats per token."""
        self._reason: str | None = None

    def begin(self, loss: float) -> None:
        """Takes the loss of a step over all ranks, before the optimizer is asked to step."""
        self.loss, self.gradient_norm = loss, math.inf
        self._reason = self._reason_against("the loss", loss, self._losses)

    def allows(self, gradient_norm: float) -> bool:
        """Whether the optimizer may step, now that the global gradient norm is known too."""
        self.gradient_norm = gradient_norm
        self._reason = self._reason or self._reason_against("the gradient norm", gradient_norm, self._norms)
        return self._reason is None

    def end(self, step: int) -> str | None:
        """Records a step: loss and norm enter the window, or the step enters `skipped_steps`.

        Where gradients are not finite DeepSpeed does not call the optimizer, `allows` is not asked, and the norm is
        still the infinity that `begin` set.

        Args:
            step: of the phase, from 0.

        Returns:
            Why the step was skipped; None if it was made.

        Raises:
            DataError: if it is the `maximum_in_a_row`-th skipped step in a row.
        """
        if self._reason is None and math.isfinite(self.gradient_norm):
            self._losses.append(self.loss)
            self._norms.append(self.gradient_norm)
            return None
        self.skipped_steps.append(step)
        reason = self._reason or f"the gradient norm is {self.gradient_norm}"
        limit = self._config.maximum_in_a_row
        if len(self.skipped_steps) >= limit and self.skipped_steps[-limit] == step - limit + 1:
            raise DataError(
                f"step {step + 1}: {reason}; {limit} steps in a row were skipped, "
                "lower learning_rate or raise skip.sigmas"
            )
        return reason

    def state_dict(self) -> dict[str, Any]:
        """The windows and the skipped steps as JSON, for a step checkpoint."""
        return {"losses": list(self._losses), "norms": list(self._norms), "skipped": self.skipped_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` of an earlier attempt's guard gave; this one must be new."""
        self._losses.extend(state["losses"])
        self._norms.extend(state["norms"])
        self.skipped_steps = list(state["skipped"])

    def _reason_against(self, name: str, value: float, window: deque[float]) -> str | None:
        """Why a step with this value must be skipped, or None. Half a window of steps is needed to call it high."""
        if not math.isfinite(value):
            return f"{name} is {value}"
        if self._config.sigmas is None or len(window) < self._config.window // 2:
            return None
        limit = float(numpy.mean(window) + self._config.sigmas * numpy.std(window))
        return f"{name} is {value:.4g}, above {limit:.4g}" if value > limit else None


class GuardedAdamW(torch.optim.AdamW):
    """AdamW that asks a step guard before it steps, and can measure how far a step moves the weights."""

    def __init__(self, groups: Iterable[dict[str, Any]], guard: StepGuard, **settings: Any) -> None:
        super().__init__(list(groups), lr=0.0, **settings)
        self.guard = guard
        self.global_gradient_norm: Callable[[], float] = lambda: math.nan
        """Gives the L2 norm of all gradients over all ranks, during a step; `start_engine` sets it."""
        self.measures_update = False
        """Whether steps add to `squared_update`: it costs a copy of this rank's weights."""
        self.squared_update = 0.0
        """Sum of squares of the change of the weights that this rank steps, over measured steps since it was reset."""

    def step(self, closure: None = None) -> None:
        """Makes AdamW's step if the guard allows it, else nothing. ZeRO calls this once for each parameter group."""
        if not self.guard.allows(self.global_gradient_norm()):
            return
        if not self.measures_update:
            super().step()
            return
        stepped = [each for group in self.param_groups for each in group["params"] if each.grad is not None]
        before = [each.detach().clone() for each in stepped]
        super().step()
        with torch.no_grad():
            for parameter, old in zip(stepped, before, strict=True):
                self.squared_update += float((parameter - old).double().square().sum())
