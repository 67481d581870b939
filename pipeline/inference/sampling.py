"""Decoding many completions of few prompts, each with random numbers of its own.

transformers' `generate` draws all random numbers of a batch from one stream, so that a completion depends on what else
is in the batch, and reads a prompt again for each of its completions. Here a completion is a function of the model, the
prompt and its own seed (but for rounding, which differs with the shape of a batch), a prompt is read once, and what has
ended takes no more time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
import xxhash
from transformers import DynamicCache


def reply_seed(*what: object) -> int:
    """The seed of a completion: a hash of what identifies it, such as a stage's seed, a prompt and a number."""
    return xxhash.xxh3_64_intdigest("/".join(map(str, what)).encode()) >> 1


@torch.no_grad()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int] | None,
    *,
    max_new_tokens: int,
    end_tokens: Collection[int],
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> list[list[int]]:
    """A completion of each prompt: the tokens after it, the one that ends it included.

    Args:
        model: a causal language model of transformers that can go on from a DynamicCache.
        prompts: token ids, at least one each; equal ones are read once.
        seeds: one for each prompt; None decodes greedily.
        max_new_tokens: tokens of a completion, at most.
        end_tokens: ids of the tokens after which a completion ends.
        temperature: what logits are divided by.
        top_p: share of probability that sampling keeps (nucleus; Holtzman et al. 2020, arXiv 1904.09751); 1.0 is all.
    """
    device = model.device
    distinct = list(dict.fromkeys(map(tuple, prompts)))
    number = {prompt: place for place, prompt in enumerate(distinct)}
    copies = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=device)
    longest = max(map(len, distinct))
    ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in distinct], device=device)
    lengths = torch.tensor([len(prompt) for prompt in distinct], device=device)
    mask = (torch.arange(longest, device=device) >= longest - lengths[:, None]).long()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    from_cache = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, **from_cache)
    cache.batch_select_indices(copies)
    logits, mask, next_position = output.logits[:, -1].float()[copies], mask[copies], lengths[copies]

    draws = None if seeds is None else _uniform(seeds, max_new_tokens).to(device)
    ends = torch.tensor(sorted(end_tokens), device=device)
    going = torch.arange(len(prompts), device=device)
    columns: list[tuple[torch.Tensor, torch.Tensor]] = []
    for step in range(max_new_tokens):
        chosen = logits.argmax(dim=-1) if draws is None else _choose(logits / temperature, draws[going, step], top_p)
        columns.append((going, chosen))
        open_rows = (~torch.isin(chosen, ends)).nonzero()[:, 0]
        if step + 1 == max_new_tokens or not len(open_rows):
            break
        if len(open_rows) < len(going):
            cache.batch_select_indices(open_rows)
            going, chosen, mask = going[open_rows], chosen[open_rows], mask[open_rows]
            next_position = next_position[open_rows]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        output = model(
            input_ids=chosen[:, None], attention_mask=mask, position_ids=next_position[:, None], **from_cache
        )
        logits, next_position = output.logits[:, -1].float(), next_position + 1

    completions: list[list[int]] = [[] for _ in prompts]
    for rows, tokens in columns:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            completions[row].append(token)
    return completions


def _uniform(seeds: Sequence[int], count: int) -> torch.Tensor:
    """Numbers from 0 to 1, `count` from the stream of each seed: [seeds, count] in 64 bits."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.rand(count, dtype=torch.float64, generator=each) for each in generators])


def _choose(logits: torch.Tensor, draws: torch.Tensor, top_p: float) -> torch.Tensor:
    """The token at which the probabilities, added up, pass each draw: [rows] of [rows, vocabulary]."""
    probabilities = logits.softmax(dim=-1)
    if top_p < 1.0:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        # A token is kept if those before it are not enough yet.
        ordered = ordered.masked_fill(ordered.cumsum(dim=-1) - ordered >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    passed = probabilities.cumsum(dim=-1, dtype=torch.float64)
    found = torch.searchsorted(passed, (draws * passed[:, -1])[:, None], right=True)[:, 0]
    return found.clamp(max=logits.shape[-1] - 1)
