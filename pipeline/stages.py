"""The kinds of stages: which dataclass checks their settings and which function does their work.

Named as strings, so that the control plane imports neither torch nor a trainer.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError


@dataclass(frozen=True)
class Kind:
    """One implementation that stages share."""

    config: str
    """`module:class` of the settings."""
    entry: str
    """`module:function` that takes a `StageContext` and returns a `StageResult`."""
    report: str | None = None
    """`module:function` that takes a finished stage's folder and returns lines for `fivephase report`."""
    version: int = 1
    """Raised when the same settings would give another result: stages of this kind are then made anew."""


KINDS = {
    "curate": Kind(
        "pipeline.curation.config:CurateConfig",
        "pipeline.curation.curate:run",
        report="pipeline.curation.audit.report:report_lines",
        version=3,
    ),
    "synthesize": Kind(
        "pipeline.synthesis.config:SynthesizeConfig",
        "pipeline.synthesis.synthesize:run",
        report="pipeline.curation.audit.report:report_lines",
        version=3,
    ),
    "tokenizer": Kind("pipeline.tokenization.config:TokenizerConfig", "pipeline.tokenization.train_tokenizer:run"),
    "tokenize": Kind("pipeline.tokenization.config:TokenizeConfig", "pipeline.tokenization.tokenize:run", version=2),
    "pretrain": Kind("pipeline.pretraining.config:PhaseConfig", "pipeline.pretraining.phase:run"),
    "sft_data": Kind(
        "pipeline.posttraining.data.config:SftDataConfig", "pipeline.posttraining.data.sft_data:run", version=2
    ),
    "sft": Kind("pipeline.posttraining.sft.config:SftConfig", "pipeline.posttraining.sft.train:run"),
    "reward_model": Kind(
        "pipeline.posttraining.reward.config:RewardModelConfig", "pipeline.posttraining.reward.train:run"
    ),
    "rl": Kind("pipeline.posttraining.rl.config:RlConfig", "pipeline.posttraining.rl.train:run", version=2),
    "evaluate": Kind("pipeline.evaluation.config:EvaluateConfig", "pipeline.evaluation.evaluate:run"),
    "release": Kind("pipeline.release.config:ReleaseConfig", "pipeline.release.release:run", version=2),
}


def kind_of(name: str, stage: str) -> Kind:
    """The kind of a name.

    Raises:
        ConfigError: for a kind that does not exist.
    """
    if name not in KINDS:
        raise ConfigError(f"stages.{stage}.kind={name}: unknown kind, {nearest(name, KINDS)}")
    return KINDS[name]


def load_symbol(reference: str) -> Any:
    """What a `module:name` string refers to."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
