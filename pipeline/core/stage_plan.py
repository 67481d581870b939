"""What the settings of a stage say of the work ahead, for `fivephase plan`: steps, arithmetic, memory, warnings.

A stage's dataclass of settings with a method `plan` gives one. The control plane calls it by name, as it knows no
trainer.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """A stage before it runs."""

    steps: str = ""
    """Optimizer steps, as the plan's table shows them: a number, or the most there can be."""
    lines: tuple[str, ...] = ()
    """How the steps come about, and what they need."""
    warnings: tuple[str, ...] = ()
    """What will run, but perhaps not as meant."""
