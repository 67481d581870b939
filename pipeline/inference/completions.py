"""A chat model's completions of problems, greedy or sampled, with what the problems' verifiers say of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from pipeline.environments import Problem, Verdict, verify
from pipeline.inference.conversation_ids import Message, encode, problem_messages, to_messages
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.engine.distributed import gather_objects, rank, world_size

GREEDY: dict[str, Any] = {"do_sample": False}
SAMPLED: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
"""Settings of transformers' generation that sample from the model's own distribution, nothing of it cut off."""


@dataclass(frozen=True)
class Completion:
    """A model's completion of a problem's prompt."""

    problem: Problem
    text: str
    """Without special tokens."""
    ended: bool
    """Whether the model ended its turn before the limit of tokens."""

    @cached_property
    def verdict(self) -> Verdict:
        """The verifier's verdict on the text as it stands, also if it was cut off at the limit. Accuracy counts it."""
        return verify(self.problem, self.text)

    @property
    def well_formed(self) -> bool:
        """Whether the turn ended and has the form that its environment asks for, be the answer right or wrong."""
        return self.ended and self.verdict.in_format


def group_by_environment(completions: Iterable[Completion]) -> dict[str, list[Completion]]:
    """The completions of each environment's problems, both in the order in which they come."""
    groups: dict[str, list[Completion]] = {}
    for completion in completions:
        groups.setdefault(completion.problem.environment, []).append(completion)
    return groups


@torch.inference_mode()
def generate(
    loaded: LoadedModel, prompts: Sequence[str | list[Message]], max_new_tokens: int, do_sample: bool = False
) -> list[tuple[str, bool]]:
    """The model's completion of each prompt, all in one batch.

    Args:
        loaded: a chat model.
        prompts: each a conversation to go on with; a text becomes the user's only turn.
        max_new_tokens: tokens of a completion, at most.
        do_sample: sample at temperature 1.0 with torch's global generator; otherwise decode greedily.

    Returns:
        The text of each completion without special tokens, and whether the model ended its turn within the limit.
    """
    tokenizer, model = loaded.tokenizer, loaded.model
    conversations = [to_messages(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    inputs: Any = encode(tokenizer, conversations, padding_side="left", add_generation_prompt=True).to(model.device)
    generator: Any = model
    outputs = generator.generate(
        **inputs,
        **(SAMPLED if do_sample else GREEDY),
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    completions = outputs[:, inputs["input_ids"].shape[1] :]
    ended = (completions == tokenizer.eos_token_id).any(dim=1).tolist()
    return list(zip(tokenizer.batch_decode(completions, skip_special_tokens=True), ended, strict=True))


def complete_problems(
    loaded: LoadedModel,
    problems: Sequence[Problem],
    batch_size: int,
    max_new_tokens: int,
    *,
    samples_per_prompt: int = 1,
    sampling_seed: int | None = None,
    report: Callable[[int], None] = lambda count: None,
    between: Callable[[], None] = lambda: None,
) -> list[Completion]:
    """The model's completions of all problems, in the problems' order; a collective.

    Ranks share the problems, and every rank gets the completions of all. Prompts of like length share a batch, which
    wastes little on padding.

    Args:
        loaded: a chat model, the same on every rank.
        problems: what is asked, the same on every rank.
        batch_size: completions that a rank generates together.
        max_new_tokens: tokens of a completion, at most.
        samples_per_prompt: completions of each problem; they stand side by side in the result.
        sampling_seed: None decodes greedily. Otherwise completions are sampled at temperature 1.0, the same for the
            same seed, batch size and number of ranks; the caller's random state is left as it was.
        report: is told the number of completions of this rank whenever a batch of them is done.
        between: called after each batch, by all ranks equally often, so that it may be a collective; it may raise.
    """
    places = [place for place in range(rank(), len(problems), world_size()) for _ in range(samples_per_prompt)]
    places.sort(key=lambda place: (len(problems[place].prompt), place))
    # Rank 0 has as many as any other.
    most = -(-len(problems) // world_size()) * samples_per_prompt
    do_sample = sampling_seed is not None
    own: list[tuple[int, Completion]] = []
    with torch.random.fork_rng(devices=[loaded.model.device] if loaded.model.device.type == "cuda" else []):
        if sampling_seed is not None:
            torch.manual_seed(sampling_seed)
        for start in range(0, most, batch_size):
            if batch := places[start : start + batch_size]:
                prompts = [problem_messages(problems[place]) for place in batch]
                answers = generate(loaded, prompts, max_new_tokens, do_sample)
                for place, (text, ended) in zip(batch, answers, strict=True):
                    own.append((place, Completion(problems[place], text, ended)))
                report(len(batch))
            between()
    completions = [each for of_rank in gather_objects(own) for each in of_rank]
    return [completion for _, completion in sorted(completions, key=lambda each: each[0])]
