"""Settings of an evaluation: of a stage `evaluate_*`, or a suite in `conf/evaluation`. Null leaves a part out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from pipeline.core.config import ResourcesConfig, nearest
from pipeline.core.stage_plan import StagePlan
from pipeline.environments.problem import ProblemConfig
from pipeline.pretraining.model_config import ModelConfig

EXCLUDED = {"fingerprint": False}
PARTS = ("loss", "long_context", "text", "probes", "accuracy", "harness")
"""What an evaluation can measure, in the order in which it does: keys of its settings."""
METRICS = {
    "loss": ("loss",),
    "long_context": ("long_range_loss", "needle_exact", "needle_loss", "needle_gain"),
    "text": ("bits_per_byte", "gzip_bits_per_byte", "xz_bits_per_byte"),
    "probes": ("probe", "probe_chance", "probe_gain"),
    "accuracy": tuple(
        f"{name}{split}"
        for split in ("", "_instances", "_train")
        for name in ("accuracy", "in_format", "unfinished", "floor", "chance", "prompts", "above_floor")
    ),
    "harness": ("harness",),
}
"""By part, the first words of the names of its metrics."""
MEASURED_BY = {family: part for part, families in METRICS.items() for family in families}


@dataclass(frozen=True, kw_only=True)
class HeldOutLossConfig:
    """Loss per domain on held-out documents, packed as in training."""

    context: PositiveInt
    """Tokens in a sequence: that of pretraining, so that it says what short context costs later phases."""
    sequences_per_domain: PositiveInt
    """Sequences of each domain, fewer where it has fewer."""


@dataclass(frozen=True, kw_only=True)
class LongContextConfig:
    """What a model makes of more context than it was pretrained on."""

    beyond: PositiveInt
    """The pretraining context in tokens: long-range loss is taken at positions from here on."""
    contexts: Annotated[list[PositiveInt], Field(min_length=1)]
    """Tokens in a window, one measurement each."""
    domains: Annotated[list[str], Field(min_length=1)]
    """Domains with long documents: what windows are cut from, and what needles are hidden in. In a configuration, null
    stands for the mixture of the phase with the longest context."""
    windows: PositiveInt
    """Windows of a context, each inside one held-out document."""
    needles: PositiveInt
    """Needles of a context, at depths spread evenly."""
    value_digits: PositiveInt
    """Digits of the number to retrieve."""

    def __post_init__(self) -> None:
        if max(self.contexts) <= self.beyond:
            raise ValueError(
                f"contexts {self.contexts} do not reach beyond {self.beyond}, add one that does or set beyond"
            )


@dataclass(frozen=True, kw_only=True)
class OutsideTextConfig:
    """Text that no stage of the run has seen: files, or the documentation of installed packages."""

    path: str | None = None
    """A text file, or a folder of .txt, .md and .rst files; null where packages are named."""
    packages: tuple[str, ...] = ()
    """Installed Python packages, whose longer docstrings are read, a document a module."""

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.packages):
            raise ValueError("path and packages are both set or both missing, set one")


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Bits per byte of text: what models with different tokenizers can be compared by."""

    context: PositiveInt
    """Tokens in a window; a longer document takes several, which share one token."""
    maximum_bytes: PositiveInt
    """Bytes of each domain and of each text from outside, at most."""
    outside: dict[str, OutsideTextConfig]
    """Texts from outside by name."""
    held_out: bool
    """Whether held-out documents of the run are measured too, domain by domain, where there are tokens."""

    def __post_init__(self) -> None:
        if not self.outside and not self.held_out:
            raise ValueError("outside is empty and held_out false, name a text or set held_out")


