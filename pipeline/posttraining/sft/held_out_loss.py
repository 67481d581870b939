"""The loss of a chat model on the assistant's turns of held-out conversations, as SFT trains it.

It is not the loss of packed documents that `pipeline.evaluation.loss` measures on every token.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from datatrove.utils.batching import batched
from trl.trainer.utils import add_fused_lm_head

from pipeline.inference.loading import LoadedModel, loading_whole
from pipeline.pretraining.data.stream import IGNORE_INDEX


@torch.inference_mode()
def assistant_loss(
    loaded: LoadedModel,
    conversations: Iterable[Mapping[str, Sequence[int]]],
    batch_size: int,
    between: Callable[[], None] = lambda: None,
) -> float:
    """Mean cross-entropy in nats per token of the assistant's turns and their ends, over all conversations together.

    Logits are made for one stretch of tokens and vocabulary after the other, as in training.

    Args:
        loaded: the model.
        conversations: their `input_ids` and `labels`, as `sequences` makes them.
        batch_size: conversations in one forward pass.
        between: called after each of them; it may raise to end the measurement.
    """
    model: Any = loaded.model
    add_fused_lm_head(model)
    total, tokens = 0.0, 0
    for batch in batched(conversations, batch_size):
        longest = max(len(each["input_ids"]) for each in batch)
        padded = torch.zeros((len(batch), longest), dtype=torch.int64)
        labels = torch.full((len(batch), longest), IGNORE_INDEX)
        for row, each in enumerate(batch):
            padded[row, : len(each["input_ids"])] = torch.tensor(each["input_ids"])
            labels[row, : len(each["labels"])] = torch.tensor(each["labels"])
        # Padding is on the right, where causal attention does not look, so it needs no mask. Beside a trainer under
        # ZeRO-3 TRL's head would take the model for shards.
        with loading_whole():
            output = model(input_ids=padded.to(model.device), labels=labels.to(model.device), fused_lm_head=True)
        total -= output.log_probs.sum().item()
        tokens += int(output.label_mask.sum())
        between()
    return total / tokens
