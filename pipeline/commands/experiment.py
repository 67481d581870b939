"""The command `experiment`: every variant and seed of an experiment as an ordinary run, then a page of the result."""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.control.compose import compose, typed
from pipeline.control.experiment import ExperimentConfig, Values, as_json, as_markdown, draw, load_experiment
from pipeline.control.frozen_stages import freeze
from pipeline.core.artifact import read_manifest
from pipeline.core.config import RunConfig, nearest
from pipeline.core.errors import EXIT_DONE, ArtifactError, ConfigError
from pipeline.core.files import write_json
from pipeline.core.terminal import say

RESULTS = Path("docs") / "results"
"""Where the page goes, unless another folder is given by `out=`."""
OUT, SEEDS = "out=", "seeds="
"""What the command takes for itself: a folder, and seeds in place of the experiment's, such as `0,1`."""
OF_RUNS = ("run", "seed", "from", "to")
"""Keys that it sets for each run."""
SHARED = "shared"
"""What the run is called that makes the stages which all variants share."""


def experiment(options: argparse.Namespace) -> int:
    """Runs what is missing and writes `<out>/<name>.md`, `.json` and `.png`; run again, it goes on where it stopped."""
    name = options.experiment
    found = load_experiment(name, options.config_dir)
    given = [each for each in options.overrides if not each.startswith((OUT, SEEDS))]
    places = [each.removeprefix(OUT) for each in options.overrides if each.startswith(OUT)]
    for each in options.overrides:
        if each.startswith(SEEDS):
            found = replace(found, seeds=_seeds(each))
    for each in given:
        if each.partition("=")[0].lstrip("+~") in OF_RUNS:
            raise ConfigError(f"{each}: the experiment sets it for each run; leave it out")
    out = Path(places[-1]) if places else RESULTS
    commands = _commands(name, found, given, options.config_dir)
    for number, (run, overrides) in enumerate(commands, start=1):
        say(f"fivephase: {name}, run {number} of {len(commands)}: {run}")
        config = ["--config-dir", options.config_dir] if options.config_dir else []
        # In a process of its own: a run ends with an exit code, which is this command's if it is not 0.
        code = subprocess.run([sys.executable, "-P", "-m", "pipeline", "run", *config, "--yes", *overrides]).returncode
        if code != EXIT_DONE:
            return code
    root = Path(_composed(found, "", given, options.config_dir).root)
    measured = _measured(name, found, root)
    out.mkdir(parents=True, exist_ok=True)
    plot = out / f"{name}.png"
    draw(plot, found, measured)
    page = out / f"{name}.md"
    page.write_text(as_markdown(name, found, measured, plot.name), encoding="utf-8")
    write_json(out / f"{name}.json", as_json(found, measured))
    print(page)
    return EXIT_DONE


def _seeds(override: str) -> list[int]:
    parts = [each.strip() for each in override.removeprefix(SEEDS).strip("[]").split(",")]
    if not all(each.isdecimal() for each in parts):
        raise ConfigError(f"{override}: set whole numbers, such as seeds=0,1,2")
    return [int(each) for each in parts]


def _commands(
    name: str, found: ExperimentConfig, given: list[str], config_dir: str | None
) -> list[tuple[str, list[str]]]:
    """The runs in their order, each with its overrides. All are composed first, so that nothing fails halfway."""
    for variant in found.variants:
        # Freezing checks the settings of every stage.
        stages = [each.stage for each in freeze(_composed(found, variant, given, config_dir))]
        for stage in (found.stage_of(variant), *found.shared):
            if stage not in stages:
                raise ConfigError(f"experiment {name}: {variant} has no stage {stage}, {nearest(stage, stages)}")
    commands: list[tuple[str, list[str]]] = []
    for seed in found.seeds:
        shared = f"{name}-{SHARED}-seed{seed}"
        if found.shared:
            own = [f"seed={seed}", f"run={shared}", f"to={found.shared[-1]}"]
            commands.append((shared, [*found.overrides, *given, *own]))
        for variant, settings in found.variants.items():
            if settings.run_of is None:
                run = f"{name}-{variant}-seed{seed}"
                taken = [f"stages.{stage}.from={shared}" for stage in found.shared]
                last = _last_stage(found, variant, given, config_dir)
                own = [f"seed={seed}", *taken, f"run={run}", f"to={last}"]
                commands.append((run, [*found.overrides, *settings.overrides, *given, *own]))
    return commands


def _last_stage(found: ExperimentConfig, variant: str, given: list[str], config_dir: str | None) -> str:
    """The last stage that is read of a variant's run, also by other variants."""
    readers = [each for each, settings in found.variants.items() if variant in (each, settings.run_of)]
    wanted = {found.stage_of(each) for each in readers}
    return [stage for stage in _composed(found, variant, given, config_dir).stages if stage in wanted][-1]


def _composed(found: ExperimentConfig, variant: str, given: list[str], config_dir: str | None) -> RunConfig:
    settings = found.variants.get(variant)
    own = [] if settings is None else found.variants[settings.run_of or variant].overrides
    return typed(compose([*found.overrides, *own, *given], config_dir))


def _measured(name: str, found: ExperimentConfig, root: Path) -> dict[str, Values]:
    """By metric, the value of each variant and seed.

    Raises:
        ConfigError: for a metric that a stage did not measure, with the nearest.
        ArtifactError: for a stage that is not finished.
    """
    measured: dict[str, dict[str, dict[int, float]]] = {each.name: {} for each in found.metrics}
    for variant, settings in found.variants.items():
        for seed in found.seeds:
            directory = root / f"{name}-{settings.run_of or variant}-seed{seed}" / found.stage_of(variant)
            manifest = read_manifest(directory)
            if manifest is None:
                raise ArtifactError(f"{directory}: not finished; run `fivephase experiment {name}` again")
            for metric in measured:
                if metric not in manifest.metrics:
                    raise ConfigError(f"{directory}: has no metric {metric}, {nearest(metric, manifest.metrics)}")
                measured[metric].setdefault(variant, {})[seed] = manifest.metrics[metric]
    return {**measured}
