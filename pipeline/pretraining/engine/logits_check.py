"""What a model says of a fixed text: stored with every checkpoint, and asked again once it is loaded."""

from typing import Any

import deepspeed
import torch
from torch import Tensor

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.engine.distributed import device, sum_over_ranks

TOKENS = 16
KEPT = 64
"""Logits of the last position that are stored."""
SEED = 1234
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest difference, relative to the largest logit: another number of ranks or another kernel may round otherwise."""


def fixed_text(vocab_size: int) -> tuple[Tensor, Tensor]:
    """A row of tokens, shape (1, TOKENS), and ids spread over the vocabulary whose logits are kept, shape (ids,)."""
    tokens = torch.randint(vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(SEED))
    return tokens, torch.linspace(0, vocab_size - 1, min(KEPT, vocab_size)).long()


def probe(engine: deepspeed.DeepSpeedEngine) -> Tensor:
    """Logits that follow the fixed text, shape (ids,). A collective."""
    module: Any = engine.module
    tokens, ids = fixed_text(module.model.config.vocab_size)
    parts = 1 if module.sequence_parallel is None else module.sequence_parallel.size
    length, part = TOKENS // parts, engine.global_rank % parts
    own = slice(part * length, (part + 1) * length)
    engine.eval()
    with torch.no_grad():
        found = engine(tokens[:, own].to(device()), torch.arange(TOKENS)[None, own].to(device()))[0, -1].double()
    engine.train()
    # Where sequences are divided, the last position is on the last rank of each group.
    found = sum_over_ranks(found * (part == parts - 1)) / (engine.world_size // parts)
    return found.float().cpu()[ids]


def check(engine: deepspeed.DeepSpeedEngine, stored: Tensor, where: str) -> None:
    """Asks again. A collective.

    Raises:
        CheckpointError: if the answer is not what was stored.
    """
    module: Any = engine.module
    limit = TOLERANCE[next(module.parameters()).dtype]
    difference = float((probe(engine) - stored).abs().max() / stored.abs().max())
    if not difference <= limit:
        raise CheckpointError(
            f"{where}: the loaded model differs by {difference:.2g} from the one saved, more than {limit:g}; "
            "delete it to go on from the one before"
        )
