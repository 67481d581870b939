"""Where the time of a step of RL goes, by TRL's defaults and here: same model, prompts, settings and cores, one run.

    python benchmarks/rl.py runs/smoke/sft/checkpoint --write benchmarks/rl.md

Two trainers take turns, so that a busy machine is busy for both: TRL's own GRPOTrainer, which samples with
transformers, and the stage's. Each begins with the checkpoint and takes the steps of the smoke scale's first stage.
"""

import argparse
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.grpo_trainer import GRPOTrainer

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.prompts import dataset_rows, environment_names, training_problems
from pipeline.posttraining.rl.rollouts import own_rollouts
from pipeline.posttraining.rl.shared_prompts import SharedPromptTrainer
from pipeline.posttraining.rl.train import trainer_arguments
from pipeline.posttraining.rl.trl_adapter import reward_function

STAGE = "rl_multi_domain"
PARTS = ("generation", "rewards", "reference", "forward", "backward and optimizer", "the rest")


class Timed:
    """Before a trainer in the bases of a class: the seconds of each part of its newest step."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        super().__init__(*args, **named)

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Adds the time that its block takes to a part's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start

    def _generate(self, *args: Any, **named: Any) -> Any:
        with self.timing("generation"):
            return super()._generate(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]

    def _calculate_rewards(self, *args: Any, **named: Any) -> Any:
        with self.timing("rewards"):
            return super()._calculate_rewards(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]

    def _get_per_token_logps_and_entropies(self, *args: Any, **named: Any) -> Any:
        with self.timing("forward" if torch.is_grad_enabled() else "reference"):
            return super()._get_per_token_logps_and_entropies(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]

    def _prepare_inputs(self, *args: Any, **named: Any) -> Any:
        with self.timing("preparing"):
            return super()._prepare_inputs(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]

    def training_step(self, *args: Any, **named: Any) -> Any:
        """Of the trainer; what is neither preparation nor forward pass is backward pass and optimizer."""
        self.seconds.clear()
        with self.timing("step"):
            loss = super().training_step(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]
        spent = self.seconds
        spent["backward and optimizer"] = spent["step"] - spent["preparing"] - spent["forward"]
        spent["the rest"] = spent["preparing"] - spent["generation"] - spent["rewards"] - spent["reference"]
        return loss


class TimedTrl(Timed, GRPOTrainer):
    """TRL's trainer."""


class TimedOurs(Timed, SharedPromptTrainer):
    """The stage's."""


def trainer(kind: type[Any], checkpoint: Path, config: RlConfig, folder: Path) -> Any:
    """A trainer of the stage, ready to train."""
    context: StageContext[RlConfig] = StageContext.for_test(STAGE, config, {}, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    rows = dataset_rows(training_problems(config, context.derive_seed("problems"), tokenizer))
    return kind(
        model=str(checkpoint),
        args=trainer_arguments(context),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        reward_funcs=[reward_function(name, tokenizer.eos_token_id) for name in environment_names(config)],
        rollout_func=own_rollouts(0) if kind is TimedOurs else None,
    )


def main() -> None:
    """Measures and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="of a chat model")
    parser.add_argument("--steps", type=int, default=6, help="of each round; the first is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    stage = typed(compose(["scale=smoke", f"stages.{STAGE}.config.steps={options.steps}"])).stages[STAGE]
    assert stage is not None
    config = build(RlConfig, stage.config, STAGE)
    seconds: dict[type[Any], list[dict[str, float]]] = {TimedTrl: [], TimedOurs: []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds):
            for kind, found in seconds.items():
                made = trainer(kind, options.checkpoint, config, Path(name) / f"{number}-{kind.__name__}")
                steps: list[dict[str, float]] = []
                made.add_callback(recorder(made, steps))
                made.train()
                found += steps[1:]
    sizes = f"{config.prompts_per_step} prompts x {config.samples_per_prompt} completions of at most "
    lines = [
        f"{sizes}{config.max_completion_length} tokens in one batch, KL toward a reference model, float32. "
        f"{platform.machine()}, {torch.get_num_threads()} threads of {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, torch {version('torch')}, transformers {version('transformers')}, TRL "
        f"{version('trl')}. Medians over {len(seconds[TimedTrl])} steps of each, in {options.rounds} turns.",
        "",
        "| part | TRL's defaults, s | here, s | times faster |",
        "|---|---|---|---|",
    ]
    for part in (*PARTS, "step"):
        theirs, ours = (median(each[part] for each in found) for found in seconds.values())
        lines.append(f"| {part} | {theirs:.3f} | {ours:.3f} | {theirs / ours:.1f} |")
    table = "\n".join(lines)
    print(table)
    if options.write:
        command = f"python benchmarks/rl.py runs/smoke/sft/checkpoint --steps {options.steps} --rounds {options.rounds}"
        options.write.write_text(f"# A step of RL\n\n`{command}`\n\n{table}\n")


def recorder(made: Any, steps: list[dict[str, float]]) -> Any:
    """A callback that keeps the seconds of every step."""
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):
        def on_step_end(self, *args: Any, **named: Any) -> None:
            steps.append(dict(made.seconds))

    return Recorder()


if __name__ == "__main__":
    main()
