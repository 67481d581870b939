"""Prompts turned into samples: datatrove's inference runner sends the requests, the checks decide what is kept."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.writers import JsonlWriter

from pipeline.core.context import StageContext
from pipeline.core.errors import DiskFullError, Requeue
from pipeline.core.files import read_json, write_json
from pipeline.curation.text.documents import read_documents
from pipeline.language_model.client import ChatClient
from pipeline.language_model.response_cache import ResponseCache
from pipeline.language_model.rollouts import run_rollouts
from pipeline.synthesis.config import LanguageModelConfig, SynthesizeConfig
from pipeline.synthesis.language_model.checks import check
from pipeline.synthesis.language_model.code_checks import check_code
from pipeline.synthesis.language_model.prompt_templates import CodeWithTests, PromptTemplate
from pipeline.synthesis.language_model.rollouts import UncheckedReply, rollout_of
from pipeline.synthesis.language_model.seeds import seed_documents
from pipeline.synthesis.sample import Sample

ORIGIN = "language_model"
COMPLETIONS = "completions"
FILE = "completions.jsonl.gz"
REQUESTS = "requests.json"


def samples(context: StageContext[SynthesizeConfig]) -> Iterator[Sample]:
    """The samples of all prompts in the order of their names and seed documents; none without a language model.

    Failed samples are among them, each with its reason. When all are made, the counts of requests and tokens are
    written beside the output, for `request_metrics`.

    Raises:
        Requeue: after a stop signal; the replies so far are in the cache.
        UserError: if the server cannot be used, or fails too often.
    """
    settings = context.config.language_model
    if settings is None:
        return
    with ResponseCache(Path(settings.cache)) as cache:
        client = ChatClient(settings, cache, context.seed, context.stop_requested)
        for name, prompt in settings.load().items():
            seeds = seed_documents(context, name, prompt)
            context.progress.start(len(seeds), "seeds", name)
            completions = _completions(context, settings, name, prompt, client, seeds)
            yield from _check_completions(context, settings, name, prompt, seeds, completions)
        client.check_failures()
    write_json(context.output / REQUESTS, client.counts())


def request_metrics(context: StageContext[SynthesizeConfig]) -> dict[str, float]:
    """Requests, failures and tokens of the language model as metrics of the stage; empty if none was asked."""
    path = context.output / REQUESTS
    return {f"language_model/{name}": float(value) for name, value in read_json(path).items()} if path.exists() else {}


def prompt_of(document: Document) -> str | None:
    """Name of the prompt that a model wrote the document to, or None if a program wrote it."""
    maker, _, rest = document.metadata["origin"].partition("/")
    return rest.partition("/")[0] if maker == ORIGIN else None


def _completions(
    context: StageContext[SynthesizeConfig],
    settings: LanguageModelConfig,
    name: str,
    prompt: PromptTemplate,
    client: ChatClient,
    seeds: list[Document],
) -> dict[str, list[UncheckedReply]]:
    """The completions of each seed document, by its id."""
    folder = context.state / ORIGIN / name
    # The replies of an attempt before this one are in the cache; its file may be cut short.
    shutil.rmtree(folder, ignore_errors=True)

    def done() -> None:
        context.progress.note(tokens=client.tokens, failed=client.failed)
        context.progress.advance()

    writer = JsonlWriter(str(folder), FILE)
    run_rollouts(settings, rollout_of(prompt, client, done), seeds, writer, COMPLETIONS)
    # Each seed has one rollout. A document that the runner cannot write is logged and left out, so they are counted.
    found = {
        str(document.id): [UncheckedReply(**completion) for completion in document.metadata[COMPLETIONS][0]]
        for document in read_documents(folder / FILE)
    }
    if len(found) < len(seeds):
        raise DiskFullError(
            f"{folder}: {len(seeds) - len(found)} of {len(seeds)} replies could not be written; free some space, then "
            "run again: replies are kept"
        )
    return found


def _check_completions(
    context: StageContext[SynthesizeConfig],
    settings: LanguageModelConfig,
    name: str,
    prompt: PromptTemplate,
    seeds: list[Document],
    completions: dict[str, list[UncheckedReply]],
) -> Iterator[Sample]:
    """A sample for each completion, in the order of the seeds; code runs in sandboxed processes side by side."""
    pairs = [(seed, completion) for seed in seeds for completion in completions[str(seed.id)]]
    if not isinstance(prompt, CodeWithTests):
        yield from (check(name, prompt, seed, completion) for seed, completion in pairs)
        return
    config = context.config
    run = partial(check_code, name, prompt, cpu_seconds=settings.cpu_seconds, memory_bytes=config.memory_bytes)
    context.progress.start(len(pairs), "programs", f"{name} in the sandbox")
    with ThreadPoolExecutor(config.workers or len(os.sched_getaffinity(0))) as pool:
        for sample in pool.map(lambda pair: run(*pair) if not context.stop_requested() else None, pairs):
            if sample is None:
                raise Requeue("stopped between two sandboxed processes")
            context.progress.advance()
            yield sample
