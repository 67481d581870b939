"""SFT, the reward model and RL on one and on two ranks under ZeRO: the same steps, however they are divided."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessExitedException
from transformers import AutoTokenizer

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import read_json, write_json
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.config import EvalSamplingConfig
from pipeline.posttraining.common.eval_sampling import eval_problems, evaluate_by_sampling
from pipeline.posttraining.reward.scoring import load_reward_model, write_reward_scale
from pipeline.pretraining.engine.distributed import rank
from pipeline.pretraining.engine.engine import join_process_group
from pipeline.stages import load_symbol, stage_type
from tests.distributed import run_on_ranks
from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, TRAINING, write_data, write_model
from tests.runs import finished
from tests.settings import EASY, stage_config

SETTINGS: dict[str, dict[str, Any]] = {
    # 8 of 51 rows a step: the last step of a pass takes rows of the one before along.
    "sft": {
        "epochs": 1, "sequences_per_step": 8, "max_length": 128, "packing": False, "max_completion_length": 8,
        "probe": EVAL_SAMPLING, "problems": PROBLEMS, "text_replay": None,
    },
    "reward_model": {"epochs": 0.25, "pairs_per_step": 8, "max_length": 128},
    "rl_math": {
        # Long enough for some random completions to end: only those can differ in reward.
        "domain_weights": {"general_chat": 1}, "reward": {"general_chat": {"score": "reward_model"}}, "prompts": 4,
        "prompts_per_step": 2, "samples_per_prompt": 16, "max_prompt_length": 64, "max_completion_length": 64,
        "beta": 0.1, "probe": EVAL_SAMPLING, "problems": PROBLEMS, "replay_share": 0.0,
    },
}  # fmt: skip
# A random model's replies pass by a random reward model's score where they end at all, a few of each step: the share
# never is the target, and three moves do not reach a bound.
RULE = {"domains": ["general_chat"], "start": 2.0, "target": 0.05, "passes_from": 0.1, "window": 1, "gain": 1.0}
SETTINGS["rl_rlhf"] = {
    **SETTINGS["rl_math"], "domain_weights": {"general_chat": 2, "math": 1}, "prompts": 9, "prompts_per_step": 3,
    "max_prompt_length": 256, "curriculum": RULE,
}  # fmt: skip
PER_DEVICE = {
    "sft": "sequences_per_device",
    "reward_model": "pairs_per_device",
    "rl_math": "completions_per_device",
    "rl_rlhf": "completions_per_device",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A stage to train: what of it may not change the result."""

    kind: str
    zero: int
    per_device: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.kind}-{self.zero}-{self.per_device}"


def settings(job: Job, **changes: Any) -> dict[str, Any]:
    """The settings of a job. With a small learning rate Adam does not amplify differences of rounding."""
    divided = {PER_DEVICE[job.kind]: job.per_device, "deepspeed": {"zero_optimization": {"stage": job.zero}}}
    return {**TRAINING, "learning_rate": 1e-3, **SETTINGS[job.kind], **divided, **changes}


