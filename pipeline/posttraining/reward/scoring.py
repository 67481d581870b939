"""What a reward model says of completions: its raw scores, and rewards between 0 and 1 made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import deepspeed
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pipeline.core.errors import CheckpointError
from pipeline.core.files import read_json, write_json
from pipeline.environments import Problem
from pipeline.inference.conversation_ids import Message, encode, problem_messages
from pipeline.inference.loading import loading_whole
from pipeline.posttraining.common.rewards import Scorer
from pipeline.pretraining.engine.distributed import device, gather_objects
from pipeline.pretraining.model.architecture import register_reward_heads

SCALE = "reward_scale.json"
"""File beside the reward model's weights with its mean scores of chosen and of rejected held-out responses."""
MEAN_CHOSEN_REWARD = 0.9
"""Reward of a completion with the mean chosen response's score; with the mean rejected one's it is 1 minus this. IBM
published no scale."""
NOTHING: list[Message] = [{"role": "user", "content": "-"}, {"role": "assistant", "content": "-"}]
"""What a rank without completions scores where the others have some."""


def write_reward_scale(checkpoint: Path, rejected: float, chosen: float) -> None:
    """Writes the two mean scores that set the scale of rewards into the reward model's folder.

    Raises:
        CheckpointError: if the chosen responses do not score higher than the rejected ones.
    """
    if chosen <= rejected:
        raise CheckpointError(
            f"{checkpoint}: chosen responses score {chosen:.3f}, rejected ones {rejected:.3f}; "
            "the reward model has learned nothing, set more epochs or pairs"
        )
    write_json(checkpoint / SCALE, {"rejected": rejected, "chosen": chosen})


def load_reward_model(checkpoint: Path, zero: Mapping[str, Any] | None = None) -> Any:
    """The reward model of a folder, on this rank's device, ready to score.

    A causal language model's folder has no scalar head: it gets a random one, the same every time.

    Args:
        checkpoint: the folder.
        zero: DeepSpeed's `zero_optimization` of stage 3, to divide the weights among the ranks as those of the model
            that is trained; a collective, as every forward pass then is. transformers must know DeepSpeed's
            configuration by then, which a trainer's arguments tell it.
    """
    register_reward_heads()
    with torch.random.fork_rng(devices=[]), loading_whole() if zero is None else nullcontext():
        torch.manual_seed(0)
        model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype="auto", num_labels=1)
    if zero is None:
        return model.to(device()).eval()
    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "bf16": {"enabled": model.dtype == torch.bfloat16},
        # Nothing is trained, and there is no optimizer whose state could lie elsewhere.
        "zero_optimization": {key: value for key, value in zero.items() if key != "offload_optimizer"},
    }
    engine, *_ = deepspeed.initialize(model=model, config=settings)
    engine.eval()
    return engine


@torch.inference_mode()
def raw_scores(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[list[Message]],
    max_length: int,
    batch_size: int,
    between: Callable[[], None] = lambda: None,
) -> list[float]:
    """The model's score of the last turn of each conversation, on no particular scale.

    Args:
        model: a reward model that knows its padding token.
        tokenizer: its tokenizer.
        conversations: whose last turn is the assistant's.
        max_length: tokens after which a conversation is cut.
        batch_size: conversations in one forward pass.
        between: called after each of them; it may raise.
    """
    scores: list[float] = []
    passes = math.ceil(len(conversations) / batch_size)
    if isinstance(model, deepspeed.DeepSpeedEngine):
        # In each pass the ranks bring together what they have of every layer: who has nothing left takes part.
        passes = max(gather_objects(passes))
    for start in range(0, passes * batch_size, batch_size):
        batch = list(conversations[start : start + batch_size])
        # The head reads the last token before the padding.
        inputs = encode(tokenizer, batch or [NOTHING], "right", max_length).to(model.device)
        scores += model(**inputs).logits[:, 0].float().tolist()[: len(batch)]
        between()
    return scores


class RewardModel:
    """Rewards completions of problems by the score of a reward model, on a logistic scale.

    reward = σ(2 ln(0.9 / 0.1) · (score − (rejected + chosen) / 2) / (chosen − rejected)), with the mean scores of
    rejected and chosen held-out responses: 0.1 for the one score and 0.9 for the other. A better completion has a
    higher reward however good both are; a scale cut off at the mean chosen response would give the policy nothing to
    learn from beyond it.
    """

    def __init__(
        self, checkpoint: Path, max_length: int, batch_size: int, zero: Mapping[str, Any] | None = None
    ) -> None:
        """Loads the model onto this rank's device.

        Args:
            checkpoint: the folder that the stage `reward_model` wrote.
            max_length: tokens after which a prompt with its completion is cut.
            batch_size: completions in one forward pass.
            zero: divides the model among ranks, see `load_reward_model`. All of them then call it together, each with
                as many completions as it has, or none.

        Raises:
            CheckpointError: if the folder has no scale.
        """
        if not (checkpoint / SCALE).is_file():
            raise CheckpointError(f"{checkpoint / SCALE} is missing, run the reward model's stage again")
        scale = read_json(checkpoint / SCALE)
        rejected, chosen = float(scale["rejected"]), float(scale["chosen"])
        self._midpoint = (rejected + chosen) / 2
        odds = MEAN_CHOSEN_REWARD / (1 - MEAN_CHOSEN_REWARD)
        self._slope = 2 * math.log(odds) / (chosen - rejected)
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self._model = load_reward_model(checkpoint, zero)
        self._max_length, self._batch_size = max_length, batch_size

    def __call__(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        """The reward of each problem's completion, between 0 and 1."""
        replies = [
            [*problem_messages(problem), {"role": "assistant", "content": text}]
            for problem, text in zip(problems, completions, strict=True)
        ]
        scores = raw_scores(self._model, self._tokenizer, replies, self._max_length, self._batch_size)
        centered = torch.tensor(scores, dtype=torch.float64) - self._midpoint
        return torch.sigmoid(self._slope * centered).tolist()


def ensemble(models: Sequence[Scorer], combine: Literal["mean", "minimum"]) -> Scorer:
    """What several reward models say together: the mean of their rewards, or the lowest.

    The lowest is the more careful: a completion that one model overrates is overrated by few others (Coste et al. 2023,
    arXiv 2310.02743).

    Args:
        models: one or more, each with its own scale.
        combine: how their rewards become one.
    """
    together = fmean if combine == "mean" else min

    def scored(problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        return [together(each) for each in zip(*(model(problems, completions) for model in models), strict=True)]

    return models[0] if len(models) == 1 else scored
