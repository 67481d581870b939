"""Settings of the stage `disclose`: what no manifest can know, because only the provider does."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.core.stage_plan import StagePlan

Category = Literal["public", "licensed", "private", "crawled", "user", "synthetic", "other"]
"""Where the Commission's template has a source: 2.1, 2.2.1, 2.2.2, 2.3, 2.4, 2.5 or 2.6."""
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class DiscloseConfig:
    """What the provider says; null is "not known" in what is written."""

    provider: str | None
    """Name and contact of who provides the model."""
    representative: str | None
    """Name and contact of the authorized representative in the Union."""
    url: str | None
    """Address of the model, or of the page about it."""
    placed_on_market: str | None
    """Date at which the model is placed on the Union's market, as 2026-11-30."""
    updated: str | None
    """Date of the summary, as 2026-11-30."""
    small_enterprise: bool
    """Whether the provider is a small or medium-sized enterprise: 5 % of the web domains, at most 1,000, not 10 %."""
    categories: dict[str, Category]
    """Section of the Commission's template by the name of a source, where `sources.category` would choose another."""
    crawlers: str | None
    """Names, purpose, behavior and period of the provider's own crawlers."""
    opt_out: str | None
    """Measures to respect reservations of rights from text and data mining."""
    illegal_content: str | None
    """Measures to avoid or remove illegal content, beside the steps that the audit knows."""
    signing_key: str | None
    """PEM file of a private key to sign the released folder with; null signs nothing."""
    summary_version: str
    """Version of the summary."""

    def __post_init__(self) -> None:
        for name in ("placed_on_market", "updated"):
            value = getattr(self, name)
            if value is not None and not DATE.fullmatch(value):
                raise ValueError(f"{name} is {value!r}, set a date such as 2026-11-30, or null")

    def plan(self, *_: object, **__: object) -> StagePlan:
        """Warns of a key that is not on this machine."""
        if self.signing_key is None or Path(self.signing_key).is_file():
            return StagePlan()
        return StagePlan(warnings=(f"signing_key={self.signing_key}: no such file on this machine",))
