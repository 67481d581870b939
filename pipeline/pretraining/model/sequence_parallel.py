"""Sequences divided over ranks: DeepSpeed's Ulysses (Jacobs et al. 2023, arXiv 2309.14509).

Each rank of a group has a slice of every sequence. Inside attention an all-to-all gives each the whole sequence for
its share of the heads, so that the kernel and the mask that keeps documents apart are those of one rank. To ZeRO the
ranks of a group are ranks with other data: the sum of their losses is the loss.
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

NAME = "ulysses"


class SequenceParallel:
    """The group of ranks that this one divides sequences with: neighbours, so that a node has all of them."""

    def __init__(self, size: int) -> None:
        """Makes the groups. A collective. Args: `size`, ranks in each."""
        self.size = size
        self.rank = comm.get_rank() % size
        """This rank's number in its group: which slice it has."""
        for first in range(0, comm.get_world_size(), size):
            group = comm.new_group(list(range(first, first + size)))
            if first <= comm.get_rank() < first + size:
                self._group: Any = group
        self._mask_config: PreTrainedConfig | None = None

    def install(self, config: PreTrainedConfig) -> None:
        """Puts the all-to-all around the kernel that a model's configuration names."""
        self._mask_config = copy.copy(config)
        kernel = ALL_ATTENTION_FUNCTIONS[config._attn_implementation]

        def attention(
            module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **settings: Any
        ) -> tuple[Tensor, None]:
            # Shapes (sequences, heads, slice, head size), as transformers has them; Ulysses wants heads third.
            def of_all(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
                whole = (each.transpose(1, 2) for each in (query, key, value))
                return kernel(module, *whole, mask, **settings)[0]

            ulysses = DistributedAttention(of_all, self._group, scatter_idx=2, gather_idx=1)  # type: ignore[arg-type]
            slices = (each.transpose(1, 2).contiguous() for each in (query, key, value))
            return ulysses(*slices, batch_dim_idx=0), None

        ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
        config._attn_implementation = NAME

    def mask(self, positions: Tensor) -> Tensor | BlockMask | None:
        """The kernel's mask for whole sequences, of slices of positions inside documents. A collective."""
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
