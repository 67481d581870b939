"""Prompts to samples: datatrove's inference runner asks, the checks decide."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import InferenceError
from datatrove.pipeline.writers import JsonlWriter

from pipeline.core.context import StageContext
from pipeline.core.errors import DiskFullError, Requeue, as_user_error
from pipeline.core.files import read_json, write_json
from pipeline.curation.text.documents import read_documents
from pipeline.synthesis.config import LanguageModelConfig, SynthesizeConfig
from pipeline.synthesis.language_model.checks import check
from pipeline.synthesis.language_model.code_checks import check_code
from pipeline.synthesis.language_model.endpoint import EndpointRunner
from pipeline.synthesis.language_model.prompts import CodeWithTests, Prompt
from pipeline.synthesis.language_model.response_cache import ResponseCache
from pipeline.synthesis.language_model.rollouts import ChatClient, Draft, rollout_of
from pipeline.synthesis.language_model.seeds import seeds_of
from pipeline.synthesis.sample import Sample

ORIGIN = "language_model"
DRAFTS = "drafts"
FILE = "drafts.jsonl.gz"
REQUESTS = "requests.json"


def samples(context: StageContext[SynthesizeConfig]) -> Iterator[Sample]:
    """The samples of all prompts, in the order of their names and seeds. None without a language model.

    Raises:
        Requeue: after a stop signal; replies are kept.
        UserError: if the server cannot be used, or fails too often.
    """
    settings = context.config.language_model
    if settings is None:
        return
    with ResponseCache(Path(settings.cache)) as replies:
        client = ChatClient(settings, replies, context.seed, context.stop_requested)
        for name, prompt in settings.load().items():
            seeds = seeds_of(context, name, prompt)
            context.progress.start(len(seeds), "seeds", name)
            drafts = _drafts(context, settings, name, prompt, client, seeds)
            yield from _checked(context, settings, name, prompt, seeds, drafts)
        client.check_failures()
    write_json(context.output / REQUESTS, client.counts())


def requests(context: StageContext[SynthesizeConfig]) -> dict[str, float]:
    """What the model was asked, as metrics of the stage."""
    path = context.output / REQUESTS
    return {f"language_model/{name}": float(value) for name, value in read_json(path).items()} if path.exists() else {}


def prompt_of(document: Document) -> str | None:
    """Name of the prompt that a document was written to; None for one that no model wrote."""
    maker, _, rest = document.metadata["origin"].partition("/")
    return rest.partition("/")[0] if maker == ORIGIN else None


def _drafts(
    context: StageContext[SynthesizeConfig],
    settings: LanguageModelConfig,
    name: str,
    prompt: Prompt,
    client: ChatClient,
    seeds: list[Document],
) -> dict[str, list[Draft]]:
    """What came of each seed, by its id."""
    folder = context.state / ORIGIN / name
    # An earlier attempt's replies are in the cache; its files may be cut short.
    shutil.rmtree(folder, ignore_errors=True)

    def done() -> None:
        context.progress.note(tokens=client.tokens, failed=client.failed)
        context.progress.advance()

    runner = EndpointRunner(
        settings,
        rollout_fn=rollout_of(prompt, client, done),
        config=InferenceConfig(
            server_type="endpoint",
            model_name_or_path=settings.model,
            max_concurrent_generations=settings.concurrency,
        ),
        output_writer=JsonlWriter(str(folder), FILE),
        metadata_key=DRAFTS,
    )
    try:
        runner.run(iter(seeds))
    except InferenceError as error:
        raise _behind(error) from None
    # Each seed has one rollout; the runner itself logs a document that it cannot write, and goes on.
    found = {
        str(document.id): [Draft(**draft) for draft in document.metadata[DRAFTS][0]]
        for document in read_documents(folder / FILE)
    }
    if len(found) < len(seeds):
        raise DiskFullError(
            f"{folder}: {len(seeds) - len(found)} of {len(seeds)} replies could not be written; free some space, then "
            "run again: replies are kept"
        )
    return found


def _behind(error: BaseException) -> BaseException:
    """What went wrong, which the runner wraps: a stop, the user's error, or a fault of ours."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Requeue):
            return cause
        cause = cause.__cause__
    return as_user_error(error, "language_model") or error


def _checked(
    context: StageContext[SynthesizeConfig],
    settings: LanguageModelConfig,
    name: str,
    prompt: Prompt,
    seeds: list[Document],
    drafts: dict[str, list[Draft]],
) -> Iterator[Sample]:
    pairs = [(seed, draft) for seed in seeds for draft in drafts[str(seed.id)]]
    if not isinstance(prompt, CodeWithTests):
        yield from (check(name, prompt, seed, draft) for seed, draft in pairs)
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
