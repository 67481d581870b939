"""The logits check: a model's logits after fixed tokens, stored with every checkpoint and computed again once loaded.

Hashes tell that the files are whole; this tells that the weights are in their places in the loaded model, computing
what they computed when they were saved, whatever the number of ranks, ZeRO stage or kernel is now.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import deepspeed
import torch
from torch import Tensor

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.engine.distributed import device, sum_over_ranks

TOKENS = 16
STORED_LOGITS = 64
"""Ids of the vocabulary whose logits are stored."""
SEED = 1234
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest difference, relative to the largest logit: another number of ranks or another kernel may round otherwise."""


def reference_tokens(vocab_size: int) -> tuple[Tensor, Tensor]:
    """The fixed input, a function of the vocabulary's size.

    Returns:
        Random tokens, int64 of shape (1, TOKENS); and ids spread over the vocabulary whose logits are stored, int64 of
        shape (ids,), at most STORED_LOGITS.
    """
    tokens = torch.randint(vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(SEED))
    return tokens, torch.linspace(0, vocab_size - 1, min(STORED_LOGITS, vocab_size)).long()


def reference_logits(engine: deepspeed.DeepSpeedEngine) -> Tensor:
    """The model's logits for the token after the reference tokens, float32 on the CPU, shape (ids,); a collective."""
    module: Any = engine.module
    tokens, ids = reference_tokens(module.model.config.vocab_size)
    slices = 1 if module.sequence_parallel is None else module.sequence_parallel.size
    length, slice_number = TOKENS // slices, engine.global_rank % slices
    own = slice(slice_number * length, (slice_number + 1) * length)
    engine.eval()
    with torch.no_grad(), _nothing_compiled():
        logits = engine(tokens[:, own].to(device()), torch.arange(TOKENS)[None, own].to(device()))[0, -1].double()
    engine.train()
    # Where sequences are divided, the last position is on the last rank of each group.
    logits = sum_over_ranks(logits * (slice_number == slices - 1)) / (engine.world_size // slices)
    return logits.float().cpu()[ids]


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Has everything that is compiled, the kernel of flex attention too, run as it is written.

    A kernel that torch first compiles for these few tokens is compiled again for any length when training comes with
    its own (`torch._dynamo.config.automatic_dynamic_shapes`), and such kernels are slower for as long as the process
    lives.
    """
    with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
        # Said once in a process, of attention that is not compiled: here it is meant.
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        yield


def check_logits(engine: deepspeed.DeepSpeedEngine, stored: Tensor, where: str) -> None:
    """Compares the model's reference logits with those stored when it was saved; a collective.

    Args:
        engine: with the model just loaded.
        stored: what `reference_logits` gave, shape (ids,).
        where: the checkpoint, to name in the error.

    Raises:
        CheckpointError: if they differ by more than rounding explains.
    """
    module: Any = engine.module
    limit = TOLERANCE[next(module.parameters()).dtype]
    difference = float((reference_logits(engine) - stored).abs().max() / stored.abs().max())
    # Turned round, so that NaN is an error too.
    if not difference <= limit:
        raise CheckpointError(
            f"{where}: the loaded model differs by {difference:.2g} from the one saved, more than {limit:g}; "
            "move it elsewhere and run again, which goes on from the one before"
        )
