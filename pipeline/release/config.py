"""Settings of the release stage."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.environments.problem import ProblemConfig


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """The folder to publish and how it is checked."""

    name: str
    """Title of the model card."""
    sample_environments: list[str]
    """Domains of `pipeline.environments`; a held-out prompt of each is answered by the released folder."""
    maximum_new_tokens: int = 256
    """Tokens of an answer, at most."""
    problems: ProblemConfig = field(default_factory=lambda: ProblemConfig(difficulty=3))
    """Difficulty of the prompts, and the name the model is to give."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Of the weights in the folder."""
    timeout_seconds: float = field(default=3600.0, metadata={"fingerprint": False})
    """Time that loading and answering may take."""

    def __post_init__(self) -> None:
        if not self.sample_environments:
            raise ValueError("sample_environments is empty, set at least one")
        if self.maximum_new_tokens < 1:
            raise ValueError(f"maximum_new_tokens is {self.maximum_new_tokens}, set 1 or more")
        if self.timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds}, set more than 0")
        if not self.name.strip() or "\n" in self.name:
            raise ValueError(f"name is {self.name!r}, set one line of text")
