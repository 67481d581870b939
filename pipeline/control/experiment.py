"""Experiments of `conf/experiment/`: variants of a run, seeds, what is compared, and the page that says the result."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, NonNegativeInt

from pipeline.control.compose import own_folder
from pipeline.core.config import build, nearest
from pipeline.core.errors import ConfigError
from pipeline.core.installation import CONF

FOLDER = "experiment"
"""Group of `conf/` with the experiments."""
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t: 97.5 % quantile for 1 to 10 degrees of freedom; beyond, the last one, which makes intervals too wide."""
Values = Mapping[str, Mapping[int, float]]
"""A metric by variant and seed."""


@dataclass(frozen=True, kw_only=True)
class MetricConfig:
    """One number that variants are compared by."""

    name: str
    """As the manifest of the stage that measures it has it, such as `loss/mean`."""
    better: Literal["lower", "higher"]
    """Which way is better, for the table."""


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """One of what is compared."""

    overrides: list[str] = field(default_factory=list)
    """Hydra overrides of its run, beside those of the experiment."""
    stage: str | None = None
    """Stage whose metrics are read; null is the experiment's."""
    run_of: str | None = None
    """Variant whose run is read instead of one of its own: two stages of one run are compared."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """What `fivephase experiment` runs and compares."""

    question: str
    """What it is to decide, in a sentence, for the table."""
    limits: str
    """What it cannot say, in a sentence, for the table."""
    overrides: list[str]
    """Hydra overrides of all runs."""
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    """Seeds that each variant is run with; differences are taken seed by seed."""
    shared: list[str] = field(default_factory=list)
    """Stages that are the same in all variants: made once for each seed, by a run of their own."""
    stage: str
    """Stage whose metrics are read, unless a variant names another; runs end with it."""
    metrics: Annotated[list[MetricConfig], Field(min_length=1)]
    """What is compared."""
    variants: dict[str, VariantConfig]
    """By name; the first is what the others are held against."""

    def __post_init__(self) -> None:
        if len(self.variants) < 2:
            raise ValueError(f"variants names {len(self.variants)}, set two or more")
        for name, variant in self.variants.items():
            other = variant.run_of
            if other is not None and (other not in self.variants or self.variants[other].run_of is not None):
                raise ValueError(f"variants.{name}.run_of is {other}, set a variant that has a run of its own")
            if other is not None and variant.overrides:
                raise ValueError(f"variants.{name}.overrides: its run is that of {other}, set them there")

    def stage_of(self, variant: str) -> str:
        """The stage whose metrics are read of a variant."""
        return self.variants[variant].stage or self.stage


def load_experiment(name: str, config_dir: str | None = None) -> ExperimentConfig:
    """An experiment of `conf/experiment/`, or of the user's own folder of configurations.

    Raises:
        ConfigError: for a name that does not exist, with the nearest that does, or a file that says something else.
    """
    own = own_folder(config_dir)
    folders = [CONF, *([own] if own is not None else [])]
    found = {path.stem: path for folder in folders for path in sorted((folder / FOLDER).glob("*.yaml"))}
    if name not in found:
        raise ConfigError(f"experiment {name}: there is none of this name, {nearest(name, found)}")
    path = found[name]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no settings, set question, variants and the like")
    return build(ExperimentConfig, content, str(path))


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean of values, and half the width of its 95 % interval by Student's t; None for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    quantile = T_95[min(len(values) - 2, len(T_95) - 1)]
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def differences(values: Values, first: str, other: str) -> list[float]:
    """Another variant minus the first, seed by seed, for the seeds that both have."""
    return [values[other][seed] - values[first][seed] for seed in sorted(values[first]) if seed in values[other]]


def as_markdown(name: str, experiment: ExperimentConfig, measured: Mapping[str, Values], plot: str) -> str:
    """The page of a finished experiment.

    Args:
        name: the experiment's.
        experiment: what was run.
        measured: by metric, the value of each variant and seed.
        plot: file beside the page with the picture.
    """
    first = next(iter(experiment.variants))
    seeds = ", ".join(map(str, experiment.seeds))
    lines = [
        f"# {name}",
        "",
        experiment.question,
        "",
        f"Seeds {seeds}. Means with 95 % intervals over seeds by Student's t; differences are taken seed by seed from "
        f"`{first}`. `fivephase experiment {name}` makes this page.",
        "",
        f"Limits: {experiment.limits}",
    ]
    for metric in experiment.metrics:
        values = measured[metric.name]
        lines += ["", f"## {metric.name} ({metric.better} is better)", ""]
        lines += ["| variant | mean | each seed | difference | says |", "|---|---|---|---|---|"]
        for variant in experiment.variants:
            each = ", ".join(f"{values[variant][seed]:.4g}" for seed in sorted(values[variant]))
            change, says = "", ""
            if variant != first:
                mean, half = interval(differences(values, first, variant))
                change, says = _with_interval(mean, half, "+"), _verdict(mean, half, metric.better)
            lines.append(f"| {variant} | {_with_interval(*interval(list(values[variant].values())))} | {each} | "
                         f"{change} | {says} |")  # fmt: skip
    lines += ["", f"![{name}]({plot})"]
    lines += ["", "## Variants", ""]
    lines += [f"- all: `{' '.join(experiment.overrides)}`"]
    for variant, settings in experiment.variants.items():
        where = (
            f"the run of `{settings.run_of}`" if settings.run_of else f"`{' '.join(settings.overrides) or 'as it is'}`"
        )
        lines.append(f"- {variant}: {where}, measured by `{experiment.stage_of(variant)}`")
    return "\n".join(lines) + "\n"


def _with_interval(mean: float, half: float | None, sign: str = "") -> str:
    return f"{mean:{sign}.4g}" + ("" if half is None else f" ± {half:.2g}")


def _verdict(mean: float, half: float | None, better: str) -> str:
    if half is None:
        return "one seed says nothing of noise"
    if abs(mean) <= half:
        return "within noise"
    return "better" if (mean < 0) == (better == "lower") else "worse"


def draw(path: Path, experiment: ExperimentConfig, measured: Mapping[str, Values]) -> None:
    """Draws every metric with its seeds and intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(experiment.metrics), figsize=(4 * len(experiment.metrics), 3.2), squeeze=False, layout="constrained"
    )
    names = list(experiment.variants)
    for panel, metric in zip(panels[0], experiment.metrics, strict=True):
        values = measured[metric.name]
        for place, variant in enumerate(names):
            points = list(values[variant].values())
            mean, half = interval(points)
            panel.errorbar([place], [mean], yerr=None if half is None else [half], fmt="o", capsize=6, color="C0")
            panel.plot([place] * len(points), points, "x", color="C1")
        panel.set_xticks(range(len(names)), names, rotation=20, ha="right")
        panel.set_xlim(-0.5, len(names) - 0.5)
        panel.set_title(f"{metric.name}\n({metric.better} is better)", fontsize=10)
    # No date and no version inside: the same numbers give the same bytes.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def as_json(experiment: ExperimentConfig, measured: Mapping[str, Values]) -> dict[str, Any]:
    """The numbers of the page, for programs."""
    plain = json.loads(json.dumps(measured))
    return {"seeds": experiment.seeds, "variants": list(experiment.variants), "metrics": plain}