@dataclass(frozen=True, kw_only=True)
class ProbesConfig:
    """Tasks that a program writes: families of RULER (arXiv 2404.06654), copying, and filling in the middle."""

    families: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names in `pipeline.evaluation.probes`."""
    lengths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Tokens of a prompt with its answer; one measurement each."""
    examples: PositiveInt
    """Examples of a family at a length."""

    def __post_init__(self) -> None:
        from pipeline.evaluation.probes.names import FAMILIES

        for name in self.families:
            if name not in FAMILIES:
                raise ValueError(f"families: no probe {name}, {nearest(name, FAMILIES)}")


@dataclass(frozen=True, kw_only=True)
class HarnessConfig:
    """Tasks of lm-evaluation-harness (the extra `harness`)."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of its tasks or groups."""
    include_path: str | None = None
    """Folder with task files of one's own, whose data may be local; null takes its built-in ones."""
    few_shot: NonNegativeInt | None = None
    """Examples before each question; null is what each task says."""
    limit: PositiveInt | None = None
    """Questions of each task, at most; null asks all."""
    chat: bool = False
    """Whether questions are asked in the model's chat template."""
    offline: bool = True
    """Whether only data on this machine are used; false lets data sets be fetched from the hub."""
    batch_size: PositiveInt = field(default=8, metadata=EXCLUDED)
    """Requests in one forward pass."""


@dataclass(frozen=True, kw_only=True)
class AccuracyConfig:
    """Answers of a chat model to held-out prompts, judged by the environments' verifiers."""

    environments: Annotated[list[str], Field(min_length=1)]
    """Domains of `pipeline.environments`, or `module:ENVIRONMENT`."""
    problems_per_environment: PositiveInt
    """Different prompts of each environment and split, at most: one with fewer is asked all it has."""
    splits: Annotated[tuple[Literal["held_out", "train", "instances"], ...], Field(min_length=1)]
    """What is asked: `held_out`, other phrasings of what training may ask; `train`, what it may ask; `instances`, tasks
    about numbers, words or names that no training has, of the environments that have some at the difficulty."""
    maximum_new_tokens: PositiveInt
    """Tokens of an answer, at most."""
    problems: ProblemConfig
    """Difficulty of the problems, and the assistant's name in them."""
    batch_prompts: PositiveInt = field(metadata=EXCLUDED)
    """Prompts answered at a time."""
    samples: NonNegativeInt = 3
    """Answers to show in the report."""

    def __post_init__(self) -> None:
        from pipeline.environments.registry import check_names

        try:
            check_names(self.environments)
        except ValueError as error:
            raise ValueError(f"environments: {error}") from None
        if len(set(self.splits)) < len(self.splits):
            raise ValueError(f"splits {', '.join(self.splits)}: one is named twice, name each once")
        if "held_out" not in self.splits:
            raise ValueError(f"splits {', '.join(self.splits)}: held_out is missing, add it")