def train(run: Path, folder: Path, jobs: list[Job], save: int | None = None, kill_at: int | None = None) -> None:
    """Trains jobs one after the other in this process, one of the ranks, which SIGKILL ends after step `kill_at`."""
    inputs = {
        "sft": {"model": "base", "data": "sft_data"},
        "reward_model": {"model": "base", "data": "sft_data"},
        "rl_math": {"model": "base", "reward_model": "reward_model"},
        "rl_rlhf": {"model": "base", "reward_model": "reward_model"},
    }
    if kill_at is not None:
        begun = StageCallback.on_step_begin

        def killed(self: StageCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            begun(self, args, state, control, **kwargs)
            if state.global_step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        StageCallback.on_step_begin = killed  # type: ignore[method-assign]
    for job in jobs:
        read = {role: run / stage for role, stage in inputs[job.kind].items()}
        config = stage_config(job.kind, **settings(job, save_every_steps=save))
        context = StageContext.for_test(job.kind, config, read, folder / job.name)
        context.rank, context.world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        kind = "rl" if job.kind.startswith("rl") else job.kind
        result: StageResult = load_symbol(stage_type(kind, job.kind).entry)(context)
        if context.rank == 0:
            write_json(folder / job.name / "result.json", {"tokens": result.tokens, **result.metrics})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a base model, data and a reward model whose head is random."""
    directory = tmp_path_factory.mktemp("ranks") / "run"
    finished(directory, "base", write_model)
    finished(directory, "sft_data", write_data)

    def write_reward_model(partial: Path) -> None:
        model = load_reward_model(directory / "base/checkpoint")
        model.save_pretrained(partial / "checkpoint")
        AutoTokenizer.from_pretrained(directory / "base/checkpoint").save_pretrained(partial / "checkpoint")
        # Wide enough that scores make a difference: without one, Adam amplifies rounding.
        write_reward_scale(partial / "checkpoint", rejected=-1.0, chosen=1.0)

    finished(directory, "reward_model", write_reward_model)
    return directory


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_steps_are_the_same_however_they_are_divided_and_after_kill_9(run: Path, tmp_path: Path) -> None:
    """By ranks, micro-batches and ZeRO; RL with a reward model and a reference, sharded over two ranks, is killed."""
    alone = [Job("sft", 3, 4), Job("reward_model", 1, 8), Job("rl_math", 0, 32)]
    together = [Job("sft", 2, 2), Job("reward_model", 0, 2)]
    killed = Job("rl_math", 3, 8)
    run_on_ranks(train, 1, run, tmp_path / "alone", alone)
    run_on_ranks(train, 2, run, tmp_path / "together", together)
    with pytest.raises(ProcessExitedException):
        run_on_ranks(train, 2, run, tmp_path / "together", [killed], 1, 1)
    assert not (tmp_path / "together" / killed.name / "result.json").exists()
    run_on_ranks(train, 2, run, tmp_path / "together", [killed], 1)
    for one, two in zip(alone, [*together, killed], strict=True):
        expected, found = (tmp_path / "alone" / one.name, tmp_path / "together" / two.name)
        assert read_json(found / "result.json") == pytest.approx(read_json(expected / "result.json"), abs=1e-4), two
        weights, before = (
            load_file(folder / "checkpoint/model.safetensors") for folder in (expected / "partial", run / "base")
        )
        trained = load_file(found / "partial/checkpoint/model.safetensors")
        assert trained.keys() == weights.keys()
        for name, weight in weights.items():
            assert (trained[name] - weight).abs().max() < 2e-5, (two, name)
            assert name not in before or (before[name] - weight).abs().max() > 1e-3, "it was not trained"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_curriculum_is_the_same_on_two_ranks_and_after_kill_9(run: Path, tmp_path: Path) -> None:
    """Rows of one prompt are divided over the ranks."""
    alone, killed = Job("rl_rlhf", 0, 48), Job("rl_rlhf", 0, 8)
    run_on_ranks(train, 1, run, tmp_path / "alone", [alone])
    with pytest.raises(ProcessExitedException):
        run_on_ranks(train, 2, run, tmp_path / "killed", [killed], 1, 2)
    state = tmp_path / "killed" / killed.name / "state"
    saved = read_json(state / "checkpoint-2/curriculum.json")
    assert sum(count for _, count in saved["general_chat"]["drawn"]) == 4
    assert len(saved["general_chat"]["drawn"]) == 2, "the difficulty did not move"
    run_on_ranks(train, 2, run, tmp_path / "killed", [killed], 1)
    expected, found = (
        read_json(tmp_path / name / job.name / "result.json") for name, job in (("alone", alone), ("killed", killed))
    )
    assert found == pytest.approx(expected, abs=1e-4)
    assert found["curriculum/general_chat/difficulty"] != 2.0
    assert "curriculum/math/difficulty" not in found


def measure(checkpoint: Path, output: Path, batch_size: int) -> None:
    """Writes what `evaluate_by_sampling` finds on all ranks together."""
    join_process_group()
    sizes = EvalSamplingConfig(prompts_per_domain=3, samples_per_prompt=2, batch_size=batch_size)
    result = evaluate_by_sampling(checkpoint, eval_problems(["math", "identity"], sizes, EASY), sizes, 24)
    if rank() == 0:
        write_json(output, [each.text for each in result.completions])


@pytest.mark.slow
def test_a_measurement_does_not_depend_on_ranks_and_batches(run: Path, tmp_path: Path) -> None:
    """Nor on a trainer under ZeRO-3 in the same process: `test_steps_are_the_same...` measures beside one."""
    run_on_ranks(measure, 2, run / "base/checkpoint", tmp_path / "two.json", 1)
    sizes = EvalSamplingConfig(prompts_per_domain=3, samples_per_prompt=2, batch_size=5)
    alone = evaluate_by_sampling(run / "base/checkpoint", eval_problems(["math", "identity"], sizes, EASY), sizes, 24)
    texts = [each.text for each in alone.completions]
    assert read_json(tmp_path / "two.json") == texts
    assert len(set(texts)) > 6
