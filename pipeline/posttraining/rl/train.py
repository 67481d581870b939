"""The stages `rl_*`: on-policy GRPO with the DAPO loss, TRL's GRPOTrainer."""

from __future__ import annotations

import gc

from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import ConfigError
from pipeline.posttraining.common.callbacks import StageCallback
from pipeline.posttraining.common.checkpoints import export_model, last_complete_checkpoint, measured_once, tokens_seen
from pipeline.posttraining.common.sampling import Scorer, eval_problems, measure
from pipeline.posttraining.common.trainer_arguments import accumulation_steps, common_arguments
from pipeline.posttraining.reward.scoring import RewardModel
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.prompts import dataset_rows, stage_problems
from pipeline.posttraining.rl.rewards import reward_function


def trainer_arguments(context: StageContext[RlConfig]) -> GRPOConfig:
    """TRL's arguments for the stage's settings, on-policy: one update for each generation."""
    config = context.config
    completions = config.prompts_per_step * config.samples_per_prompt
    print(
        f"{config.prompts_per_step} prompts x {config.samples_per_prompt} samples = {completions} completions"
        f" per step; {config.total_steps} steps x {config.prompts_per_step} prompts of {config.prompts}"
    )
    accumulated = accumulation_steps("completions", completions, config.completions_per_device, context.world_size)
    return GRPOConfig(
        **common_arguments(context, config),
        max_steps=config.total_steps,
        per_device_train_batch_size=config.completions_per_device,
        gradient_accumulation_steps=accumulated,
        # One generation for each optimizer step and one update for each generation: the ratio is 1.
        steps_per_generation=accumulated,
        num_iterations=1,
        num_generations=config.samples_per_prompt,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        beta=config.beta,
        epsilon=config.epsilon,
        epsilon_high=config.epsilon_high,
        loss_type="dapo",
        importance_sampling_level="token",
        scale_rewards=config.scale_rewards,
        use_bias_correction_kl=config.use_bias_correction_kl,
        mask_truncated_completions=config.mask_truncated_completions,
        # The order of prompts is the mixture's: each step sees every domain.
        shuffle_dataset=False,
        use_vllm=config.vllm is not None,
        vllm_mode=config.vllm or "colocate",
        vllm_gpu_memory_utilization=config.vllm_gpu_memory_utilization,
        vllm_tensor_parallel_size=config.vllm_tensor_parallel_size,
        vllm_max_model_length=config.max_prompt_length + config.max_completion_length,
        vllm_importance_sampling_mode=config.vllm_importance_sampling_mode,
    )


def reward_model_scorers(context: StageContext[RlConfig]) -> dict[str, Scorer]:
    """The reward model for each domain it rewards, loaded once."""
    config = context.config
    if not config.reward_model_domains:
        return {}
    if "reward_model" not in context.inputs:
        raise ConfigError(
            f"stages.{context.stage} rewards {config.reward_model_domains[0]} by the reward model, "
            "set inputs.reward_model to the stage that trains it"
        )
    length = config.max_prompt_length + config.max_completion_length
    model = RewardModel(context.inputs["reward_model"].checkpoint, length, config.completions_per_device)
    return dict.fromkeys(config.reward_model_domains, model)


def run(context: StageContext[RlConfig]) -> StageResult:
    """Train on the stage's prompts; measure the stage's own reward on held-out prompts before and after."""
    config = context.config
    # Also on resuming the trainer is built from the model the stage started from: it is what KL is
    # measured against, and TRL loads the reference from the path the policy came from.
    start = context.inputs["model"].checkpoint
    arguments = trainer_arguments(context)
    domains = [domain for domain, weight in config.domain_weights.items() if weight > 0]
    scorers = reward_model_scorers(context)
    posed = eval_problems(domains, config.probe, config.problems)
    limit = config.max_completion_length
    before = measured_once(
        context.state / "before.json",
        lambda: measure(start, posed, config.probe, limit, scorers).metrics("before"),
    )
    tokenizer = AutoTokenizer.from_pretrained(start)
    problems = stage_problems(config, context.derive_seed("problems"), tokenizer)
    callback = StageCallback(context)
    trainer = GRPOTrainer(
        model=str(start),
        args=arguments,
        train_dataset=Dataset.from_list(dataset_rows(problems)),
        processing_class=tokenizer,
        reward_funcs=[reward_function(domain, tokenizer.eos_token_id, scorers.get(domain)) for domain in domains],
        callbacks=[callback],
    )
    resumed = last_complete_checkpoint(context.state)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    callback.raise_if_stopped()
    checkpoint = export_model(trainer, context.output)
    steps, tokens = trainer.state.global_step, tokens_seen(trainer)
    history = [row for row in trainer.state.log_history if "reward" in row]
    del trainer
    gc.collect()
    after = measure(checkpoint, posed, config.probe, limit, scorers)
    shown = after.replies[:: max(1, len(after.replies) // 3)][:3]
    return StageResult(
        metrics={
            **before,
            **after.metrics("after"),
            "steps": float(steps),
            "train/reward_first": float(history[0]["reward"]),
            "train/reward_last": float(history[-1]["reward"]),
            "train/kl_last": float(history[-1].get("kl", 0.0)),
        },
        measure="mean reward",
        before=before["reward/before"],
        after=after.reward,
        tokens=tokens,
        samples=[{"prompt": reply.problem.prompt, "answer": reply.text} for reply in shown],
    )
