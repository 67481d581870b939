"""Cross-entropy over a large vocabulary: full logits never exist, and nothing is computed twice.

The gradients of a chunk of tokens are computed with its logits, as in Liger's fused linear cross-entropy (Hsu et al.
2024, arXiv 2410.10989): three matrix products, where computing logits again in the backward pass takes four.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.pretraining.data.stream import IGNORED


class LinearCrossEntropy(torch.autograd.Function):
    """The summed loss of a linear layer's logits, and each position's cross-entropy."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, chunk_tokens: int, z_loss: float
    ) -> tuple[Tensor, Tensor]:
        """Σ cross-entropy + z_loss · ln² Σ exp(logits) over positions with a label (PaLM, arXiv 2204.02311, section 5).

        Args:
            ctx: of autograd.
            hidden: shape (tokens, width); the logits are hidden · weightᵀ.
            weight: shape (vocabulary, width).
            labels: shape (tokens,), or `IGNORED`.
            chunk_tokens: tokens whose logits are in memory at a time.
            z_loss: weight of the second term.

        Returns:
            The sum, a float32 scalar; and cross-entropy in nats, float32, shape (tokens,), which has no gradient.
        """
        needs_gradient = hidden.requires_grad or weight.requires_grad
        entropies = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        penalty = torch.zeros((), dtype=torch.float32, device=hidden.device)
        if needs_gradient:
            of_hidden = torch.empty_like(hidden)
            of_weight = torch.zeros_like(weight, dtype=torch.float32)
        for start in range(0, len(hidden), chunk_tokens):
            rows = slice(start, start + chunk_tokens)
            logits = (hidden[rows] @ weight.t()).float()
            valid, targets = labels[rows] != IGNORED, labels[rows].clamp(min=0)[:, None]
            of_targets, peaks = logits.gather(1, targets)[:, 0], logits.amax(-1)
            # In place: a chunk of logits is what memory bandwidth goes to.
            exponentials = logits.sub_(peaks[:, None]).exp_()
            sums = exponentials.sum(-1)
            normalizers = sums.log() + peaks
            entropies[rows] = (normalizers - of_targets) * valid
            if z_loss:
                penalty += z_loss * (normalizers.square() * valid).sum()
            if needs_gradient:
                factors = (1 + 2 * z_loss * normalizers) * valid / sums
                gradient = exponentials.mul_(factors[:, None])
                gradient.scatter_add_(1, targets, -valid[:, None].to(gradient.dtype))
                gradient = gradient.to(hidden.dtype)
                of_hidden[rows] = gradient @ weight
                of_weight += gradient.t() @ hidden[rows]
        if needs_gradient:
            ctx.save_for_backward(of_hidden, of_weight.to(weight.dtype))
        ctx.mark_non_differentiable(entropies)
        return entropies.sum() + penalty, entropies

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore[override]
        """The gradients, times that of the sum."""
        of_hidden, of_weight = ctx.saved_tensors
        return of_hidden * outputs[0], of_weight * outputs[0], None, None, None
