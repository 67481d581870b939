"""The requests made for one seed document: a single one, or for code a chain of instructions and their solutions.

datatrove's inference runner calls a rollout with each seed document, many side by side. Every request of theirs goes
through one `ChatClient`, which keeps the budget of tokens, looks into the cache first, and gives up on a server that
fails too often.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.types import GenerateFunction, InferenceError

from pipeline.core.context import derive_seed
from pipeline.core.errors import DataError, Requeue, as_user_error
from pipeline.curation.audit.filter_result import check_limits
from pipeline.synthesis.config import LanguageModelConfig
from pipeline.synthesis.language_model.prompt_templates import (
    ChainOfThought,
    CodeWithTests,
    PromptTemplate,
    QuestionAnswers,
    Rephrase,
)
from pipeline.synthesis.language_model.response_cache import Response, ResponseCache
from pipeline.synthesis.language_model.seeds import EXAMPLE

THINK_BLOCK = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What reasoning models write before their answer; it is not kept."""
TASK_PHRASES = re.compile(
    r"given (prompt|instruction)|(rewritten|evolved|new|harder) (prompt|instruction)|#\s*prompt", re.IGNORECASE
)
"""Talk about the task in place of an instruction (Evol-Instruct, arXiv 2304.12244, section 3.2)."""
MINIMUM_REQUESTS_JUDGED = 20
"""Requests before the share of failures is held against its limit; with fewer it would say little."""


class NoUsableReply(Exception):
    """A request without a reply that can be used; the message is the reason in the removal row."""


@dataclass(frozen=True)
class UncheckedReply:
    """What the model wrote for one seed and still has to be checked, or why there is nothing to check."""

    text: str
    """What the model wrote; with a failure, what it was asked about."""
    instruction: str = ""
    """The instruction that the text follows, where the model wrote that as well."""
    failure: str | None = None
    """Why there is nothing to check, if so."""
    value: float | None = None
    """What was measured, where the failure is a number beyond a limit."""
    threshold: float | None = None
    """The limit that the number is beyond."""


class ChatClient:
    """The one way to the model: asks nothing twice, keeps to the token budget, counts tokens and failures."""

    def __init__(
        self, config: LanguageModelConfig, cache: ResponseCache, seed: int, stop_requested: Callable[[], bool]
    ) -> None:
        """Every request gets a seed of its own, derived from `seed` and the name of its random stream."""
        self._config, self._cache, self._seed, self._stop_requested = config, cache, seed, stop_requested
        self.tokens = 0
        """Tokens of all replies so far, and the most that requests under way can still cost."""
        self.asked = self.cached = self.failed = 0

    def counts(self) -> dict[str, int]:
        """Requests, failures and tokens so far: the same whether replies came from the cache or from the server."""
        return {"requests": self.asked + self.cached, "failed": self.failed, "tokens": self.tokens}

    async def ask(self, generate: GenerateFunction, prompt: PromptTemplate, text: str, stream: str) -> str:
        """The model's reply to one user message, without its `<think>` block.

        The most tokens that the reply may have are taken from the budget before the request is sent, so that requests
        side by side cannot spend more together; what the reply did not need goes back. A cached reply costs the same,
        so that the result does not depend on what is in the cache.

        Args:
            generate: datatrove's function, which sends a payload to the server.
            prompt: whose sampling parameters are used.
            text: the message.
            stream: name of the random stream that the request's seed is taken from.

        Raises:
            NoUsableReply: if there is no reply, it is empty or cut short, or the budget is spent.
            Requeue: after a stop signal.
            UserError: if too many requests failed, or none can succeed.
        """
        if self._stop_requested():
            raise Requeue("stopped between two requests")
        maximum_tokens = prompt.sampling.maximum_tokens
        payload = {
            "messages": [{"role": "user", "content": text}],
            "max_tokens": maximum_tokens,
            "temperature": prompt.sampling.temperature,
            "top_p": prompt.sampling.top_p,
            # Some servers take no more than 31 bits.
            "seed": derive_seed(self._seed, "language_model", stream) % 2**31,
        }
        request = {**payload, "model": self._config.model}
        if self.tokens + maximum_tokens > self._config.maximum_tokens:
            raise NoUsableReply("token_budget")
        self.tokens += maximum_tokens
        response = self._cache.get(request)
        if response is None:
            try:
                response = await self._send(generate, payload, maximum_tokens)
            except NoUsableReply:
                self.tokens -= maximum_tokens
                raise
            self._cache.put(request, response)
        else:
            self.cached += 1
        self.tokens += response.completion_tokens - maximum_tokens
        if response.finish_reason == "length":
            raise NoUsableReply("cut_short")
        if not (reply := THINK_BLOCK.sub("", response.text).strip()):
            raise NoUsableReply("empty_reply")
        return reply

    async def _send(self, generate: GenerateFunction, payload: dict[str, Any], maximum_tokens: int) -> Response:
        self.asked += 1
        try:
            result = await generate(payload)
        except InferenceError as error:
            # The runner wraps a user's error, which all requests would meet, as if it were this request's.
            if (cause := as_user_error(error, "language_model")) is not None:
                raise cause from None
            self.failed += 1
            self.check_failures(MINIMUM_REQUESTS_JUDGED)
            raise NoUsableReply(f"request_{error.error}") from None
        # A server that counts no tokens is taken to have given all it may.
        tokens = result.usage.get("completion_tokens", maximum_tokens)
        return Response(text=result.text, finish_reason=result.finish_reason, completion_tokens=tokens)

    def check_failures(self, minimum_requests: int = 1) -> None:
        """Gives up on a server that fails too often, once it was sent so many requests.

        Raises:
            DataError: if more than `maximum_failed_share` of the requests failed.
        """
        limit = self._config.maximum_failed_share
        if self.asked >= minimum_requests and self.failed > limit * self.asked:
            raise DataError(
                f"language_model.url={self._config.url}: {self.failed} of {self.asked} requests failed, more than "
                f"maximum_failed_share={limit}; look at the server, then run again: replies are kept"
            )


