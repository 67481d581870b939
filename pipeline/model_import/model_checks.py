"""What stages rely on in a model of any architecture, measured on the model itself."""

from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.engine.logits_check import reference_tokens
from pipeline.pretraining.model.architecture import logits_divisor

TOLERANCE = 1e-4
"""Largest difference of logits in fp32, relative to the largest, that rounding explains."""


@torch.inference_mode()
def checked_logits(model: Any, where: str) -> list[float]:
    """The reference logits that a phase compares a loaded model with (`pipeline.pretraining.engine.logits_check`).

    On the way it is checked that logits are the output layer's product, divided by what is known of the architecture:
    loss is computed so, a part of the tokens at a time; and that position ids that restart keep documents apart, since
    phases and evaluation pack several into a sequence.

    Args:
        model: in fp32 and evaluation mode.
        where: its folder, to name in errors.

    Raises:
        CheckpointError: for an architecture that works otherwise.
    """
    tokens, ids = reference_tokens(model.config.vocab_size)
    logits = model(input_ids=tokens).logits[0]
    head, decoder = model.get_output_embeddings(), model.get_decoder()
    product = head(decoder(input_ids=tokens, use_cache=False)[0])[0] / logits_divisor(model.config)
    kind = model.config.model_type
    if _difference(product, logits) > TOLERANCE:
        raise CheckpointError(
            f"{where}: logits of {kind} are not its output layer's product alone, which losses are computed from; "
            "import a Llama, Qwen, Mistral or Granite"
        )
    half = tokens.shape[1] // 2
    positions = torch.arange(half).repeat(2)[None]
    packed = decoder(input_ids=tokens, position_ids=positions, use_cache=False)[0][:, half:]
    alone = decoder(input_ids=tokens[:, half:], use_cache=False)[0]
    if _difference(packed, alone) > TOLERANCE:
        raise CheckpointError(
            f"{where}: {kind} does not keep documents apart that are packed into one sequence; import a Llama, Qwen, "
            "Mistral or Granite"
        )
    return logits[-1, ids].tolist()


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())
