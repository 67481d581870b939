"""The kinds of stages: which dataclass checks their settings and which function does their work.

Named as strings, so that the control plane imports neither torch nor a trainer.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError


@dataclass(frozen=True)
class StageType:
    """One implementation that stages share."""

    config: str
    """`module:class` of the settings."""
    entry: str
    """`module:function` that takes a `StageContext` and returns a `StageResult`."""
    report: str | None = None
    """`module:function` that takes a finished stage's folder and returns lines for `fivephase report`."""
    version: int = 1
    """Raised when the same settings would give another result: stages of this kind are then made anew."""


STAGE_TYPES = {
    "curate": StageType(
        "pipeline.curation.config:CurateConfig",
        "pipeline.curation.curate:run",
        report="pipeline.curation.audit.funnel:report_lines",
        version=3,
    ),
    "synthesize": StageType(
        "pipeline.synthesis.config:SynthesizeConfig",
        "pipeline.synthesis.synthesize:run",
        report="pipeline.curation.audit.funnel:report_lines",
        version=3,
    ),
    "tokenizer": StageType("pipeline.tokenization.config:TokenizerConfig", "pipeline.tokenization.train_tokenizer:run"),
    "tokenize": StageType(
        "pipeline.tokenization.config:TokenizeConfig", "pipeline.tokenization.tokenize:run", version=2
    ),
    "pretrain": StageType("pipeline.pretraining.config:PhaseConfig", "pipeline.pretraining.phase:run"),
    "sft_data": StageType(
        "pipeline.posttraining.data.config:SftDataConfig", "pipeline.posttraining.data.sft_data:run", version=2
    ),
    "sft": StageType("pipeline.posttraining.sft.config:SftConfig", "pipeline.posttraining.sft.train:run"),
    "reward_model": StageType(
        "pipeline.posttraining.reward.config:RewardModelConfig", "pipeline.posttraining.reward.train:run"
    ),
    "rl": StageType("pipeline.posttraining.rl.config:RlConfig", "pipeline.posttraining.rl.train:run", version=2),
    "evaluate": StageType("pipeline.evaluation.config:EvaluateConfig", "pipeline.evaluation.evaluate:run"),
    "release": StageType("pipeline.release.config:ReleaseConfig", "pipeline.release.release:run", version=2),
}


def stage_type(name: str, stage: str) -> StageType:
    """The kind of a name.

    Raises:
        ConfigError: for a kind that does not exist.
    """
    if name not in STAGE_TYPES:
        raise ConfigError(f"stages.{stage}.kind={name}: unknown kind, {nearest(name, STAGE_TYPES)}")
    return STAGE_TYPES[name]


def load_symbol(reference: str) -> Any:
    """What a `module:name` string refers to."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
