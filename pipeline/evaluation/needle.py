"""Needle in a haystack: one sentence with a number, somewhere in held-out text, and a question at its end.

Greedy decoding gives exactly the number if and only if every token of it has the highest logit when those
before it are given, so one forward pass yields both the retrieval and the loss of the answer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.core.errors import DataError
from pipeline.tokenization.shards import TokenShard

KEYS = ("Amsterdam", "Cairo", "Lima", "Montreal", "Nairobi", "Oslo", "Prague", "Seoul", "Toronto", "Vienna")
"""What the number belongs to."""
SENTENCE = "The secret number of {key} is"


@dataclass(frozen=True)
class Haystack:
    """A prompt with the answer that must follow."""

    with_needle: list[int]
    without_needle: list[int]
    """The same length and question, with more text where the needle was: what guessing achieves."""
    answer: list[int]


@dataclass(frozen=True)
class Retrieval:
    """Means over needles."""

    exact: float
    """Share of numbers that greedy decoding gives in full."""
    loss: float
    """Nats per token of the number."""
    loss_without: float
    """The same when the text does not say the number."""

    @property
    def gain(self) -> float:
        """Nats per token that reading the needle is worth; 0 for a model that cannot reach it."""
        return self.loss_without - self.loss


def held_out_text(tokens: Path, domains: Sequence[str]) -> numpy.ndarray:
    """The held-out tokens of some domains, without the ends of documents.

    Raises:
        DataError: if there are none.
    """
    shards = [TokenShard.open(tokens / domain / "validation.ds") for domain in domains]
    parts = [shard.document(number)[:-1] for shard in shards for number in range(shard.documents)]
    if not sum(map(len, parts)):
        raise DataError(f"{tokens}: no held-out tokens of {', '.join(domains)} to hide needles in")
    return numpy.concatenate(parts)


def make_haystacks(
    text: numpy.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    count: int,
    value_digits: int,
    seed: int,
) -> list[Haystack]:
    """`count` haystacks of `context` tokens with their answers, needles at evenly spread depths.

    A pure function of its arguments. Text shorter than a haystack is repeated.

    Raises:
        DataError: if needle and question alone are longer than the context.
    """
    draw = random.Random(f"needle/{seed}/{context}")

    def encode(piece: str) -> list[int]:
        return tokenizer.encode(piece, add_special_tokens=False)

    haystacks = []
    for number in range(count):
        sentence = SENTENCE.format(key=draw.choice(KEYS))
        value = str(draw.randrange(10 ** (value_digits - 1), 10**value_digits))
        # The pre-tokenizer splits before digits, so question and answer join to the needle's own tokens.
        needle, question, answer = encode(f"\n{sentence} {value}.\n"), encode(f"\n{sentence} "), encode(value)
        filler = context - len(needle) - len(question) - len(answer)
        if filler < 0:
            shortest = context - filler
            raise DataError(f"long_context.contexts={context}: too short for a needle, set {shortest}+")
        start = draw.randrange(len(text))
        hay = numpy.take(text, range(start, start + filler + len(needle)), mode="wrap").tolist()
        depth = int(filler * (number + 0.5) / count)
        haystacks.append(
            Haystack(
                with_needle=hay[:depth] + needle + hay[depth:filler] + question,
                without_needle=hay + question,
                answer=answer,
            )
        )
    return haystacks


@torch.inference_mode()
def retrieve(model: PreTrainedModel, haystacks: Sequence[Haystack]) -> Retrieval:
    """Asks the model for every needle, one haystack at a time."""
    exact, losses, losses_without = 0, [], []
    for haystack in haystacks:
        logits = _answer_logits(model, haystack.with_needle, haystack.answer)
        answer = torch.tensor(haystack.answer, device=logits.device)
        exact += bool((logits.argmax(-1) == answer).all())
        losses.append(float(functional.cross_entropy(logits, answer)))
        logits = _answer_logits(model, haystack.without_needle, haystack.answer)
        losses_without.append(float(functional.cross_entropy(logits, answer)))
    count = len(haystacks)
    return Retrieval(exact / count, sum(losses) / count, sum(losses_without) / count)


def _answer_logits(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Logits at the positions that predict the answer's tokens."""
    sequence = torch.tensor([prompt + answer[:-1]], device=model.device)
    return model(input_ids=sequence, use_cache=False, logits_to_keep=len(answer)).logits[0].float()
