"""A chat model's completions of problems, greedy or sampled, with what the problems' verifiers say of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.environments import Problem, Verdict, verify, verify_all
from pipeline.inference.conversation_ids import Message, conversation_ids, problem_messages, to_messages
from pipeline.inference.loading import LoadedModel
from pipeline.inference.sampling import decode, reply_seed
from pipeline.pretraining.engine.distributed import gather_objects, rank, world_size


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
        """The verifier's verdict on the text as it stands, also if it was cut off at the limit."""
        return verify(self.problem, self.text)

    @property
    def score(self) -> float:
        """What evaluation and training count: the verdict's score, and 0 for a reply without an end, which may have
        gone on to say anything."""
        return self.verdict.score if self.ended else 0.0

    @property
    def reason(self) -> str:
        """Why it has its score, in a few words."""
        return self.verdict.reason if self.ended else "unfinished"

    @property
    def well_formed(self) -> bool:
        """Whether the turn ended and has the form that its environment asks for, be the answer right or wrong."""
        return self.ended and self.verdict.in_format


def verified(completions: Sequence[Completion]) -> Sequence[Completion]:
    """The same completions, each with its verdict found: all at once, which takes a fraction of the time of each."""
    ahead = [each for each in completions if "verdict" not in vars(each)]
    verdicts = verify_all([each.problem for each in ahead], [each.text for each in ahead])
    for completion, verdict in zip(ahead, verdicts, strict=True):
        # Where a cached property keeps its value.
        vars(completion)["verdict"] = verdict
    return completions


def group_by_environment(completions: Iterable[Completion]) -> dict[str, list[Completion]]:
    """The completions of each environment's problems, both in the order in which they come."""
    groups: dict[str, list[Completion]] = {}
    for completion in completions:
        groups.setdefault(completion.problem.environment, []).append(completion)
    return groups


def generate(
    loaded: LoadedModel,
    prompts: Sequence[str | list[Message]],
    max_new_tokens: int,
    seeds: Sequence[int] | None = None,
) -> list[tuple[str, bool]]:
    """The model's completion of each prompt, all in one batch.

    Args:
        loaded: a chat model.
        prompts: each a conversation to go on with; a text becomes the user's only turn.
        max_new_tokens: tokens of a completion, at most.
        seeds: of each completion, which is sampled at temperature 1.0; None decodes greedily.

    Returns:
        The text of each completion without special tokens, and whether the model ended its turn within the limit.
    """
    tokenizer: Any = loaded.tokenizer
    conversations = [to_messages(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    ids = [conversation_ids(tokenizer, messages, add_generation_prompt=True) for messages in conversations]
    end = tokenizer.eos_token_id
    completions = decode(loaded.model, ids, seeds, max_new_tokens=max_new_tokens, end_tokens=[end])
    texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
    return [(text, completion[-1] == end) for text, completion in zip(texts, completions, strict=True)]


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
        sampling_seed: None decodes greedily. Otherwise completions are sampled at temperature 1.0, each with random
            numbers that follow from this seed, the problem's place and the sample's number, so that neither batches nor
            ranks matter but for rounding.
        report: is told the number of completions of this rank whenever a batch of them is done.
        between: called after each batch, by all ranks equally often, so that it may be a collective; it may raise.
    """
    places = range(rank(), len(problems), world_size())
    asked = [(place, sample) for place in places for sample in range(samples_per_prompt)]
    asked.sort(key=lambda each: (len(problems[each[0]].prompt), each))
    # Rank 0 has as many as any other.
    most = -(-len(problems) // world_size()) * samples_per_prompt
    own: list[tuple[tuple[int, int], Completion]] = []
    for start in range(0, most, batch_size):
        if batch := asked[start : start + batch_size]:
            prompts = [problem_messages(problems[place]) for place, _ in batch]
            seeds = None if sampling_seed is None else [reply_seed(sampling_seed, *each) for each in batch]
            answers = generate(loaded, prompts, max_new_tokens, seeds)
            for each, (text, ended) in zip(batch, answers, strict=True):
                own.append((each, Completion(problems[each[0]], text, ended)))
            report(len(batch))
        between()
    verified([completion for _, completion in own])
    completions = [each for of_rank in gather_objects(own) for each in of_rank]
    return [completion for _, completion in sorted(completions, key=lambda each: each[0])]