@dataclass(frozen=True, kw_only=True)
class GatesConfig:
    """What a checkpoint may have lost. A gate that is null holds nothing."""

    accuracy_may_fall: Annotated[float, Field(ge=0, le=1)] | None = field(metadata=EXCLUDED)
    """Fall of a domain's accuracy against the input `before`, on the same prompts, that is let pass: what is held
    against it is the upper end of the change's 90 % interval."""
    loss_may_rise: NonNegativeFloat | None = field(metadata=EXCLUDED)
    """Rise of the mean loss on text, and of the loss at long range, against the input `before`, as a share of it."""
    uniform_guess: bool = field(metadata=EXCLUDED)
    """Whether a loss above that of a uniform guess, the logarithm of the vocabulary, is named: such a model knows less
    of text than none."""
    action: Literal["warn", "stop"] = field(metadata=EXCLUDED)
    """What follows: a warning in the log and in the report, or the end of the stage before it is published."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What is measured of a checkpoint, and how the model runs meanwhile."""

    loss: HeldOutLossConfig | None
    """Loss per domain; null: not measured."""
    long_context: LongContextConfig | None = None
    """Long-range loss and needle retrieval; null: not measured."""
    text: TextConfig | None
    """Bits per byte; null: not measured."""
    probes: ProbesConfig | None
    """Generated tasks; null: none."""
    accuracy: AccuracyConfig | None = None
    """Verified answers; null: not measured."""
    gates: GatesConfig | None = None
    """What the checkpoint may have lost; null: nothing is held against anything."""
    harness: HarnessConfig | None = None
    """Tasks of lm-evaluation-harness; null: none."""
    headline: str
    """Metric for the summary, such as `loss/mean`, `long_range_loss/131072` or `accuracy/mean`."""
    precision: Literal["fp32", "bf16"]
    """Arithmetic of the forward pass."""
    attention: Literal["sdpa", "flash_attention_2"] = field(metadata=EXCLUDED)
    """Attention kernel; `flash_attention_2` needs the flash-attn package and a GPU."""
    batch_tokens: PositiveInt = field(metadata=EXCLUDED)
    """Tokens in one forward pass of the loss; a single longer window is a pass of its own."""
    loss_chunk_tokens: PositiveInt = field(default=4096, metadata=EXCLUDED)
    """Tokens whose logits are in memory at a time."""

    @property
    def parts(self) -> list[str]:
        """Names of the parts that are measured, in their order."""
        return [name for name in PARTS if getattr(self, name) is not None]

    @property
    def reads_tokens(self) -> list[str]:
        """Those that cannot be measured without held-out tokens."""
        return [name for name in self.parts if name in ("loss", "long_context")]

    def data_fingerprint(self) -> dict[str, Any] | None:
        """What identifies files that settings name: environments of one's own, texts from outside, task files."""
        from pipeline.environments.own import own_sources
        from pipeline.evaluation.outside_text import describe_texts

        found: dict[str, Any] = dict(own_sources(self.accuracy.environments)) if self.accuracy else {}
        if self.text is not None and self.text.outside:
            found["text"] = describe_texts(self.text.outside)
        if self.harness is not None and self.harness.include_path is not None:
            from pipeline.evaluation.task_files import describe_tasks

            found["tasks"] = describe_tasks(self.harness.include_path)
        return found or None

    def plan(
        self,
        resources: ResourcesConfig,
        models: Mapping[str, ModelConfig | None],
        upstream: Mapping[str, Mapping[str, Any]],
    ) -> StagePlan:
        """What `fivephase plan` says of the stage: its FLOPs and time, and what it cannot measure.

        Args:
            resources: ranks and the time limit.
            models: by input, the shape of its model; None for one that is known only once its checkpoint is read.
            upstream: by input, the settings of the stage that makes it.

        Raises:
            ConfigError: for a part that needs tokens where there are none, and a text or task that is not there.
        """
        from pipeline.evaluation.planned import plan_evaluation

        return plan_evaluation(self, resources, models, upstream)

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason."""
        parts = [key for key in ("loss", "long_context") if getattr(self, key) is not None]
        return {"tokens": f"config.{' and '.join(parts)} is measured on tokens, null is not"} if parts else {}

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"{', '.join(PARTS)} are all null, set one")
        # What data and model decide of the names is known once all is measured.
        family, _, of = self.headline.partition("/")
        if family not in MEASURED_BY:
            known = [each for each, part in MEASURED_BY.items() if part in self.parts]
            raise ValueError(f"headline {self.headline}: no metric, {nearest(family, known)}, with what follows its /")
        if MEASURED_BY[family] not in self.parts:
            raise ValueError(
                f"headline {self.headline}: {MEASURED_BY[family]} is null and not measured, choose another"
            )
        domain, domains = of.removesuffix("/low").removesuffix("/high"), self.accuracy and self.accuracy.environments
        if family == "accuracy" and domains and domain not in (known := ("mean", *domains)):
            raise ValueError(
                f"headline {self.headline}: accuracy.environments has no {domain}, {nearest(domain, known)}"
            )
