"""Many questions side by side: datatrove's inference runner calls a rollout with each document."""

import tempfile
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import GenerateFunction, InferenceError
from datatrove.pipeline.writers import JsonlWriter
from datatrove.pipeline.writers.disk_base import DiskWriter
from loguru import logger

from pipeline.core.errors import Requeue, as_user_error
from pipeline.language_model.config import EndpointConfig
from pipeline.language_model.endpoint import EndpointRunner

Rollout = Callable[[Document, GenerateFunction], Awaitable[Any]]
"""All requests about one document; it returns what JSON can hold."""


def run_rollouts(
    settings: EndpointConfig, rollout: Rollout, documents: Iterable[Document], writer: DiskWriter, key: str
) -> None:
    """Calls the rollout with each document, `concurrency` requests at a time, and writes the documents.

    Args:
        settings: of the server.
        rollout: a coroutine function that asks through a `ChatClient`.
        documents: each is one question.
        writer: takes each document with what the rollout returned, in the order in which they were done.
        key: of a document's metadata, under which that is.

    Raises:
        Requeue: if the rollout raised it, after a stop signal.
        UserError: if no request can succeed, or too many failed.
    """
    runner = EndpointRunner(
        settings,
        rollout_fn=rollout,
        config=InferenceConfig(
            server_type="endpoint",
            model_name_or_path=settings.model,
            max_concurrent_generations=settings.concurrency,
        ),
        output_writer=writer,
        metadata_key=key,
    )
    try:
        runner.run(iter(documents))
    except InferenceError as error:
        raise _root_cause(error, settings.key) from None


def _root_cause(error: BaseException, where: str) -> BaseException:
    """What the runner's error wraps: a stop signal, a user's error, or else the error itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Requeue):
            return cause
        cause = cause.__cause__
    return as_user_error(error, where) or error


def collect(settings: EndpointConfig, rollout: Rollout, documents: Iterable[Document]) -> None:
    """Calls the rollout with each document, for rollouts that keep by themselves what they find.

    It prints nothing: neither datatrove's log, nor that an error which ends it has met many requests at a time.

    Raises:
        Requeue: if the rollout raised it, after a stop signal.
        UserError: if no request can succeed, or too many failed.
    """
    errors: list[Exception] = []

    async def quiet(document: Document, generate: GenerateFunction) -> Any:
        try:
            return await rollout(document, generate)
        except Exception as error:
            errors.append(error)
            if len(errors) == 1:
                raise
            # The first one ends the runner, which cancels what still waits.
            return None

    logger.disable("datatrove")
    try:
        with tempfile.TemporaryDirectory() as folder:
            # The runner has to write its documents somewhere.
            writer = JsonlWriter(folder, "${rank}.jsonl", compression=None)
            run_rollouts(settings, quiet, documents, writer, "rollouts")
    finally:
        logger.enable("datatrove")
