"""A tiny random chat model, and stages of post-training on it."""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, GraniteConfig, GraniteForCausalLM

from pipeline.environments import ENVIRONMENT_NAMES, problems
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.conversations import raw_conversations
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.data.preferences import preference_pairs
from pipeline.posttraining.data.rules import apply_rules
from pipeline.posttraining.data.tokenized import write_tokens
from pipeline.posttraining.rl.config import RlConfig
from pipeline.tokenization.tokenizer import save_tokenizer, train_tokenizer
from tests.settings import EASY, stage_config

VOCABULARY = 512
TRAINING: dict[str, Any] = {
    "learning_rate": 0.02,
    "lr_schedule": "linear",
    "warmup_fraction": 0.0,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "max_grad_norm": 1.0,
    "bf16": False,
    "gradient_checkpointing": False,
    "attention": "sdpa",
    "save_every_steps": 2,
    "log_every_steps": 1,
    "deepspeed": {"zero_optimization": {"stage": 0}},
}
PROBLEMS = dataclasses.asdict(EASY)
EVAL_SAMPLING = {"prompts_per_domain": 2, "samples_per_prompt": 2, "batch_size": 256}
DATA: dict[str, Any] = {
    "conversations": 200,
    "domain_weights": {"math": 2, "general_chat": 1, "identity": 1},
    "faulty_share": 0.4,
    "multi_turn_share": 0.1,
    "abstaining_share": 0.0,
    "max_conversation_characters": 1_000,
    "validation_share": 0.2,
    "preference_pairs": 64,
    "preference_validation_pairs": 16,
    "problems": PROBLEMS,
}

WITH_TOOLS = {
    "messages": [
        {"role": "user", "content": "Is it warm?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
        ]},
        {"role": "tool", "content": "31"},
        {"role": "assistant", "content": "Yes."},
    ],
    "tools": '[{"name": "weather"}]',
}  # fmt: skip
"""A conversation of a file of one's own, as `sft_data` hands it on."""


def write_tokenizer(folder: Path) -> None:
    """Writes a tokenizer trained on problems, the same every time."""
    texts = [f"{p.prompt} {p.solution}" for domain in ENVIRONMENT_NAMES for p in problems(domain, 60, 0, "train", EASY)]
    save_tokenizer(train_tokenizer(texts, VOCABULARY), folder)


def write_model(directory: Path) -> None:
    """Writes `checkpoint/`: a Granite with random weights and the tokenizer of `write_tokenizer`."""
    checkpoint = directory / "checkpoint"
    write_tokenizer(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    ends["pad_token_id"] = tokenizer.pad_token_id
    torch.manual_seed(0)
    model = GraniteForCausalLM(
        GraniteConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            **ends,
        )
    )
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(checkpoint)


def data_config(**changes: Any) -> SftDataConfig:
    """Settings of `sft_data` for two hundred raw conversations, changed as told."""
    return stage_config("sft_data", **{**DATA, **changes})


def write_data(directory: Path, tokenizer: Path | None = None) -> None:
    """Writes the files of a finished `sft_data` that trainers read: few conversations and pairs.

    Args:
        directory: the stage's output.
        tokenizer: folder of that to tokenize with; None is that of `write_model`.
    """
    import random

    config = data_config()
    kept, _, _ = apply_rules(raw_conversations(config, 0, random.Random(0)), config)
    rows = [{"messages": conversation.messages} for conversation in kept]
    write_jsonl(directory / "train.jsonl", [*rows[8:], WITH_TOOLS])
    write_jsonl(directory / "validation.jsonl", [*rows[:8], WITH_TOOLS])
    pairs = preference_pairs(640, "train", config.problems, 0, random.Random(0))
    write_jsonl(directory / "preference_train.jsonl", pairs[32:])
    write_jsonl(directory / "preference_validation.jsonl", pairs[:32])
    with TemporaryDirectory() as folder:
        if tokenizer is None:
            write_tokenizer(Path(folder))
        write_tokens(directory, tokenizer or Path(folder), workers=1)


def rl_config(**changes: object) -> RlConfig:
    """Settings of a stage of RL on easy math, for what needs no training."""
    base = {**TRAINING, "domain_weights": {"math": 1}, "prompts": 32, "prompts_per_step": 64, "problems": PROBLEMS,
            "replay_share": 0.0}  # fmt: skip
    return stage_config("rl_math", **{**base, "max_prompt_length": 2048, **changes})
