"""The requests made for one seed document: a single one, or for code a chain of instructions and their solutions.

datatrove's inference runner calls a rollout with each seed document, many side by side. Every request of theirs goes
through one `ChatClient`, which keeps the budget of tokens, looks into the cache first, and gives up on a server that
fails too often.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.types import GenerateFunction

from pipeline.curation.audit.filter_result import check_limits
from pipeline.language_model.client import ChatClient, NoUsableReply
from pipeline.language_model.rollouts import Rollout
from pipeline.synthesis.language_model.prompt_templates import (
    ChainOfThought,
    CodeWithTests,
    PromptTemplate,
    QuestionAnswers,
    Rephrase,
)
from pipeline.synthesis.language_model.seeds import EXAMPLE

TASK_PHRASES = re.compile(
    r"given (prompt|instruction)|(rewritten|evolved|new|harder) (prompt|instruction)|#\s*prompt", re.IGNORECASE
)
"""Talk about the task in place of an instruction (Evol-Instruct, arXiv 2304.12244, section 3.2)."""


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


def rollout_of(prompt: PromptTemplate, client: ChatClient, done: Callable[[], None]) -> Rollout:
    """The coroutine function that datatrove's runner calls with each seed document.

    It returns completions as plain dictionaries, which the runner can write as JSON, and calls `done` after each seed.
    """

    async def rollout(document: Document, generate: GenerateFunction) -> list[dict[str, Any]]:
        completions = await _completions(prompt, client, document, generate)
        done()
        return [asdict(completion) for completion in completions]

    return rollout


async def _ask(client: ChatClient, generate: GenerateFunction, prompt: PromptTemplate, text: str, stream: str) -> str:
    return await client.ask(generate, [{"role": "user", "content": text}], prompt.sampling, stream)


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
        return [UncheckedReply(await _ask(client, generate, prompt, text, str(document.id)))]
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
            instruction = await _ask(client, generate, prompt, text, f"{document.id}/instruction/{number}")
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
            reply = await _ask(client, generate, prompt, text, f"{document.id}/solution/{number}")
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
