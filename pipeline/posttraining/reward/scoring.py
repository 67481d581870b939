"""The reward model as a judge: loaded once per rank, in batches, scores mapped to (0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pipeline.core.errors import CheckpointError
from pipeline.core.files import read_json, write_json
from pipeline.environments import Problem
from pipeline.posttraining.common.chat import device, encode, render
from pipeline.posttraining.reward.granite import register

SCALE = "reward_scale.json"
"""Beside the reward model's weights: its mean score of rejected and of chosen held-out replies."""
MEAN_CHOSEN_REWARD = 0.9
"""Reward of a reply that scores like the mean chosen one; like the mean rejected one, 1 minus this. Not published."""


def write_scale(checkpoint: Path, rejected: float, chosen: float) -> None:
    """Keep the two scores that set the scale of rewards. Raises CheckpointError when they do not differ."""
    if chosen <= rejected:
        raise CheckpointError(
            f"{checkpoint}: chosen replies score {chosen:.3f}, rejected ones {rejected:.3f}; "
            "the reward model has learned nothing, set more epochs or pairs"
        )
    write_json(checkpoint / SCALE, {"rejected": rejected, "chosen": chosen})


def load_reward_model(checkpoint: Path) -> Any:
    """The reward model of a folder. A causal model gets a new head, the same every time."""
    register()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype="auto", num_labels=1)
    return model.to(device()).eval()


@torch.inference_mode()
def raw_scores(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    replies: Sequence[str],
    max_length: int,
    batch_size: int,
) -> list[float]:
    """The model's score of each reply to its prompt, cut at `max_length` tokens, `batch_size` at a time."""
    conversations = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]
        for prompt, reply in zip(prompts, replies, strict=True)
    ]
    texts = render(tokenizer, conversations)
    scores: list[float] = []
    for first in range(0, len(texts), batch_size):
        inputs = encode(tokenizer, texts[first : first + batch_size], max_length)
        scores += model(**inputs).logits[:, 0].float().tolist()
    return scores


class RewardModel:
    """Scores replies to prompts, on a logistic scale set by the mean rejected and the mean chosen reply.

    A better reply has a higher reward however good both are; a scale cut off at the mean chosen reply would give
    the policy nothing to learn from beyond it.
    """

    def __init__(self, checkpoint: Path, max_length: int, batch_size: int) -> None:
        """Load the model from its folder, onto this rank's GPU where there is one.

        Texts are cut at `max_length` tokens and scored `batch_size` at a time. Raises CheckpointError when
        the folder has no scale.
        """
        if not (checkpoint / SCALE).is_file():
            raise CheckpointError(f"{checkpoint / SCALE} is missing, run the reward model's stage again")
        scale = read_json(checkpoint / SCALE)
        rejected, chosen = float(scale["rejected"]), float(scale["chosen"])
        self._middle = (rejected + chosen) / 2
        odds = MEAN_CHOSEN_REWARD / (1 - MEAN_CHOSEN_REWARD)
        self._steepness = 2 * math.log(odds) / (chosen - rejected)
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="right")
        self._model = load_reward_model(checkpoint)
        self._max_length, self._batch_size = max_length, batch_size

    def __call__(self, problems: Sequence[Problem], replies: Sequence[str]) -> list[float]:
        """Rewards: 0.1 at the mean rejected reply's score, 0.9 at the mean chosen one's, logistic."""
        prompts = [problem.prompt for problem in problems]
        scores = raw_scores(self._model, self._tokenizer, prompts, replies, self._max_length, self._batch_size)
        centred = torch.tensor(scores, dtype=torch.float64) - self._middle
        return torch.sigmoid(self._steepness * centred).tolist()
