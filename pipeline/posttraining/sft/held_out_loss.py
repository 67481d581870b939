"""The loss of a chat model on the assistant's turns of held-out conversations, as SFT trains it.

It is not the loss of packed documents that `pipeline.evaluation.loss` measures on every token.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.data.stream import IGNORE_INDEX


@torch.inference_mode()
def assistant_loss(
    loaded: LoadedModel,
    conversations: Sequence[Mapping[str, Any]],
    max_length: int,
    batch_size: int,
    between: Callable[[], None] = lambda: None,
) -> float:
    """Mean cross-entropy in nats per token of the assistant's turns and their ends, over all conversations together.

    Args:
        loaded: a model whose chat template marks the assistant's turns.
        conversations: rows with `messages`, and `tools` as JSON text where there are some; at least one has an
            assistant's turn.
        max_length: tokens after which a conversation is cut.
        batch_size: conversations in one forward pass.
        between: called after each of them; it may raise to end the measurement.
    """
    model: Any = loaded.model
    tokenizer: Any = loaded.tokenizer
    total, tokens = 0.0, 0
    for start in range(0, len(conversations), batch_size):
        batch = [
            tokenizer.apply_chat_template(
                each["messages"],
                tools=json.loads(each["tools"]) if each.get("tools") else None,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
                truncation=True,
                max_length=max_length,
            )
            for each in conversations[start : start + batch_size]
        ]
        ids, masks = [each["input_ids"] for each in batch], [each["assistant_masks"] for each in batch]
        longest = max(map(len, ids))
        padded = torch.full((len(ids), longest), tokenizer.pad_token_id)
        labels = torch.full((len(ids), longest), IGNORE_INDEX)
        for row, (sequence, mask) in enumerate(zip(ids, masks, strict=True)):
            padded[row, : len(sequence)] = torch.tensor(sequence)
            labels[row, : len(sequence)] = torch.where(torch.tensor(mask).bool(), torch.tensor(sequence), IGNORE_INDEX)
        # Padding is on the right, where causal attention does not look, so it needs no mask.
        logits = model(input_ids=padded.to(model.device)).logits[:, :-1].float()
        targets = labels[:, 1:].to(model.device)
        total += functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
        ).item()
        tokens += int((targets != IGNORE_INDEX).sum())
        between()
    return total / tokens
