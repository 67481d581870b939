"""Cross-entropy over a large vocabulary: full logits never exist, and nothing is computed twice.

Logits of 4,096 tokens over 100,352 ids are 1.6 GB in fp32, and their gradients as much again. So they are made for a
chunk of tokens at a time; and since the loss is the last thing that a model computes, its gradients are known up to a
factor as soon as the logits are. Those of a chunk are computed with it, and kept for the backward pass in the place of
logits, as in Liger's fused linear cross-entropy (Hsu et al. 2024, arXiv 2410.10989). That is three matrix products,
where computing logits again in the backward pass takes four.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.pretraining.data.stream import IGNORE_INDEX


class LinearCrossEntropy(torch.autograd.Function):
    """The summed loss of a linear layer's logits, and each position's cross-entropy."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, chunk_tokens: int, z_loss: float
    ) -> tuple[Tensor, Tensor]:
        """Σ cross-entropy + z_loss · ln² Z over positions with a label, Z = Σ exp(logits).

        The second term keeps logits from drifting (PaLM, arXiv 2204.02311, section 5). With softmax p and the one-hot
        target t the gradient of a position's loss by its logits is (1 + 2·z_loss·ln Z)·p − t; times `weight` it is that
        by `hidden`, and summed with `hidden` over positions that by `weight`.

        Args:
            ctx: of autograd.
            hidden: shape (tokens, width); the logits are hidden · weightᵀ.
            weight: shape (vocabulary, width).
            labels: shape (tokens,), or `IGNORE_INDEX`.
            chunk_tokens: tokens whose logits are in memory at a time.
            z_loss: weight of the second term.

        Returns:
            The sum, a float32 scalar; and cross-entropy in nats, float32, shape (tokens,), 0 where there is no label.
            Only the sum has a gradient.
        """
        needs_gradient = hidden.requires_grad or weight.requires_grad
        token_losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        penalty = torch.zeros((), dtype=torch.float32, device=hidden.device)
        if needs_gradient:
            hidden_gradient = torch.empty_like(hidden)
            weight_gradient = torch.zeros_like(weight, dtype=torch.float32)
        for start in range(0, len(hidden), chunk_tokens):
            rows = slice(start, start + chunk_tokens)
            logits = (hidden[rows] @ weight.t()).float()
            valid, targets = labels[rows] != IGNORE_INDEX, labels[rows].clamp(min=0)[:, None]
            target_logits, maxima = logits.gather(1, targets)[:, 0], logits.amax(-1)
            # In place: a chunk of logits is what memory bandwidth goes to.
            exponentials = logits.sub_(maxima[:, None]).exp_()
            sums = exponentials.sum(-1)
            log_z = sums.log() + maxima
            token_losses[rows] = (log_z - target_logits) * valid
            if z_loss:
                penalty += z_loss * (log_z.square() * valid).sum()
            if needs_gradient:
                factors = (1 + 2 * z_loss * log_z) * valid / sums
                logits_gradient = exponentials.mul_(factors[:, None])
                logits_gradient.scatter_add_(1, targets, -valid[:, None].to(logits_gradient.dtype))
                logits_gradient = logits_gradient.to(hidden.dtype)
                hidden_gradient[rows] = logits_gradient @ weight
                weight_gradient += logits_gradient.t() @ hidden[rows]
        if needs_gradient:
            ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        ctx.mark_non_differentiable(token_losses)
        return token_losses.sum() + penalty, token_losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore[override]
        """The gradients that `forward` computed, times the gradient of the sum."""
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * outputs[0], weight_gradient * outputs[0], None, None, None
