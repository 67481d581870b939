"""Completions to learn from, sampled with transformers: TRL's `rollout_func`, where vLLM does not sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from trl.models.utils import unwrap_model_for_generation

from pipeline.inference.conversation_ids import Message, conversation_ids
from pipeline.inference.sampling import decode, reply_seed


def own_rollouts(seed: int) -> Callable[[Any, Any], dict[str, Any]]:
    """Samples a completion of each prompt that TRL hands over; TRL calls it with itself, on all ranks alike.

    A completion's random numbers follow from the seed, the step and its place among all completions of the step: how
    these are divided among ranks and batches changes nothing.
    """
    # TRL warns that functions like this are experimental; tests/posttraining/rl hold what is used of it.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

    def sample(prompts: Sequence[Sequence[Message]], trainer: Any) -> dict[str, Any]:
        tokenizer: Any = trainer.processing_class
        ids = [conversation_ids(tokenizer, prompt, add_generation_prompt=True) for prompt in prompts]
        first = trainer.accelerator.process_index * len(prompts)
        seeds = [reply_seed(seed, trainer.state.global_step, first + place) for place in range(len(prompts))]
        with unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
        ) as model:
            completions = decode(
                model,
                ids,
                seeds,
                max_new_tokens=trainer.max_completion_length,
                end_tokens=trainer.eos_token_ids,
                temperature=trainer.temperature,
                top_p=trainer.top_p,
            )
        return {"prompt_ids": ids, "completion_ids": completions, "logprobs": None}

    return sample
