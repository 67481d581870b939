"""What is asked of the model for one seed: one request, or a chain of them."""

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
from pipeline.synthesis.language_model.prompts import ChainOfThought, CodeWithTests, Prompt, QuestionAnswers, Rephrase
from pipeline.synthesis.language_model.response_cache import Reply, ResponseCache
from pipeline.synthesis.language_model.seeds import EXAMPLE

THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What some models say before they speak."""
TASK_WORDS = re.compile(
    r"given (prompt|instruction)|(rewritten|evolved|new|harder) (prompt|instruction)|#\s*prompt", re.IGNORECASE
)
"""Speech about the task in place of an instruction (Evol-Instruct, arXiv 2304.12244, section 3.2)."""
FEWEST_JUDGED = 20
"""Requests after which a share of failures says something."""


class Unanswered(Exception):
    """A request without a usable reply; the message is the reason."""


@dataclass(frozen=True)
class Draft:
    """A reply that waits for its check, or what came in its place."""

    text: str
    """What the model wrote."""
    instruction: str = ""
    """What it was asked for, where a model wrote that as well."""
    failure: str | None = None
    value: float | None = None
    threshold: float | None = None


class ChatClient:
    """The one way to the model: counts tokens and failures, and asks nothing twice."""

    def __init__(
        self, settings: LanguageModelConfig, replies: ResponseCache, seed: int, stop_requested: Callable[[], bool]
    ) -> None:
        """Every request has a seed of its own, derived from `seed` and from what it is about."""
        self._settings, self._replies, self._seed, self._stop_requested = settings, replies, seed, stop_requested
        self.tokens = 0
        """Tokens of replies so far, and those that requests under way may still cost."""
        self.asked = self.cached = self.failed = 0

    def counts(self) -> dict[str, int]:
        """What was asked and what it cost: the same whether replies came from the cache or not."""
        return {"requests": self.asked + self.cached, "failed": self.failed, "tokens": self.tokens}

    async def ask(self, generate: GenerateFunction, prompt: Prompt, text: str, identity: str) -> str:
        """The model's reply to a text.

        Raises:
            Unanswered: if there is none, or it is empty or cut short.
            Requeue: after a stop signal.
            UserError: if too many requests fail, or all must.
        """
        if self._stop_requested():
            raise Requeue("stopped between two requests")
        most = prompt.sampling.maximum_tokens
        payload = {
            "messages": [{"role": "user", "content": text}],
            "max_tokens": most,
            "temperature": prompt.sampling.temperature,
            "top_p": prompt.sampling.top_p,
            # Some servers take no more than 31 bits.
            "seed": derive_seed(self._seed, "language_model", identity) % 2**31,
        }
        request = {**payload, "model": self._settings.model}
        # Reserved before it is asked, so that no number of requests side by side spends more.
        if self.tokens + most > self._settings.maximum_tokens:
            raise Unanswered("token_budget")
        self.tokens += most
        reply = self._replies.get(request)
        if reply is None:
            try:
                reply = await self._request(generate, payload, most)
            except Unanswered:
                self.tokens -= most
                raise
            self._replies.put(request, reply)
        else:
            self.cached += 1
        self.tokens += reply.completion_tokens - most
        if reply.finish_reason == "length":
            raise Unanswered("cut_short")
        if not (said := THOUGHT.sub("", reply.text).strip()):
            raise Unanswered("empty_reply")
        return said

    async def _request(self, generate: GenerateFunction, payload: dict[str, Any], most: int) -> Reply:
        self.asked += 1
        try:
            result = await generate(payload)
        except InferenceError as error:
            # The runner wraps what is wrong with all requests as if it were wrong with one.
            if (cause := as_user_error(error, "language_model")) is not None:
                raise cause from None
            self.failed += 1
            self.check_failures(FEWEST_JUDGED)
            raise Unanswered(f"request_{error.error}") from None
        # A server that does not count is taken to have given all it may.
        tokens = result.usage.get("completion_tokens", most)
        return Reply(text=result.text, finish_reason=result.finish_reason, completion_tokens=tokens)

    def check_failures(self, fewest: int = 1) -> None:
        """Refuses to go on with a server that fails too often.

        Raises:
            DataError: if the share is above what is configured.
        """
        limit = self._settings.maximum_failed_share
        if self.asked >= fewest and self.failed > limit * self.asked:
            raise DataError(
                f"language_model.url={self._settings.url}: {self.failed} of {self.asked} requests failed, more than "
                f"maximum_failed_share={limit}; look at the server, then run again: replies are kept"
            )


Rollout = Callable[[Document, GenerateFunction], Awaitable[list[dict[str, Any]]]]


def rollout_of(prompt: Prompt, client: ChatClient, done: Callable[[], None]) -> Rollout:
    """The function that datatrove's runner calls with each seed; gives drafts as plain values."""

    async def rollout(document: Document, generate: GenerateFunction) -> list[dict[str, Any]]:
        drafts = await _drafts(prompt, client, document, generate)
        done()
        return [asdict(draft) for draft in drafts]

    return rollout


