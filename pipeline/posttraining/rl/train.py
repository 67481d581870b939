"""The stages `rl_*`: on-policy GRPO, by TRL's GRPOTrainer."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import ConfigError
from pipeline.environments.verifiers import REWARD_MODEL as REWARD_MODEL_ROWS
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.data_files import SetAside, say_aside
from pipeline.posttraining.common.eval_sampling import EvalResult, evaluate_by_sampling
from pipeline.posttraining.common.reward_config import REWARD_MODEL, RewardConfig
from pipeline.posttraining.common.rewards import RewardRule, Scorer
from pipeline.posttraining.common.trainer_arguments import batch_arguments, common_arguments
from pipeline.posttraining.common.training import baseline_metrics, export_model, stop_check, tokens_seen, train
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.reward.scoring import RewardModel, ensemble
from pipeline.posttraining.rl.completion_files import CompletionFiles, kept_steps
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.curriculum import Curriculum, CurriculumFile
from pipeline.posttraining.rl.curriculum_trainer import CurriculumTrainer, mark_rows
from pipeline.posttraining.rl.prompts import (
    curriculum_streams,
    dataset_rows,
    environment_names,
    held_out_problems,
    training_problems,
)
from pipeline.posttraining.rl.rollouts import own_rollouts
from pipeline.posttraining.rl.shared_prompts import SharedPromptTrainer
from pipeline.posttraining.rl.stage_gate import check_gate, verified_metrics
from pipeline.posttraining.rl.supply import closed_gate_lines, interleave_environments, mixture, verifiers
from pipeline.posttraining.rl.trl_adapter import reward_function
from pipeline.posttraining.rl.vllm_server import check_server
from pipeline.pretraining.engine.distributed import rank, waiting_for_files


def trainer_arguments(context: StageContext[RlConfig]) -> GRPOConfig:
    """TRL's arguments for the stage's settings, on-policy.

    Prints how many completions a step samples and how many prompts the stage takes.

    Raises:
        ConfigError: if the ranks cannot share a step's completions evenly.
    """
    config = context.config
    print(
        f"{config.prompts_per_step} prompts x {config.samples_per_prompt} samples = {config.step_size.per_step}"
        f" completions per step; {config.total_steps} steps x {config.prompts_per_step} prompts of {config.prompts}"
    )
    sizes = batch_arguments(context, config.step_size)
    return GRPOConfig(
        **common_arguments(context, config),
        **sizes,
        max_steps=config.total_steps,
        # One generation for each optimizer step and one update for each generation, so that the ratio of the policy's
        # probabilities to those it sampled with is 1.
        steps_per_generation=sizes["gradient_accumulation_steps"],
        num_iterations=1,
        num_generations=config.samples_per_prompt,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        beta=config.beta,
        epsilon=config.epsilon,
        epsilon_high=config.epsilon_high,
        loss_type=config.loss_type,
        importance_sampling_level=config.importance_sampling_level,
        scale_rewards=config.scale_rewards,
        use_bias_correction_kl=config.use_bias_correction_kl,
        mask_truncated_completions=config.mask_truncated_completions,
        # The order of prompts is the mixture's: each step sees all of it.
        shuffle_dataset=False,
        use_vllm=config.vllm is not None,
        vllm_mode=config.vllm or "colocate",
        vllm_server_base_url=config.vllm_server_url,
        vllm_server_timeout=config.vllm_server_timeout,
        vllm_gpu_memory_utilization=config.vllm_gpu_memory_utilization,
        vllm_tensor_parallel_size=config.vllm_tensor_parallel_size,
        vllm_max_model_length=config.max_prompt_length + config.max_completion_length,
        vllm_importance_sampling_mode=config.vllm_importance_sampling_mode,
        log_completions=config.completions_kept > 0,
        # To files alone: the log would get a table of all of them at every step.
        num_completions_to_print=0,
    )


def reward_rules(context: StageContext[RlConfig], tokenizer: Any) -> dict[str, RewardRule]:
    """What completions are rewarded by, for each environment or verifier where that is not its verifier; a collective.

    The reward models are loaded once, if any completion needs one.

    Raises:
        ConfigError: if the stage has no input `reward_model`.
        CheckpointError: if that input has no scale of rewards.
    """
    config = context.config
    rewards = config.open_rewards
    if REWARD_MODEL_ROWS in verifiers(config):
        rewards[REWARD_MODEL_ROWS] = RewardConfig(score={REWARD_MODEL: 1.0})
    asking = [name for name, reward in rewards.items() if REWARD_MODEL in reward.parts]
    scorer = reward_model(context, asking[0]) if asking else None

    def tokens_of(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    return {name: RewardRule(reward, scorer, tokens_of) for name, reward in rewards.items()}


def reward_model(context: StageContext[RlConfig], domain: str) -> Scorer:
    """The reward model of the stage's inputs, or the ensemble of them; a collective.

    Args:
        context: of the stage.
        domain: that needs it, for the error message.

    Raises:
        ConfigError: if there is no such input.
        CheckpointError: if one has no scale of rewards.
    """
    config = context.config
    roles = sorted(role for role in context.inputs if role.startswith(REWARD_MODEL))
    if not roles:
        raise ConfigError(
            f"stages.{context.stage} rewards {domain} by the reward model, "
            "set inputs.reward_model to the stage that trains it"
        )
    length = config.max_prompt_length + config.max_completion_length
    # Divided like what is trained: one of 30 billion parameters would take 60 GB of every GPU.
    zero = config.deepspeed["zero_optimization"] if config.zero_stage == 3 and context.world_size > 1 else None
    with waiting_for_files():
        models = [
            RewardModel(context.inputs[role].checkpoint, length, config.completions_per_device, zero) for role in roles
        ]
    return ensemble(models, config.reward_ensemble)


def curriculum_of(context: StageContext[RlConfig], tokenizer: Any) -> Curriculum | None:
    """The curriculum that the settings ask for, with the tokenizer of the model to train; None if they ask for none."""
    config = context.config
    if config.curriculum is None:
        return None
    streams = curriculum_streams(config, context.derive_seed("problems"), tokenizer)
    return Curriculum(config.curriculum, streams, config.samples_per_prompt)


def run(context: StageContext[RlConfig]) -> StageResult:
    """Trains the input `model` on the stage's problems; every rank calls it.

    The stage's own reward on held-out problems is measured before and after, and beside it what the verifiers say. The
    artifact has `checkpoint/`, and `completions/` with those of some steps.

    Raises:
        GateError: if the gate is to stop a stage whose verified accuracy fell.
        ConfigError: if the ranks cannot share a step's completions evenly, or an input is missing.
        DataError: if an environment has no prompt to train on, a row of a file cannot be used, or the vLLM server that
            the stage is to sample with is not there.
        DiskFullError: if there is no room for a checkpoint.
        Requeue: after a stop signal, the trainer's state saved. It is looked at after every step, and between the
            batches of every measurement.
    """
    config = context.config
    # On resuming, too, the trainer is built from the model that the stage started from: the KL penalty is toward it,
    # and TRL loads the reference model from the path that the policy came from.
    start = context.inputs["model"].checkpoint
    if config.vllm == "server" and context.rank == 0:
        check_server(config, start)
    arguments = trainer_arguments(context)
    environments = list(dict.fromkeys([*environment_names(config), *verifiers(config)]))
    tokenizer = AutoTokenizer.from_pretrained(start)
    rules = reward_rules(context, tokenizer)
    if context.rank == 0:
        for line in closed_gate_lines(config):
            print(f"warning: {line}")
    aside: SetAside = []
    problems = training_problems(config, context.derive_seed("problems"), tokenizer, aside)
    if aside and context.rank == 0:
        print("\n".join(say_aside(aside)))
        write_jsonl(context.output / "quarantine.jsonl", aside)
    held_out = held_out_problems(config)
    # What the gate alone looks at is no part of the stage's reward.
    own = {*environment_names(config, replayed=False), *verifiers(config)}
    limit, between = config.max_completion_length, stop_check(context)
    context.progress.doing("reward before training")

    def measured(checkpoint: Path) -> EvalResult:
        return evaluate_by_sampling(checkpoint, held_out, config.probe, limit, rules, between)

    def baseline() -> dict[str, Any]:
        found = measured(start)
        return {"metrics": found.of(own).metrics("before"), "verified": found.verified()}

    before = baseline_metrics(context.state / "before.json", baseline)
    context.progress.doing("starting the trainer")
    callback = StageCallback(context)
    kept = kept_steps(config.total_steps, config.log_every_steps, config.completions_kept)
    completions = CompletionFiles(context.state, kept)
    callbacks: list[TrainerCallback] = [callback, completions]
    rows, kind = dataset_rows(problems, before=config.curriculum is not None), SharedPromptTrainer
    curriculum = curriculum_of(context, tokenizer)
    if curriculum is not None:
        # A checkpoint must have all of its files before the stage's callback completes it.
        callbacks.insert(0, CurriculumFile(curriculum, context.state))
        order, kind = interleave_environments(mixture(config), config.prompts), CurriculumTrainer
        rows = mark_rows(rows, order, config.curriculum_domains)
    with waiting_for_files():
        trainer = kind(
            model=str(start),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            reward_funcs=[reward_function(name, tokenizer.eos_token_id, rules.get(name)) for name in environments],
            callbacks=callbacks,
            # vLLM samples by itself.
            rollout_func=None if config.vllm else own_rollouts(context.derive_seed("rollouts")),
        )
    if isinstance(trainer, CurriculumTrainer) and curriculum is not None:
        trainer.curriculum = curriculum
    train(trainer, callback, context.state)
    context.progress.doing("reward after training")
    checkpoint = export_model(trainer, context.output)
    if rank() == 0:
        completions.publish(context.output)
    steps, tokens = trainer.state.global_step, tokens_seen(trainer)
    history = [row for row in trainer.state.log_history if "reward" in row]
    # The trainer's memory is needed for what follows.
    del trainer
    gc.collect()
    found = measured(checkpoint)
    after, verified = found.of(own), found.verified()
    check_gate(context.stage, config.gate, before["verified"], verified, config.closed_verifiers(verified))
    return StageResult(
        metrics={
            **before["metrics"],
            **after.metrics("after"),
            **verified_metrics(before["verified"], verified),
            **(curriculum.metrics() if curriculum else {}),
            "steps": float(steps),
            **({"rows_set_aside": float(len(aside))} if aside else {}),
            "train/reward_first": float(history[0]["reward"]),
            "train/reward_last": float(history[-1]["reward"]),
            "train/kl_last": float(history[-1].get("kl", 0.0)),
        },
        measure="mean reward",
        before=before["metrics"]["reward/before"],
        after=after.reward,
        tokens=tokens,
        samples=after.samples(),
    )
