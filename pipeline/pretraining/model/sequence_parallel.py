"""Sequences divided over ranks: DeepSpeed's Ulysses (Jacobs et al. 2023, arXiv 2309.14509).

Each rank of a group has a slice of every sequence of the group's micro-batches. All layers but attention work on each
token alone, so on slices. Before attention an all-to-all turns (all heads, a slice of the sequence) into (a share of
the heads, the whole sequence), and after it another one turns it back: the kernel, and the mask that keeps documents
apart, are those of a single rank. So `size` must divide the key-value heads and the context. To ZeRO the ranks of a
group are ranks with other data: the sum of their losses is the loss.
"""

import copy
from typing import Any

import torch
from deepspeed import comm
from deepspeed.sequence.layer import DistributedAttention
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask
from transformers import PreTrainedConfig
from transformers.masking_utils import create_causal_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ULYSSES = "ulysses"
"""The name under which transformers finds the divided attention."""


class SequenceParallel:
    """The group of ranks that this one divides sequences with: neighbors, so that a node has all of them."""

    def __init__(self, size: int) -> None:
        """Makes the groups of `size` ranks each, all of them on every rank, as torch asks for; a collective."""
        self.size = size
        self.rank = comm.get_rank() % size
        """This rank's number in its group: which slice it has."""
        for first in range(0, comm.get_world_size(), size):
            group = comm.new_group(list(range(first, first + size)))
            if first <= comm.get_rank() < first + size:
                self._group: Any = group
        self._mask_config: PreTrainedConfig | None = None

    def sum_over_group(self, value: Tensor) -> Tensor:
        """The elementwise sum over the ranks of the group, as a new tensor without gradient; a collective of it."""
        total = value.detach().clone()
        comm.all_reduce(total, group=self._group)
        return total

    def install(self, config: PreTrainedConfig) -> None:
        """Makes a model's configuration name attention with the all-to-alls around the kernel that it named so far.

        The model's forward pass is a collective of the group from here on.
        """
        self._mask_config = copy.copy(config)
        kernel = ALL_ATTENTION_FUNCTIONS[config._attn_implementation]

        def attention(
            module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **settings: Any
        ) -> tuple[Tensor, None]:
            # Shapes (sequences, heads, slice, head size), as transformers has them; Ulysses wants heads third.
            def of_whole_sequences(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
                heads_second = (each.transpose(1, 2) for each in (query, key, value))
                return kernel(module, *heads_second, mask, **settings)[0]

            ulysses = DistributedAttention(of_whole_sequences, self._group, scatter_idx=2, gather_idx=1)  # type: ignore[arg-type]
            heads_third = (each.transpose(1, 2).contiguous() for each in (query, key, value))
            return ulysses(*heads_third, batch_dim_idx=0), None

        ALL_ATTENTION_FUNCTIONS.register(ULYSSES, attention)
        config._attn_implementation = ULYSSES

    def attention_mask(self, positions: Tensor) -> Tensor | BlockMask | None:
        """The kernel's mask for whole sequences; a collective of the group.

        Args:
            positions: inside documents, of this rank's slices, int64 of shape (sequences, context / size).
        """
        assert self._mask_config is not None
        slices = [torch.empty_like(positions) for _ in range(self.size)]
        comm.all_gather(slices, positions.contiguous(), group=self._group)
        whole = torch.cat(slices, dim=1)
        return create_causal_mask(
            config=self._mask_config,
            inputs_embeds=torch.empty(*whole.shape, 1, device=positions.device),
            attention_mask=None,
            past_key_values=None,
            position_ids=whole,
        )
