"""The kinds of stages, each with the dataclass that checks its settings and the function that does its work.

They are named as strings, so that whoever plans or freezes a run imports neither torch nor a trainer.
"""

import importlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError

SHORT, LONG = 120, 600
"""Seconds for tasks that are given up and begun again, and for a step and a save that nobody has measured yet."""


@dataclass(frozen=True)
class StageType:
    """One kind of stage. Stages of one kind, such as the phases of pretraining, differ in their settings alone."""

    config: str
    """`module:class` of the dataclass of its settings."""
    entry: str
    """`module:function` that takes a `StageContext` and returns a `StageResult`."""
    report: str | None = None
    """`module:function` that takes a finished stage's folder and returns lines for `fivephase report`."""
    keeps_outputs: bool = False
    """Whether an attempt goes on with the outputs of the one before; otherwise it begins with an empty folder."""
    lead_seconds: int | None = None
    """Seconds before the end of its time at which a stage is told to save, until an attempt has measured how long that
    takes. None if the kind does not look at the stop signal: it may be ended at any moment, and begins anew."""
    several_ranks: bool = False
    """Whether ranks share its work. The ranks of other kinds would all do the same, in the same files."""
    inputs: tuple[str, ...] = ()
    """Roles that it cannot do without; of `a|b` one is enough."""
    optional_inputs: tuple[str, ...] = ()
    """Roles that it can do without, as shell patterns: a run whose chain lacks the stage goes without its artifact."""
    conditional_inputs: tuple[str, ...] = ()
    """Roles, as shell patterns, that it reads where they are given; the method `needed_inputs` of its dataclass says
    which of them the settings cannot do without."""
    stands_for: tuple[str, ...] = ()
    """Other kinds whose artifact one of this kind can replace, where a run takes a stage from another (`from`)."""
    version: int = 1
    """To be raised when the same settings would give another result: stages of this kind are then made anew."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of all that it may read, as shell patterns."""
        alternatives = [each for roles in self.inputs for each in roles.split("|")]
        return tuple(dict.fromkeys([*alternatives, *self.optional_inputs, *self.conditional_inputs]))

    @property
    def saves_in_between(self) -> bool:
        """Whether it looks at the stop signal and saves; one that does not may be ended at any moment."""
        return self.lead_seconds is not None


STAGE_TYPES = {
    "curate": StageType(
        "pipeline.curation.config:CurateConfig",
        "pipeline.curation.curate:run",
        report="pipeline.curation.audit.funnel:report_lines",
        keeps_outputs=True,
        lead_seconds=SHORT,
        version=4,
    ),
    "synthesize": StageType(
        "pipeline.synthesis.config:SynthesizeConfig",
        "pipeline.synthesis.synthesize:run",
        conditional_inputs=("corpus",),
        report="pipeline.curation.audit.funnel:report_lines",
        lead_seconds=SHORT,
        version=7,
    ),
    "tokenizer": StageType(
        "pipeline.tokenization.config:TokenizerConfig",
        "pipeline.tokenization.train_tokenizer:run",
        inputs=("corpus|synthetic",),
        optional_inputs=("synthetic",),
    ),
    "tokenize": StageType(
        "pipeline.tokenization.config:TokenizeConfig",
        "pipeline.tokenization.tokenize:run",
        inputs=("tokenizer", "corpus|synthetic"),
        optional_inputs=("synthetic",),
        lead_seconds=LONG,
        version=2,
    ),
    "import_tokens": StageType(
        "pipeline.tokenization.config:ImportTokensConfig",
        "pipeline.tokenization.import_tokens:run",
        lead_seconds=LONG,
        stands_for=("tokenize", "tokenizer"),
    ),
    "pretrain": StageType(
        "pipeline.pretraining.config:PhaseConfig",
        "pipeline.pretraining.phase:run",
        inputs=("tokens", "tokenizer"),
        conditional_inputs=("model",),
        lead_seconds=LONG,
        several_ranks=True,
        version=3,
    ),
    "import_model": StageType(
        "pipeline.model_import.config:ImportModelConfig",
        "pipeline.model_import.import_model:run",
    ),
    "sft_data": StageType(
        "pipeline.posttraining.data.config:SftDataConfig",
        "pipeline.posttraining.data.sft_data:run",
        inputs=("tokenizer",),
        report="pipeline.curation.audit.funnel:report_lines",
        lead_seconds=SHORT,
        version=8,
    ),
    "sft": StageType(
        "pipeline.posttraining.sft.config:SftConfig",
        "pipeline.posttraining.sft.train:run",
        inputs=("model", "data"),
        conditional_inputs=("tokens",),
        lead_seconds=LONG,
        several_ranks=True,
        version=8,
    ),
    "reward_model": StageType(
        "pipeline.posttraining.reward.config:RewardModelConfig",
        "pipeline.posttraining.reward.train:run",
        inputs=("model", "data"),
        lead_seconds=LONG,
        several_ranks=True,
        version=6,
    ),
    "rl": StageType(
        "pipeline.posttraining.rl.config:RlConfig",
        "pipeline.posttraining.rl.train:run",
        inputs=("model",),
        conditional_inputs=("reward_model*",),
        lead_seconds=LONG,
        several_ranks=True,
        version=8,
    ),
    "evaluate": StageType(
        "pipeline.evaluation.config:EvaluateConfig",
        "pipeline.evaluation.evaluate:run",
        report="pipeline.evaluation.report:report_lines",
        inputs=("model",),
        optional_inputs=("before",),
        conditional_inputs=("tokens",),
        lead_seconds=LONG,
        several_ranks=True,
        version=7,
    ),
    "release": StageType(
        "pipeline.release.config:ReleaseConfig",
        "pipeline.release.release:run",
        inputs=("model",),
        optional_inputs=("evaluate_*",),
        version=6,
    ),
    "disclose": StageType(
        "pipeline.disclosure.config:DiscloseConfig",
        "pipeline.disclosure.disclose:run",
        inputs=("release",),
    ),
}

DOCUMENTS = ("curate", "synthesize")
"""Kinds of stages that write documents."""
PLAYED_BY = {
    "corpus": DOCUMENTS,
    "synthetic": DOCUMENTS,
    "tokenizer": ("tokenizer", "import_tokens", "import_model"),
    "tokens": ("tokenize", "import_tokens"),
    "model": ("pretrain", "import_model", "sft", "rl"),
    "data": ("sft_data",),
    "reward_model*": ("reward_model",),
    "before": ("evaluate",),
    "evaluate_*": ("evaluate",),
    "release": ("release",),
}
"""Roles of inputs, as shell patterns, with the kinds of stages whose artifacts can play them."""


def players(role: str) -> tuple[str, ...]:
    """The kinds of stages whose artifacts can play a role, or the roles of a pattern."""
    return next(kinds for pattern, kinds in PLAYED_BY.items() if role == pattern or fnmatchcase(role, pattern))


def stage_type(name: str, stage: str) -> StageType:
    """The kind of stage with a name.

    Args:
        name: the kind, as the configuration of the stage has it.
        stage: name of the stage, for the error message.

    Raises:
        ConfigError: for a kind that does not exist.
    """
    if name not in STAGE_TYPES:
        raise ConfigError(f"stages.{stage}.kind={name}: unknown kind, {nearest(name, STAGE_TYPES)}")
    return STAGE_TYPES[name]


def load_symbol(reference: str) -> Any:
    """Imports the module of a `module:name` string and returns what it has under that name."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
