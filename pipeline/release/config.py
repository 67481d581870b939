"""Settings of the stage `release`."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.environments.problem import ProblemConfig


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """The folder to publish, and how it is checked."""

    name: str
    """Title of the model card."""
    sample_environments: Annotated[list[str], Field(min_length=1)]
    """Domains of `pipeline.environments`; the released folder answers a held-out prompt of each."""
    maximum_new_tokens: PositiveInt
    """Tokens of an answer, at most."""
    problems: ProblemConfig
    """Difficulty of the prompts, and the assistant's name in them."""
    precision: Literal["fp32", "bf16"]
    """Number format of the weights in the folder."""
    license: str | None
    """SPDX identifier of the license that the model's owner gives it; null if it is open."""
    timeout_seconds: PositiveFloat = field(metadata={"fingerprint": False})
    """Seconds that loading and answering may take."""

    def data_fingerprint(self) -> dict[str, Any] | None:
        """Hashes of the sources of environments of one's own; None without such."""
        from pipeline.environments.own import own_sources

        return own_sources(self.sample_environments) or None

    def __post_init__(self) -> None:
        from pipeline.environments.registry import check_names

        try:
            check_names(self.sample_environments)
        except ValueError as error:
            raise ValueError(f"sample_environments: {error}") from None
        if not self.name.strip() or "\n" in self.name:
            raise ValueError(f"name is {self.name!r}, set one line of text")
        if self.license is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", self.license):
            raise ValueError(f"license is {self.license!r}, set an SPDX identifier such as Apache-2.0, or null")
