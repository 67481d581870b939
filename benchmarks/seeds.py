"""What several runs of the chain learned, side by side: a Markdown table from their manifests.

make smoke; make smoke ARGS="seed=1 run=seed1"; make smoke ARGS="seed=2 run=seed2"
python benchmarks/seeds.py runs/smoke runs/seed1 runs/seed2 > benchmarks/seeds.md
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline.core.artifact import Manifest, read_manifest
from pipeline.core.errors import ArtifactError

Show = Callable[[dict[str, Manifest]], str]


def change(stage: str) -> Show:
    """A stage's own measure, before and after."""

    def show(stages: dict[str, Manifest]) -> str:
        """One cell."""
        before, after = stages[stage].before, stages[stage].after
        return f"{before:.3f} → {after:.3f}" if before is not None else f"{after:.3f}"

    return show


def short_context(stages: dict[str, Manifest]) -> str:
    """Held-out loss at the context of phases 1 to 4, before and after phase 5."""
    before, after = (stages[f"evaluate_{phase}"].metrics["loss/mean"] for phase in ("phase4", "phase5_512k"))
    return f"{before:.3f} → {after:.3f} ({100 * (after / before - 1):+.1f} %)"


def in_format(stages: dict[str, Manifest]) -> str:
    """Share of sampled replies of the SFT model that have the form of an answer."""
    return f"{100 * stages['sft'].metrics['in_format/after']:.1f} %"


def time_in_stages(stages: dict[str, Manifest]) -> str:
    """Seconds inside stages, without starting up."""
    seconds = sum(manifest.seconds for manifest in stages.values())
    return f"{seconds:.0f} s"


ROWS: dict[str, Show] = {
    **{f"held-out loss, phase {number}": change(f"phase{number}") for number in range(1, 5)},
    "loss beyond 256 tokens at 2,048, through phase 5": change("evaluate_phase5_512k"),
    "held-out loss at 256, through phase 5": short_context,
    "SFT replies in format": in_format,
    "reward model, pairwise accuracy": change("reward_model"),
    **{f"{stage}, mean reward": change(stage) for stage in ("rl_multi_domain", "rl_rlhf", "rl_identity", "rl_math")},
    "greedy accuracy over all domains, after rl_math": lambda stages: (
        f"{stages['evaluate_rl_math'].metrics['accuracy/mean']:.3f}"
    ),
    "time in stages": time_in_stages,
}


def read_run(folder: Path) -> dict[str, Manifest]:
    """The manifests of a run by stage. Raises ArtifactError for a run that is not done."""
    found = {path.parent.name: read_manifest(path.parent) for path in sorted(folder.glob("*/manifest.json"))}
    manifests = {name: manifest for name, manifest in found.items() if manifest is not None}
    if "release" not in manifests:
        raise ArtifactError(f"{folder}: not a finished run, run the chain to its end first")
    return manifests


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    folders = parser.parse_args().runs
    runs = [read_run(folder) for folder in folders]
    print("| | " + " | ".join(folder.name for folder in folders) + " |")
    print("|---" * (len(folders) + 1) + "|")
    for name, show in ROWS.items():
        print(f"| {name} | " + " | ".join(map(show, runs)) + " |")


if __name__ == "__main__":
    main()