async def _drafts(prompt: Prompt, client: ChatClient, document: Document, generate: GenerateFunction) -> list[Draft]:
    identity = str(document.id)
    match prompt:
        case Rephrase() | QuestionAnswers():
            text = prompt.prompt.format(page=document.text)
        case ChainOfThought():
            example = document.metadata[EXAMPLE]
            text = prompt.prompt.format(problem=document.text, example=example["prompt"], solution=example["solution"])
        case CodeWithTests():
            return await _solved(prompt, client, document, generate)
        case _:
            raise AssertionError(prompt)
    try:
        return [Draft(await client.ask(generate, prompt, text, identity))]
    except Unanswered as reason:
        return [Draft(document.text, failure=str(reason))]


async def _solved(
    prompt: CodeWithTests, client: ChatClient, document: Document, generate: GenerateFunction
) -> list[Draft]:
    """Instructions, each round from the last one that passed the gates, and a solution to each that passed."""
    drafts: list[Draft] = []
    passed: list[str] = []
    for number in range(prompt.rounds + 1):
        if passed:
            text = prompt.evolve_prompt.format(instruction=passed[-1])
        else:
            text = prompt.prompt.format(page=document.text)
        identity = f"{document.id}/instruction/{number}"
        try:
            instruction = await client.ask(generate, prompt, text, identity)
        except Unanswered as reason:
            drafts.append(Draft(document.text, failure=str(reason)))
            continue
        failed = _gate(prompt, instruction, passed)
        if failed is not None:
            drafts.append(failed)
            continue
        passed.append(instruction)
    for number, instruction in enumerate(passed):
        text = prompt.solve_prompt.format(instruction=instruction)
        try:
            reply = await client.ask(generate, prompt, text, f"{document.id}/solution/{number}")
        except Unanswered as reason:
            drafts.append(Draft(instruction, instruction, failure=str(reason)))
        else:
            drafts.append(Draft(reply, instruction))
    return drafts


def _gate(prompt: CodeWithTests, instruction: str, before: list[str]) -> Draft | None:
    """Why an instruction is none, from its form alone."""
    if TASK_WORDS.search(instruction):
        return Draft(instruction, failure="speaks_of_the_task")
    if " ".join(instruction.split()) in (" ".join(each.split()) for each in before):
        return Draft(instruction, failure="not_evolved")
    words = len(instruction.split())
    refused = check_limits(
        (
            ("instruction_too_short", words, ">=", prompt.minimum_instruction_words),
            ("instruction_too_long", words, "<=", prompt.maximum_instruction_words),
        )
    ).removal
    if refused is None:
        return None
    return Draft(instruction, failure=refused.reason, value=refused.value, threshold=refused.threshold)
