"""What a run would do, computed without running it: tokens, steps, learning rates and floating-point operations.

What these numbers show to be impossible is rejected here, before anything is spent.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.stage_plans import plan_stages
from pipeline.core.config import RunConfig, build, nearest
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json
from pipeline.core.stage_plan import StagePlan
from pipeline.core.terminal import text_table
from pipeline.pretraining.config import PhaseConfig, accumulation_steps
from pipeline.pretraining.model_config import ModelConfig
from pipeline.pretraining.schedules import Schedule, schedule_of
from pipeline.pretraining.stored_shape import StoredShape, stored_shape
from pipeline.stages import load_symbol, stage_type
from pipeline.tokenization.config import written_domains

HEADER = ("stage", "kind", "ranks", "tokens", "context", "steps", "learning rate", "FLOPs")
LINE_WIDTH = 80
"""Columns that the lines below the table take."""


@dataclass(frozen=True)
class PlannedPhase:
    """A pretraining phase with what depends on the phases before it: its schedule and the tokens trained so far."""

    config: PhaseConfig
    schedule: Schedule
    tokens_before: int
    """Tokens of all phases that its model went through before it."""
    shape: ModelConfig | StoredShape | None
    """That of its model, where the settings or files on this machine say it."""

    @property
    def flops(self) -> float | None:
        """Floating-point operations of the phase, forward and backward, by the usual estimate; None where the shape of
        the model is not known.

        6·parameters·tokens for the matrix products with weights (Kaplan et al., arXiv 2001.08361, section 2.1), and
        6·layers·hidden·context·tokens for attention scores and values: 12 without a mask, of which a causal one leaves
        half.
        """
        shape, tokens = self.shape, self.schedule.tokens
        if shape is None:
            return None
        attention = 6 * shape.layers * shape.hidden_size * self.config.context
        return (6 * shape.parameters + attention) * tokens


def plan_phases(stages: Sequence[FrozenStage], root: str | Path) -> dict[str, PlannedPhase]:
    """The pretraining phases that the stages make, by name, each beginning where the phase whose model it takes ended.

    Args:
        stages: all of a run.
        root: folder of all runs, where phases of other runs are found.

    Raises:
        ConfigError: for a mixture with a domain that is not tokenized, a vocabulary that is not the model's, a step
            that cannot be divided among the ranks, or a decay without a learning rate to start from.
    """
    by_name = {stage.stage: stage for stage in stages}
    planned: dict[str, PlannedPhase] = {}
    # Tokens and learning rate at the end of each phase.
    ends: dict[str, tuple[int, float | None]] = {}
    for stage in stages:
        if stage.kind != "pretrain":
            continue
        if stage.folder is not None:
            ends[stage.stage] = _end_of(stage.directory(root))
            continue
        where = f"stages.{stage.stage}.config"
        config = build(PhaseConfig, stage.config, where)
        tokenize = by_name[stage.inputs["tokens"]["stage"]].config
        domains = written_domains(tokenize["domains"], tokenize.get("long_documents", ()))
        for domain in config.domains:
            if domain not in domains:
                raise ConfigError(f"{where}.mixture.{domain}: no such domain is tokenized, {nearest(domain, domains)}")
        _check_vocabulary(where, config, [by_name[stage.inputs[role]["stage"]] for role in ("tokenizer", "tokens")])
        before = stage.inputs["model"]["stage"] if "model" in stage.inputs else ""
        tokens_before, rate_before = ends.get(before, (0, None))
        try:
            accumulation_steps(config, stage.resources["nodes"] * stage.resources["processes_per_node"])
            schedule = schedule_of(config, tokens_before, rate_before)
        except ConfigError as error:
            raise ConfigError(f"{where}.{error}") from None
        planned[stage.stage] = PlannedPhase(config, schedule, tokens_before, _shape_of(stage, by_name, root))
        ends[stage.stage] = tokens_before + schedule.tokens, schedule.end_rate
    return planned


def _shape_of(stage: FrozenStage, stages: dict[str, FrozenStage], root: str | Path) -> ModelConfig | StoredShape | None:
    """The shape of the model that a stage makes: as it sets it, as its files have it, or that of the one it takes."""
    if stage.folder is not None:
        return stored_shape(stage.directory(root) / "checkpoint")
    where = f"stages.{stage.stage}.config"
    config = build(load_symbol(stage_type(stage.kind, stage.stage).config), stage.config, where)
    if isinstance(config, PhaseConfig) and config.model is not None:
        return config.model
    if (weights_folder := getattr(config, "weights_folder", None)) is not None:
        return stored_shape(weights_folder())
    return _shape_of(stages[stage.inputs["model"]["stage"]], stages, root) if "model" in stage.inputs else None


def _end_of(folder: Path) -> tuple[int, float | None]:
    """Tokens and learning rate at the end of a phase of another run; none of either for weights without a state."""
    state = folder / "training_state" / "progress.json"
    if not state.is_file():
        return 0, None
    progress = read_json(state)
    return progress["tokens"], progress["learning_rate"]


def _check_vocabulary(where: str, phase: PhaseConfig, read: list[FrozenStage]) -> None:
    if phase.model is None:
        return
    for stage in read:
        ids = stage.config.get("vocab_size", phase.model.vocab_size)
        if ids != phase.model.vocab_size:
            raise ConfigError(
                f"{where}.model.vocab_size={phase.model.vocab_size}: stages.{stage.stage}.config.vocab_size is {ids}; "
                "set model.vocab_size alone, which all stages take"
            )


def check_ranks(stages: list[FrozenStage]) -> None:
    """Makes sure that the ranks of each stage can share its work.

    Raises:
        ConfigError: for a kind that has one rank and is given several, or a step that cannot be divided.
    """
    for stage in stages:
        if stage.folder is not None:
            continue
        ranks = stage.resources["nodes"] * stage.resources["processes_per_node"]
        kind = stage_type(stage.kind, stage.stage)
        if ranks > 1 and not kind.several_ranks:
            raise ConfigError(
                f"stages.{stage.stage}.resources: {ranks} ranks, but {stage.kind} works on one; set nodes and "
                "processes_per_node to 1"
            )
        where = f"stages.{stage.stage}.config"
        config = build(load_symbol(kind.config), stage.config, where)
        if hasattr(config, "step_size"):
            try:
                config.step_size.shared_by(ranks)
            except ConfigError as error:
                raise ConfigError(f"{where}.{error}") from None


def check_data(stages: list[FrozenStage]) -> list[str]:
    """Reads the files of one's own that stages name, where a stage's settings have a `check_data`.

    Returns what these say of rows that will be left out, with the stage.

    Raises:
        UserError: of that `check_data`, for rows that cannot be used or are too few.
    """
    said: list[str] = []
    for stage in stages:
        if stage.folder is not None:
            continue
        config = build(
            load_symbol(stage_type(stage.kind, stage.stage).config), stage.config, f"stages.{stage.stage}.config"
        )
        if hasattr(config, "check_data"):
            said += [f"{stage.stage}: {each}" for each in config.check_data()]
    return said


def with_token_budget(stages: list[FrozenStage], root: str | Path) -> list[FrozenStage]:
    """The same stages, with the setting `demand` of those that tokenize: the fewest tokens of each domain that do.

    A phase that takes n tokens of a domain, each at most max_epochs times, needs n / max_epochs different ones; where
    several phases take a domain, the largest of these numbers counts. How many tokens the long documents of a domain
    have is known only after tokenization, so mixtures of those are left to the check of the phase itself.

    Raises:
        ConfigError: for what `plan_phases` rejects.
    """
    tokenizing = [stage for stage in stages if stage.kind == "tokenize" and stage.folder is None]
    demand: dict[str, dict[str, int]] = {stage.stage: {} for stage in tokenizing}
    tokenized = {stage.stage: stage.config["domains"] for stage in tokenizing}
    inputs = {stage.stage: stage.inputs for stage in stages}
    for name, phase in plan_phases(stages, root).items():
        source = inputs[name]["tokens"]["stage"]
        if (needed := demand.get(source)) is None:
            continue
        for domain, share in phase.config.domains.items():
            if domain not in tokenized[source]:
                continue
            tokens = math.ceil(share * phase.schedule.tokens / phase.config.max_epochs)
            needed[domain] = max(tokens, needed.get(domain, 0))
    return [
        replace(stage, config={**stage.config, "demand": demand[stage.stage]}) if stage.stage in demand else stage
        for stage in stages
    ]


def plan_table(config: RunConfig, stages: list[FrozenStage], selected: list[FrozenStage]) -> str:
    """What `fivephase plan` prints: the stages that would run, with the numbers of those that train."""
    planned, others = plan_phases(stages, config.root), plan_stages(stages)
    rows: list[tuple[str, ...]] = [HEADER]
    for stage in selected:
        ranks = stage.resources["nodes"] * stage.resources["processes_per_node"]
        row = [stage.stage, stage.kind, str(ranks), "", "", "", "", ""]
        if stage.stage in planned:
            phase = planned[stage.stage]
            schedule = phase.schedule
            rates = f"{schedule.rate_of_step(0):.3g} → {schedule.end_rate:.3g} ({phase.config.learning_rate.law})"
            row[3:] = [
                f"{schedule.tokens:,}",
                f"{phase.config.context:,}",
                f"{phase.config.steps:,}",
                rates,
                "" if phase.flops is None else f"{phase.flops:.2e}",
            ]
        elif stage.stage in others:
            row[5] = others[stage.stage].steps
        rows.append(tuple(row))
    tokens = sum(planned[stage.stage].schedule.tokens for stage in selected if stage.stage in planned)
    mixtures = [line for stage in selected if stage.stage in planned for line in _mixture(planned[stage.stage], stage)]
    trained = _said([(stage.stage, others[stage.stage]) for stage in selected if stage.stage in others])
    unsaved = [stage.stage for stage in selected if stage_type(stage.kind, stage.stage).lead_seconds is None]
    return "\n".join(
        [
            *text_table(rows, right=(2, 3, 4, 5, 7), rule=True),
            "",
            *(f"{stage.stage}: from {stage.directory(config.root)}" for stage in stages if stage.folder is not None),
            *mixtures,
            *([""] if mixtures else []),
            *trained,
            *([""] if trained else []),
            *_to_fetch(selected),
            *([f"cannot save midway, begin anew when ended: {', '.join(unsaved)}"] if unsaved else []),
            f"run {config.run}, scale {config.scale}: {len(selected)} stages, {tokens:,} tokens of pretraining",
        ]
    )


def _to_fetch(selected: list[FrozenStage]) -> list[str]:
    """For each stage with data sets or a model of the hub that are not on this machine a paragraph that names them.

    A stage names them by a method `datasets_to_fetch` of its settings.
    """
    lines: list[str] = []
    for stage in selected:
        cls = load_symbol(stage_type(stage.kind, stage.stage).config)
        if stage.folder is None and hasattr(cls, "datasets_to_fetch"):
            names = build(cls, stage.config, f"stages.{stage.stage}.config").datasets_to_fetch()
            text = f"{stage.stage} fetches from the hub what is not on this machine: {', '.join(names)}"
            lines += _wrapped(text) if names else []
    return [*lines, ""] if lines else []


def _mixture(phase: PlannedPhase, stage: FrozenStage) -> list[str]:
    """The mixture of a phase in percent of its tokens, and what of it is rearranged, in lines of a terminal's width."""
    config = phase.config
    shares = ", ".join(f"{domain}\u00a0{100 * share:.3g}\u00a0%" for domain, share in config.domains.items())
    lines = [f"mixture of {stage.stage}: {shares}"]
    if config.fill_in_the_middle is not None:
        domains = ", ".join(config.rearranged_domains) or "no domain of this mixture"
        lines.append(f"fill-in-the-middle in {stage.stage}: {domains}")
    return [each for line in lines for each in _wrapped(line)]


def _said(plans: list[tuple[str, StagePlan]]) -> list[str]:
    """The lines of plans, then their warnings, each once with all stages that it is said of."""
    lines: dict[str, list[str]] = {}
    for name, plan in plans:
        for said in plan.lines:
            lines.setdefault(said, []).append(name)
    for name, plan in plans:
        for said in plan.warnings:
            lines.setdefault(f"warning: {said}", []).append(name)
    return [each for said, names in lines.items() for each in _wrapped(f"{', '.join(names)}: {said}")]


def _wrapped(line: str) -> list[str]:
    """A line in several of a terminal's width, and spaces that kept words together as plain ones."""
    wrap = textwrap.TextWrapper(
        width=LINE_WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    return [each.replace("\u00a0", " ") for each in wrap.wrap(line)]
