"""A conversation with a chat model: it keeps the turns, encodes what was said and streams the next answer."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, Literal

import torch
from jinja2 import TemplateError
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from transformers import StoppingCriteriaList, TextStreamer

from pipeline.core.errors import ConfigError, DataError
from pipeline.core.terminal import one_line
from pipeline.inference.conversation_ids import Message, conversation_ids
from pipeline.inference.loading import LoadedModel

Ending = Literal["ended", "stopped", "limit"]
"""How an answer came to its end: by the model, by Ctrl-C, or at the limit of tokens."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen. What is null is as the model's own generation settings have it."""

    temperature: NonNegativeFloat | None = None
    """0 always takes the likeliest token; the higher, the more varied."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Only the likeliest tokens that have this share of the probability together."""
    top_k: NonNegativeInt | None = None
    """Only so many of the likeliest tokens; 0 is all."""
    max_new_tokens: PositiveInt = 512
    """Tokens of an answer, at most."""
    seed: int | None = None
    """Makes the answers of a conversation repeatable, each by its place; null draws anew each time."""

    def for_generate(self) -> dict[str, Any]:
        """The keyword arguments of transformers' `generate`."""
        # transformers refuses whole numbers for the first two.
        settings = {"temperature": (float, self.temperature), "top_p": (float, self.top_p), "top_k": (int, self.top_k)}
        given: dict[str, Any] = {name: kind(each) for name, (kind, each) in settings.items() if each is not None}
        if self.temperature == 0:
            given = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        elif given:
            given["do_sample"] = True
        return {**given, "max_new_tokens": self.max_new_tokens}


class Conversation:
    """The turns of one conversation, which every answer sees, and the model that answers."""

    def __init__(self, loaded: LoadedModel, sampling: Sampling, system: str | None = None) -> None:
        """Begins without a turn.

        Args:
            loaded: a chat model.
            sampling: how tokens are chosen; it may be replaced between answers.
            system: text of the system turn; None for a conversation without one.

        Raises:
            ConfigError: for a model without a chat template.
        """
        if not loaded.tokenizer.chat_template:
            raise ConfigError(
                f"{loaded.model.name_or_path}: has no chat template, so it continues text but cannot hold a "
                "conversation; name a model after SFT"
            )
        self._loaded = loaded
        self.sampling = sampling
        self.system = system
        self.turns: list[Message] = []

    def answer(self, text: str, show: Callable[[str], None]) -> Ending:
        """Adds the user's turn and the model's answer to the conversation.

        Where the conversation has become longer than the model's context, the oldest turns are forgotten first.

        Args:
            text: what the user says.
            show: is given the answer piece by piece as it is made, without special tokens.

        Returns:
            How the answer ended. What there is of it stays in the conversation.

        Raises:
            DataError: if the user's turn alone does not fit into the context, or the chat template refuses the turns;
                the conversation is as before.
        """
        turns, prompt = self._fitting([*self.turns, {"role": "user", "content": text}])
        if self.sampling.seed is not None:
            torch.manual_seed(self.sampling.seed + len(turns))
        model: Any = self._loaded.model
        tokenizer: Any = self._loaded.tokenizer
        ends = _ends(model, tokenizer)
        ids = torch.tensor([prompt], device=model.device)
        with _interrupts() as interrupted, torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                streamer=_Stream(tokenizer, show),
                stopping_criteria=StoppingCriteriaList([lambda ids, scores: ids.new_full((1,), bool(interrupted)) > 0]),
                eos_token_id=ends or None,
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(ends), 0),
                **self.sampling.for_generate(),
            )
        made = output[0, len(prompt) :]
        answer = tokenizer.decode(made, skip_special_tokens=True)
        self.turns = [*turns, {"role": "assistant", "content": answer}]
        if len(made) > 0 and int(made[-1]) in ends:
            return "ended"
        return "stopped" if interrupted else "limit"

    def _fitting(self, turns: list[Message]) -> tuple[list[Message], list[int]]:
        """The newest of the turns that leave room for an answer in the model's context, and their token ids."""
        model: Any = self._loaded.model
        context = getattr(model.config, "max_position_embeddings", None)
        system: list[Message] = [] if self.system is None else [{"role": "system", "content": self.system}]
        while True:
            try:
                prompt = conversation_ids(self._loaded.tokenizer, [*system, *turns], add_generation_prompt=True)
            except TemplateError as error:
                raise DataError(
                    f"the model's chat template refuses this conversation ({one_line(str(error))}); without a system "
                    "text (/system) it may take it"
                ) from None
            if context is None or len(prompt) + self.sampling.max_new_tokens <= context:
                return turns, prompt
            if len(turns) == 1:
                raise DataError(
                    f"max_new_tokens={self.sampling.max_new_tokens}: with the {len(prompt)} tokens of this message "
                    f"more than the model's context of {context}; lower it, or say less"
                )
            turns = turns[2:]


class _Stream(TextStreamer):
    """Hands the text of an answer on in whole words."""

    def __init__(self, tokenizer: Any, show: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._show = show

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._show(text)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects Ctrl-C instead of raising it, so that the token that is being made is finished; a second one raises."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: those of the model's generation settings, and the tokenizer's."""
    own = model.generation_config.eos_token_id
    of_model = own if isinstance(own, list) else [own]
    return sorted({each for each in (*of_model, tokenizer.eos_token_id) if each is not None})
