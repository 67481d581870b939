"""Conversations as the model sees them: rendered by the tokenizer's template, tokenized, padded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

Messages = list[dict[str, str]]


def device() -> torch.device:
    """This rank's GPU, or the CPU where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def load_model(checkpoint: Path) -> Any:
    """The causal language model of a Hugging Face folder, in its own precision, ready to be evaluated."""
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    return model.to(device()).eval()


def render(tokenizer: Any, conversations: Sequence[Messages], answer: bool = False) -> list[str]:
    """The conversations as text; `answer` opens the assistant's turn after them."""
    return [
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer)
        for messages in conversations
    ]


def encode(tokenizer: Any, texts: Sequence[str], max_length: int | None = None) -> Any:
    """Padded tensors of rendered texts, on this rank's device, cut at `max_length` tokens."""
    return tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=True,
        truncation=max_length is not None,
        max_length=max_length,
        return_tensors="pt",
    ).to(device())


@torch.inference_mode()
def assistant_loss(
    model: Any, tokenizer: Any, conversations: Sequence[Messages], max_length: int, batch_size: int
) -> float:
    """Mean cross-entropy in nats per token of the assistant's turns, over all of them together."""
    total, tokens = 0.0, 0
    for first in range(0, len(conversations), batch_size):
        batch = tokenizer.apply_chat_template(
            conversations[first : first + batch_size],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
            truncation=True,
            max_length=max_length,
        )
        ids, masks = batch["input_ids"], batch["assistant_masks"]
        width = max(map(len, ids))
        padded = torch.full((len(ids), width), tokenizer.pad_token_id)
        labels = torch.full((len(ids), width), -100)
        for row, (sequence, mask) in enumerate(zip(ids, masks, strict=True)):
            padded[row, : len(sequence)] = torch.tensor(sequence)
            labels[row, : len(sequence)] = torch.where(torch.tensor(mask).bool(), torch.tensor(sequence), -100)
        # Padding stands on the right, behind all that attention may see, so it needs no mask.
        logits = model(input_ids=padded.to(model.device)).logits[:, :-1].float()
        targets = labels[:, 1:].to(model.device)
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
        ).item()
        tokens += int((targets != -100).sum())
    return total / tokens