Rollout = Callable[[Document, GenerateFunction], Awaitable[list[dict[str, Any]]]]


def rollout_of(prompt: PromptTemplate, client: ChatClient, done: Callable[[], None]) -> Rollout:
    """The coroutine function that datatrove's runner calls with each seed document.

    It returns completions as plain dictionaries, which the runner can write as JSON, and calls `done` after each seed.
    """

    async def rollout(document: Document, generate: GenerateFunction) -> list[dict[str, Any]]:
        completions = await _completions(prompt, client, document, generate)
        done()
        return [asdict(completion) for completion in completions]

    return rollout


async def _completions(
    prompt: PromptTemplate, client: ChatClient, document: Document, generate: GenerateFunction
) -> list[UncheckedReply]:
    match prompt:
        case Rephrase() | QuestionAnswers():
            text = prompt.prompt.format(page=document.text)
        case ChainOfThought():
            example = document.metadata[EXAMPLE]
            text = prompt.prompt.format(problem=document.text, example=example["prompt"], solution=example["solution"])
        case CodeWithTests():
            return await _instructions_and_solutions(prompt, client, document, generate)
        case _:
            raise AssertionError(prompt)
    try:
        return [UncheckedReply(await client.ask(generate, prompt, text, str(document.id)))]
    except NoUsableReply as reason:
        return [UncheckedReply(document.text, failure=str(reason))]


async def _instructions_and_solutions(
    prompt: CodeWithTests, client: ChatClient, document: Document, generate: GenerateFunction
) -> list[UncheckedReply]:
    """A chain of ever harder instructions, then a solution to each of them that is one.

    The first instruction is inspired by the snippet. Each round asks for a harder version of the last instruction that
    passed `_instruction_failure`; one that fails leaves a failed completion and the round is lost, not the chain.
    """
    completions: list[UncheckedReply] = []
    accepted: list[str] = []
    for number in range(prompt.rounds + 1):
        if accepted:
            text = prompt.evolve_prompt.format(instruction=accepted[-1])
        else:
            text = prompt.prompt.format(page=document.text)
        try:
            instruction = await client.ask(generate, prompt, text, f"{document.id}/instruction/{number}")
        except NoUsableReply as reason:
            completions.append(UncheckedReply(document.text, failure=str(reason)))
            continue
        failed = _instruction_failure(prompt, instruction, accepted)
        if failed is not None:
            completions.append(failed)
            continue
        accepted.append(instruction)
    for number, instruction in enumerate(accepted):
        text = prompt.solve_prompt.format(instruction=instruction)
        try:
            reply = await client.ask(generate, prompt, text, f"{document.id}/solution/{number}")
        except NoUsableReply as reason:
            completions.append(UncheckedReply(instruction, instruction, failure=str(reason)))
        else:
            completions.append(UncheckedReply(reply, instruction))
    return completions


def _instruction_failure(prompt: CodeWithTests, instruction: str, previous: list[str]) -> UncheckedReply | None:
    """The failed completion of a text that is no new instruction, judged by its form alone; None for one that is."""
    if TASK_PHRASES.search(instruction):
        return UncheckedReply(instruction, failure="speaks_of_the_task")
    if " ".join(instruction.split()) in (" ".join(each.split()) for each in previous):
        return UncheckedReply(instruction, failure="not_evolved")
    words = len(instruction.split())
    removal = check_limits(
        (
            ("instruction_too_short", words, ">=", prompt.minimum_instruction_words),
            ("instruction_too_long", words, "<=", prompt.maximum_instruction_words),
        )
    ).removal
    if removal is None:
        return None
    return UncheckedReply(instruction, failure=removal.reason, value=removal.value, threshold=removal.threshold)
