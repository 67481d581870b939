"""Needle in a haystack: a sentence with a number is hidden in long text, and the model is to complete it at the end.

The needle says "The secret number of Oslo is 483920."; the prompt ends in "The secret number of Oslo is ". Greedy
decoding gives exactly that number if and only if each of its tokens has the highest logit after the right ones before
it, so one forward pass over prompt and answer yields both the retrieval and the answer's loss.
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

CITIES = ("Amsterdam", "Cairo", "Lima", "Montreal", "Nairobi", "Oslo", "Prague", "Seoul", "Toronto", "Vienna")
SENTENCE = "The secret number of {city} is"


@dataclass(frozen=True)
class NeedleExample:
    """A prompt with a needle in it, and the answer that must follow; all are token ids."""

    prompt: list[int]
    prompt_without_needle: list[int]
    """The same question and length, with more text in the needle's place: what a model achieves by guessing."""
    answer: list[int]
    """The number's tokens."""


@dataclass(frozen=True)
class NeedleMetrics:
    """What a model makes of needles, as means over examples."""

    exact: float
    """Share of numbers that greedy decoding gives in full."""
    loss: float
    """Cross-entropy of the number in nats per token."""
    loss_without_needle: float
    """The same where the text does not say the number."""

    @property
    def gain(self) -> float:
        """Nats per token by which the needle lowers the loss; 0 for a model that cannot reach it."""
        return self.loss_without_needle - self.loss


def held_out_text(tokens: Path, domains: Sequence[str]) -> numpy.ndarray:
    """All held-out tokens of some domains in a row, without the tokens that end documents.

    `tokens` is the `tokens/` folder of a tokenize stage.

    Raises:
        DataError: if there are none.
    """
    shards = [TokenShard.open(tokens / domain / "validation.ds") for domain in domains]
    parts = [shard.document(number)[:-1] for shard in shards for number in range(shard.documents)]
    if not sum(map(len, parts)):
        raise DataError(f"{tokens}: no held-out tokens of {', '.join(domains)} to hide needles in")
    return numpy.concatenate(parts)


def needle_examples(
    text: numpy.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    count: int,
    value_digits: int,
    seed: int,
) -> list[NeedleExample]:
    """Examples whose needles lie at evenly spread depths, a pure function of the arguments.

    Args:
        text: tokens that haystacks are cut from, each at a random place. Short text is repeated.
        tokenizer: that made them.
        context: tokens of an example, prompt and answer together.
        count: examples.
        value_digits: digits of the number.
        seed: of places, cities and numbers.

    Raises:
        DataError: if needle, question and answer alone are longer than the context.
    """
    draw = random.Random(f"needle/{seed}/{context}")

    def encode(piece: str) -> list[int]:
        return tokenizer.encode(piece, add_special_tokens=False)

    examples = []
    for number in range(count):
        sentence = SENTENCE.format(city=draw.choice(CITIES))
        value = str(draw.randrange(10 ** (value_digits - 1), 10**value_digits))
        # The pre-tokenizer splits before digits, so question and answer join to the needle's own tokens.
        needle, question, answer = encode(f"\n{sentence} {value}.\n"), encode(f"\n{sentence} "), encode(value)
        filler = context - len(needle) - len(question) - len(answer)
        if filler < 0:
            shortest = context - filler
            raise DataError(f"long_context.contexts={context}: too short for a needle, set {shortest}+")
        start = draw.randrange(len(text))
        haystack = numpy.take(text, range(start, start + filler + len(needle)), mode="wrap").tolist()
        depth = int(filler * (number + 0.5) / count)
        examples.append(
            NeedleExample(
                prompt=haystack[:depth] + needle + haystack[depth:filler] + question,
                prompt_without_needle=haystack + question,
                answer=answer,
            )
        )
    return examples


@torch.inference_mode()
def evaluate_needles(model: PreTrainedModel, examples: Sequence[NeedleExample]) -> NeedleMetrics:
    """How well a model gives the answers of examples; two forward passes of one sequence for each of them."""
    exact, losses, losses_without = 0, [], []
    for example in examples:
        logits = _answer_logits(model, example.prompt, example.answer)
        answer = torch.tensor(example.answer, device=logits.device)
        exact += bool((logits.argmax(-1) == answer).all())
        losses.append(float(functional.cross_entropy(logits, answer)))
        logits = _answer_logits(model, example.prompt_without_needle, example.answer)
        losses_without.append(float(functional.cross_entropy(logits, answer)))
    count = len(examples)
    return NeedleMetrics(exact / count, sum(losses) / count, sum(losses_without) / count)


def _answer_logits(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Logits at the positions that predict the answer's tokens, float32, shape (tokens of the answer, vocabulary)."""
    sequence = torch.tensor([prompt + answer[:-1]], device=model.device)
    return model(input_ids=sequence, use_cache=False, logits_to_keep=len(answer)).logits[0].float()
