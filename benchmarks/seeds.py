"""What several runs of the chain learned, side by side: a Markdown table from their manifests.

make smoke; make smoke ARGS="seed=1 run=seed1"; make smoke ARGS="seed=2 run=seed2"
python benchmarks/seeds.py runs/smoke runs/seed1 runs/seed2 > benchmarks/seeds.md
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from pipeline.core.artifact import Manifest, read_manifest
from pipeline.core.errors import ArtifactError

Show = Callable[[dict[str, Manifest]], str]
TRAINED = ("sft", "rl_multi_domain", "rl_rlhf", "rl_identity", "rl_math")


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


def text_loss(stages: dict[str, Manifest]) -> str:
    """Loss on held-out text before SFT, after it and at the end."""
    before, sft, end = (stages[f"evaluate_{stage}"].metrics["loss/mean"] for stage in ("phase5_512k", "sft", "rl_math"))
    return f"{before:.3f} → {sft:.3f} → {end:.3f} ({100 * (end / before - 1):+.1f} %)"


def greedy(metric: str, *stages: str) -> Show:
    """An accuracy after stages, with the best constant reply's."""

    def show(manifests: dict[str, Manifest]) -> str:
        """One cell."""
        found = [manifests[f"evaluate_{stage}"].metrics for stage in stages]
        floor = found[-1][metric.replace("accuracy", "floor")]
        return f"{' → '.join(f'{each[metric]:.3f}' for each in found)} ({floor:.3f})"

    return show


def above_floor(stages: dict[str, Manifest]) -> str:
    """Domains that lie above the best constant by their whole interval at the end, and of how many; new instances."""
    metrics = stages["evaluate_rl_math"].metrics
    counts = [
        (f"above_floor{kind}", sum(name.startswith(f"floor{kind}/") for name in metrics) - 1)
        for kind in ("", "_instances")
    ]
    return "; ".join(f"{metrics[name]:.0f} of {domains}" for name, domains in counts)


def sampled(stage: str, domain: str | None = None) -> Show:
    """The share of sampled replies to held-out prompts that the verifiers pass, before and after a stage of RL."""

    def show(stages: dict[str, Manifest]) -> str:
        """One cell."""
        means = [
            fmean(
                value
                for name, value in stages[stage].metrics.items()
                if name.startswith(f"verified/{domain or ''}") and name.endswith(f"/{when}")
            )
            for when in ("before", "after")
        ]
        return f"{means[0]:.3f} → {means[1]:.3f}"

    return show


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
    "sampled replies right, nine domains, rl_multi_domain": sampled("rl_multi_domain"),
    "… chat, rl_rlhf": sampled("rl_rlhf", "general_chat"),
    "… identity, rl_identity": sampled("rl_identity", "identity"),
    "… calibration, rl_identity": sampled("rl_identity", "calibration"),
    "… math, rl_math": sampled("rl_math", "math"),
    "greedy accuracy, SFT and the four stages of RL (best constant)": greedy("accuracy/mean", *TRAINED),
    "… new instances": greedy("accuracy_instances/mean", *TRAINED),
    "… math": greedy("accuracy/math", *TRAINED),
    "… chat": greedy("accuracy/general_chat", *TRAINED),
    "… identity": greedy("accuracy/identity", *TRAINED),
    "domains above the constant at the end; of new instances": above_floor,
    "held-out loss on text, before SFT, after it, at the end": text_loss,
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
